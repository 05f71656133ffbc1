"""What works on ONNX files alone imports no torch, which takes seconds."""

import subprocess
import sys


def test_files_are_counted_linted_and_profiled_without_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import litevision.lab.guidelines, litevision.lab.latency, litevision.lab.lint, litevision.lab.profile\n"
        "import litevision; print(litevision.info('clothing').macs)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("299507072\n", "", 0)
