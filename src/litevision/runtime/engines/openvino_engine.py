"""The optional engine: openvino, on the CPU, in bf16 too where it has instructions for it, or on an Intel GPU."""

import io
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from litevision.errors import MissingExtraError, UsageError
from litevision.runtime.engines import AUTO, ENGINES
from litevision.runtime.engines.base import EngineChoice, Outputs, TensorInfo, compute_errors, load_errors, run_each
from litevision.runtime.engines.onnxruntime_engine import check_graph

if TYPE_CHECKING:
    from litevision.runtime.model_folder import ModelFolder

MODEL = "model.xml"

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_DTYPES = {"float32": "float", "float64": "double"}
_STARTING = threading.Lock()


class OpenvinoEngine:
    """A graph in openvino, compiled when it is first asked for one image, and for several at once.

    Args:
        data: an ONNX file, or a folder with openvino's own format, `MODEL` and its weights.
        choice: how it computes.
        name: the file's path, for messages.
    """

    def __init__(self, data: "bytes | ModelFolder", choice: EngineChoice, *, name: str) -> None:
        openvino = import_openvino()
        with _STARTING:
            self._core = _core(openvino)
        device = "cpu" if choice.device == AUTO else choice.device
        if device != "cpu" and not any(it.startswith(device.upper()) for it in self._core.available_devices):
            here = " and ".join(it.lower() for it in self._core.available_devices)
            raise UsageError(
                f"openvino finds no {device} on this machine, only {here}. "
                f"It needs {ENGINES['openvino'].devices[device]}."
            )
        kind = device.upper()
        if choice.precision == "bf16" and "BF16" not in self._core.get_property(kind, "OPTIMIZATION_CAPABILITIES"):
            processor = self._core.get_property(kind, "FULL_DEVICE_NAME")
            raise UsageError(f"this {kind} ({processor}) has no instructions for bf16; expected precision fp32.")
        self.choice = replace(choice, device=device)
        self.version = f"openvino {openvino.__version__.partition('-')[0]}"
        self._name = name
        if isinstance(data, bytes):
            check_graph(data, name)
        with load_errors(self._name, self.version, _reason):
            self.model = _read_onnx(data) if isinstance(data, bytes) else self._core.read_model(data.path / MODEL)
            self.inputs = tuple(map(_info, self.model.inputs))
            self.outputs = tuple(map(_info, self.model.outputs))
        self._compiled: dict[bool, _Compiled] = {}
        self._compiling = threading.Lock()

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs:
        if (answers := run_each(self, batch_u8_nhwc)) is not None:
            return answers
        single = batch_u8_nhwc.shape[:1] == (1,)
        with compute_errors(self._name, self.version, batch_u8_nhwc.shape):
            compiled = self._compiled.get(single) or self._compile(single)
            values = compiled.infer(batch_u8_nhwc)
        return {output.name: value for output, value in zip(self.outputs, values, strict=True)}

    def run_named(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        if len(inputs) == 1:
            return self.run(next(iter(inputs.values())))
        with compute_errors(self._name, self.version):
            values = self._compile(False).infer_named(inputs)
        return {output.name: value for output, value in zip(self.outputs, values, strict=True)}

    def _compile(self, single: bool) -> "_Compiled":
        with self._compiling:
            if single not in self._compiled:
                self._compiled[single] = _Compiled(self.compile(single=single))
            return self._compiled[single]

    def compile(self, *, single: bool, profiled: bool = False) -> Any:
        """Compile the graph anew, as openvino's ``CompiledModel``.

        Args:
            single: for one image at a time.
            profiled: it takes the time of every kernel.
        """
        model, device, properties = self._plan(single)
        with load_errors(self._name, self.version, _reason):
            return self._core.compile_model(model, device, {**properties, "PERF_COUNT": profiled})

    def _plan(self, single: bool) -> tuple[Any, str, dict[str, Any]]:
        model = self.model
        shape = self.inputs[0].shape
        if single and shape[:1] == (None,):
            # A graph of known shape answers one image 2 to 5 % sooner in fp32, and 10 to 14 % in bf16; for 4 images
            # it is half of that, for 8 nothing.
            model = model.clone()
            model.reshape([1, *(-1 if length is None else length for length in shape[1:])])
        properties = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.choice.precision],
            "NUM_STREAMS": self.choice.streams,
        }
        if self.choice.device == "cpu":
            properties |= {
                "INFERENCE_NUM_THREADS": self.choice.threads * self.choice.streams,
                # Threads that are tied to cores wait there for whatever else runs: on a busy 2-core machine a quarter
                # of the calls took over 47 ms instead of 10. On idle cores there was no difference.
                "ENABLE_CPU_PINNING": False,
            }
        return model, self.choice.device.upper(), properties


class _Compiled:
    """A compiled graph, and an infer request for each call that is under way."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._idle: SimpleQueue[Any] = SimpleQueue()

    def infer(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Iterable[npt.NDArray[Any]]:
        return self._infer({0: batch_u8_nhwc})

    def infer_named(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Iterable[npt.NDArray[Any]]:
        return self._infer(dict(inputs))

    def _infer(self, inputs: Mapping[Any, npt.NDArray[Any]]) -> Iterable[npt.NDArray[Any]]:
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            # The batch is read where it lies; the answers are copies, which the request's next call leaves alone.
            values: Iterable[npt.NDArray[Any]] = request.infer(inputs, share_inputs=True).values()
            return values
        finally:
            self._idle.put(request)


def import_openvino() -> ModuleType:
    """Import the package ``openvino``, without its telemetry.

    Its import sends an event to its makers' statistics unless the package ``openvino_telemetry`` is not there.

    Raises:
        MissingExtraError: it is not installed.
    """
    hidden = "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules
    if hidden:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's sign for "cannot be imported"
    try:
        import openvino
    except ImportError:
        raise MissingExtraError.of("engine 'openvino'", "openvino") from None
    finally:
        if hidden:
            sys.modules.pop("openvino_telemetry", None)
    module: ModuleType = openvino
    return module


@cache
def _core(openvino: ModuleType) -> Any:
    """Return the one ``openvino.Core`` of this process, which is never released.

    Its CPU plugin gives the thread that loads it another stack for signals, and unmaps that stack when it is unloaded,
    whichever thread does so. Unloaded in another one (where the last engine ended, or the garbage collector ran), it
    left the first with a stack that was gone, and the next signal with a handler, be it Ctrl-C or the end of a child,
    ended the process with SIGSEGV. Source: ``SigAltStackSetup`` in openvino's src/plugins/intel_cpu/src/plugin.cpp.
    """
    return openvino.Core()


def _read_onnx(data: bytes) -> Any:
    """The graph of an ONNX file, read by no other reader than ONNX's: ``Core.read_model`` goes by the bytes."""
    from openvino.frontend import FrontEndManager

    frontend = FrontEndManager().load_by_framework("onnx")
    return frontend.convert(frontend.load(io.BytesIO(data)))


def _reason(error: BaseException) -> str:
    """Find the line that sums a message up: the last one with a dash, where there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    listed = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
    return ([*lines, *listed] or ["no reason given"])[-1].rstrip(".")


def _info(port: Any) -> TensorInfo:
    dtype = port.get_element_type().to_dtype().name
    shape = port.get_partial_shape()
    lengths = () if shape.rank.is_dynamic else tuple(None if n.is_dynamic else n.get_length() for n in shape)
    return TensorInfo(port.get_any_name(), _DTYPES.get(dtype, dtype), lengths)
