import subprocess
import sys
from pathlib import Path

from bundles import write_bundle
from images import encoded, noise

# None in sys.modules makes an import fail as if the package were not installed.
PROGRAM = """
import sys
absent = ("torch", "torchvision", "onnx", "safetensors", "h5py", "rich", "jsonschema", "pydantic")
sys.modules.update(dict.fromkeys(absent))
from litevision.hub import load
assert "onnxruntime" not in sys.modules, "onnxruntime is slow to import and must wait for a bundle"
print(load(sys.argv[1]).predict(sys.argv[2])[0].label)
"""


def test_classifying_needs_numpy_pillow_and_onnxruntime_alone(tmp_path: Path) -> None:
    bundle, image = write_bundle(tmp_path / "tiny.onnx"), tmp_path / "image.png"
    image.write_bytes(encoded(noise(9, 9)))
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(bundle), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() in ("red", "green", "blue")
