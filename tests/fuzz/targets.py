"""Every fuzz target by the name of its reader, and the files that made readers fail before."""

from collections.abc import Sequence
from pathlib import Path

from fuzz import files, services, texts, weights
from fuzz.target import Target

_TARGETS = (*files.TARGETS, *weights.TARGETS, *texts.TARGETS, *services.TARGETS)
TARGETS: dict[str, Target] = {target.name: target for target in _TARGETS}

_CASES = Path(__file__).parents[3] / "shared/cases"
_ENGINES = ("bundle-onnxruntime", "bundle-openvino")
# How the names of earlier findings begin, and who reads them.
_READERS = {"h5": ("hdf5",), "onnx": _ENGINES, "info": ("info", "lint", *_ENGINES), "pth": ("torch",)}


def found_before(target: Target) -> Sequence[Path]:
    """The files of ``../shared`` that a reader failed on before; none where it is not there."""
    files = sorted(_CASES.glob("*/fuzz/*"))
    return [file for file in files if target.name in _READERS.get(kind := file.name.partition("-")[0], (kind,))]
