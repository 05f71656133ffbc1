"""What works on ONNX files alone needs none of the packages of the extra train but onnx."""

import subprocess
import sys

import pytest

TRAIN = ("torch", "torchvision", "scipy", "matplotlib", "jinja2", "lightning", "h5py", "safetensors", "onnxscript")

PROGRAMS = {
    "info": "print(litevision.info('clothing').macs)",
    "lint": "print(litevision.lint('clothing', seconds=0.001).findings.convolutions)",
    "profile": "print(sum(row.macs or 0 for row in litevision.profile('clothing', repeats=1).rows))",
}


# What a machine does at most is measured before a profile, for seconds; here it does not matter how well.
HASTY = "import litevision.lab.profile.peaks as it; it._CHANNELS, it._TURNS, it._COST_TURNS = (16, 32), 2, 1"


@pytest.mark.parametrize(("name", "said"), [("info", "299507072"), ("lint", "52"), ("profile", "299507072")])
def test_files_are_counted_linted_and_profiled_with_onnx_alone(name: str, said: str) -> None:
    before = HASTY if name == "profile" else ""
    program = f"import sys; sys.modules.update(dict.fromkeys({TRAIN})); import litevision\n{before}\n{PROGRAMS[name]}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (f"{said}\n", "", 0)


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_onnx_the_message_names_its_extra(name: str) -> None:
    program = (
        "import sys; sys.modules['onnx'] = None; import litevision\n"
        f"try: {PROGRAMS[name]}\nexcept litevision.LitevisionError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("pip install 'litevision[onnx]'\n")
    assert done.returncode == 0
