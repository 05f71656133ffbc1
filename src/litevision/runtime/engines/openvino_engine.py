"""The optional engine: openvino on the CPU, which also computes in bf16 where the CPU has instructions for it."""

import queue
import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, MissingExtraError, UsageError
from litevision.runtime.engines.base import EngineChoice, Outputs, TensorInfo

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_DTYPES = {"float32": "float", "float64": "double"}


class OpenvinoEngine:
    """A graph in openvino: one compiled model, and an infer request for each call under way."""

    def __init__(self, data: bytes, choice: EngineChoice, *, name: str) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        if choice.precision == "bf16" and not has_bf16(core):
            raise UsageError(
                f"this CPU ({core.get_property('CPU', 'FULL_DEVICE_NAME')}) has no bf16 instructions; expected fp32."
            )
        self.choice = choice
        self.version = f"openvino {openvino.__version__.split('-')[0]}"
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[choice.precision],
            "NUM_STREAMS": choice.streams,
            "INFERENCE_NUM_THREADS": choice.threads * choice.streams,
        }
        try:
            self._compiled = core.compile_model(core.read_model(data), "CPU", settings)
        except Exception as error:  # openvino raises bare RuntimeError
            reason = str(error).strip().splitlines()[-1]
            raise BundleError(f"{name}: {self.version} cannot load it ({reason}).") from error
        self.inputs = tuple(map(_info, self._compiled.inputs))
        self.outputs = tuple(map(_info, self._compiled.outputs))
        self._names = [output.name for output in self.outputs]
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs:
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            # The request reads the caller's memory, which stays untouched until infer returns; its answers are copies.
            values = request.infer({0: batch_u8_nhwc}, share_inputs=True)
            return {name: values[index] for index, name in enumerate(self._names)}
        finally:
            self._idle.put(request)


def import_openvino() -> ModuleType:
    """The package ``openvino``, kept from telling anyone that it was imported.

    Its import sends an event to its makers' statistics unless the package ``openvino_telemetry`` is not there.

    Raises:
        MissingExtraError: it is not installed.
    """
    hidden = "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules
    if hidden:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError:
        raise MissingExtraError.of("engine 'openvino'", "openvino") from None
    finally:
        if hidden:
            sys.modules.pop("openvino_telemetry", None)
    module: ModuleType = openvino
    return module


def has_bf16(core: Any) -> bool:
    """Whether this CPU computes in bf16, in AVX-512 or AMX registers."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _info(port: Any) -> TensorInfo:
    dtype = port.get_element_type().to_dtype().name
    shape = port.get_partial_shape()
    lengths = () if shape.rank.is_dynamic else tuple(None if n.is_dynamic else n.get_length() for n in shape)
    return TensorInfo(port.get_any_name(), _DTYPES.get(dtype, dtype), lengths)
