"""ncnn on the CPU, for the folders that `litevision export` writes: one image at a time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, MissingExtraError
from litevision.runtime.engines.base import EngineChoice, Outputs, TensorInfo, compute_errors, load_errors, run_each

PARAM, BIN = "model.param", "model.bin"


class NcnnEngine:
    """A graph in ncnn, for float images one at a time, and any outputs.

    Args:
        folder: with `PARAM` and `BIN`.
        choice: how many threads compute it.
        input_chw: the shape of its input, which the files do not say.
        name: the folder, for messages.
    """

    def __init__(self, folder: Path, choice: EngineChoice, *, input_chw: tuple[int, ...], name: str) -> None:
        self._ncnn = _import_ncnn()
        self.choice, self._name = choice, name
        self.version = f"ncnn {self._ncnn.__version__}"
        self._net = self._ncnn.Net()
        self._net.opt.num_threads = choice.threads
        self._net.opt.use_vulkan_compute = False
        with load_errors(name, self.version):
            failed = self._net.load_param(str(folder / PARAM)) or self._net.load_model(str(folder / BIN))
            if failed or len(self._net.input_names()) != 1:
                raise BundleError(f"{name}: {self.version} cannot load {PARAM} and {BIN}.")
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
                extractor.input(name, self._ncnn.Mat(np.ascontiguousarray(values[0])).clone())
            for name in self._net.output_names():
                failed, found = extractor.extract(name)
                if failed:
                    raise BundleError(f"{self._name}: {self.version} gives no {name!r}.")
                answers[name] = np.array(found)[None]
        return answers


def _import_ncnn() -> Any:
    try:
        import ncnn
    except ImportError:
        raise MissingExtraError.of("ncnn", "ncnn") from None
    return ncnn
