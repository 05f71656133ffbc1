"""Opening a bundle leaves nothing behind in the user's home."""

import os
import subprocess
import sys
from pathlib import Path

from bundles import write_bundle


def test_onnxruntime_records_nothing(tmp_path: Path) -> None:
    write_bundle(tmp_path / "tiny.onnx")
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    code = "import sys; from litevision.hub import load; load(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "tiny.onnx")], env={**kept, "HOME": str(home)}, check=True
    )
    assert list(home.rglob("*")) == []
