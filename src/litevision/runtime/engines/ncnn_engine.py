"""ncnn on the CPU, for the folders that `litevision export` writes: one image at a time."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, MissingExtraError
from litevision.runtime.engines.base import EngineChoice, Outputs, TensorInfo, compute_errors, load_errors, run_each

if TYPE_CHECKING:
    from litevision.runtime.model_folder import ModelFolder

PARAM, BIN = "model.param", "model.bin"
_HALF = (0x01306B47).to_bytes(4, "little")

# ncnn trusts its files: some that are damaged end the process that loads or computes them. This one may end.
_TRIAL = """
import sys, ncnn, numpy
param, weights, *shape = sys.argv[1:]
net = ncnn.Net()
net.opt.use_vulkan_compute = False
if net.load_param(param) or net.load_model(weights) or len(net.input_names()) != 1:
    sys.exit(1)
image = numpy.zeros([int(side) for side in shape], "float32")
with net.create_extractor() as extractor:
    extractor.input(net.input_names()[0], ncnn.Mat(image).clone())
    failed = [extractor.extract(name)[0] for name in net.output_names()]
sys.exit(any(failed))
"""
_MOST_S = 120.0


class NcnnEngine:
    """A graph in ncnn, for float images one at a time, and any outputs.

    Args:
        folder: with `PARAM` and `BIN`.
        choice: how many threads compute it.
        name: the folder, for messages.
    """

    def __init__(self, folder: "bytes | ModelFolder", choice: EngineChoice, *, name: str) -> None:
        if isinstance(folder, bytes):
            raise BundleError(
                f"{name}: one file, and ncnn computes folders. Make one with 'litevision export -o it.ncnn'."
            )
        self._ncnn = _import_ncnn()
        self.choice, self._name = replace(choice, device="cpu"), name
        self.version = f"ncnn {self._ncnn.__version__}"
        input_chw, files = folder.input_chw, [str(folder.path / PARAM), str(folder.path / BIN)]
        self._net = self._ncnn.Net()
        self._net.opt.num_threads = self.choice.threads
        self._net.opt.use_vulkan_compute = False
        with load_errors(name, self.version):
            if not _is_half(files[1]):  # else ncnn keeps what is in float32 in float16 between layers
                self._net.opt.use_fp16_packed = self._net.opt.use_fp16_storage = False
                self._net.opt.use_fp16_arithmetic = False
            _try([*files, *map(str, input_chw)])
            if self._net.load_param(files[0]) or self._net.load_model(files[1]):
                raise ValueError("its files are damaged")
        self.inputs = (TensorInfo(self._net.input_names()[0], "float", (1, *input_chw)),)
        answers = self.run(np.zeros((1, *input_chw), np.float32))  # the files do not say the shapes of outputs either
        self.outputs = tuple(TensorInfo(key, "float", value.shape) for key, value in answers.items())

    def run(self, batch_u8_nhwc: npt.NDArray[Any]) -> Outputs:
        if (answers := run_each(self, batch_u8_nhwc)) is not None:
            return answers
        return self.run_named({self.inputs[0].name: batch_u8_nhwc})

    def run_named(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        answers: Outputs = {}
        with compute_errors(self._name, self.version), self._net.create_extractor() as extractor:
            for name, values in inputs.items():
                image = np.ascontiguousarray(values[0])  # by a name, as ncnn's Mat does not hold it
                extractor.input(name, self._ncnn.Mat(image).clone())
            for name in self._net.output_names():
                failed, found = extractor.extract(name)
                if failed:
                    raise BundleError(f"{self._name}: {self.version} gives no {name!r}.")
                answers[name] = np.array(found)[None]
        return answers


def _is_half(weights: str) -> bool:
    """Whether a file of weights begins with ncnn's mark of float16."""
    with open(weights, "rb") as file:  # noqa: PTH123  # a text
        return file.read(4) == _HALF


def _try(arguments: list[str]) -> None:
    """Load and compute the files once in a process of its own, which finds no modules in the working folder.

    Raises:
        ValueError: it failed, ended or takes too long.
    """
    command = [sys.executable, "-P", "-c", _TRIAL, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_MOST_S)
    except subprocess.TimeoutExpired:
        raise ValueError(f"it takes more than {_MOST_S:g} s") from None
    if done.returncode != 0:
        raise ValueError("its files are damaged")


def _import_ncnn() -> Any:
    try:
        import ncnn
    except ImportError:
        raise MissingExtraError.of("ncnn", "ncnn") from None
    return ncnn
