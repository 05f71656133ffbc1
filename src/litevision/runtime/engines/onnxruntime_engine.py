"""The default engine: onnxruntime, on the CPU or on what its package was built for."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import UsageError
from litevision.runtime.engines import AUTO, ENGINES
from litevision.runtime.engines.base import EngineChoice, Outputs, TensorInfo, compute_errors, load_errors, run_each

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
_AUTOMATIC = ("cuda", "directml")  # CoreML is in every package for macOS, and is no sign that somebody wants it


class OnnxruntimeEngine:
    """A graph in onnxruntime: one session, which all calling threads share."""

    def __init__(self, data: bytes, choice: EngineChoice, *, name: str) -> None:
        onnxruntime = import_onnxruntime()
        device = _device(choice.device, onnxruntime.get_available_providers())

        self.version = f"onnxruntime {onnxruntime.__version__}"
        self._name = name
        options = session_options(onnxruntime, choice)
        with load_errors(name, self.version):
            self._session = onnxruntime.InferenceSession(data, options, providers=_providers(device))
            self.inputs = tuple(map(_info, self._session.get_inputs()))
            self.outputs = tuple(map(_info, self._session.get_outputs()))
        if self._session.get_providers()[0] != _PROVIDERS[device]:
            # It goes on with the CPU where a driver or a library of the device is missing.
            if choice.device != AUTO:
                raise UsageError(
                    f"{self.version} cannot start {device} on this machine, though it was built for it. Check the "
                    "device's driver and libraries, or use device cpu."
                )
            device = "cpu"
        self.choice = replace(choice, device=device)
        self._names = [output.name for output in self.outputs]

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs:
        if (answers := run_each(self, batch_u8_nhwc)) is not None:
            return answers
        with compute_errors(self._name, self.version, batch_u8_nhwc.shape):
            values = self._session.run(self._names, {self.inputs[0].name: batch_u8_nhwc})
        return dict(zip(self._names, values, strict=True))

    def run_named(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        with compute_errors(self._name, self.version):
            values = self._session.run(self._names, dict(inputs))
        return dict(zip(self._names, values, strict=True))


def check_graph(data: bytes, name: str) -> None:
    """Refuse a graph that ONNX's own rules do not allow: unknown operators, inputs that are missing, types that clash.

    OpenVINO's reader trusts the file in this, and some such graphs end the process there.

    Raises:
        BundleError: onnxruntime refuses it.
    """
    onnxruntime = import_onnxruntime()
    options = session_options(onnxruntime, EngineChoice())
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with load_errors(name, f"onnxruntime {onnxruntime.__version__}"):
        onnxruntime.InferenceSession(data, options, providers=[_PROVIDERS["cpu"]])


def _device(device: str, available: Sequence[str]) -> str:
    """Choose the device to open, where ``available`` are onnxruntime's execution providers.

    Raises:
        UsageError: this build of onnxruntime does not have it.
    """
    if device == AUTO:
        return next((name for name in _AUTOMATIC if _PROVIDERS[name] in available), "cpu")
    if _PROVIDERS[device] not in available:
        here = [name for name, provider in _PROVIDERS.items() if provider in available]
        raise UsageError(
            f"the onnxruntime that is installed does not compute on {device}, only on {' and '.join(here)}. "
            f"Install the one that does in its place: pip install {ENGINES['onnxruntime'].devices[device]}."
        )
    return device


def _providers(device: str) -> list[Any]:
    if device == "cpu":
        return [_PROVIDERS["cpu"]]
    # TF32 would be a precision of its own: 10 bits of mantissa in place of fp32's 23.
    options = {"use_tf32": "0"} if device == "cuda" else {}
    return [(_PROVIDERS[device], options), _PROVIDERS["cpu"]]


def session_options(onnxruntime: Any, choice: EngineChoice) -> Any:
    """Make the ``SessionOptions`` of the package ``onnxruntime`` for a choice."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = choice.threads
    # A thread that waits for its next piece of work turns in a loop, by default for far longer than a graph lasts,
    # in the way of whatever else has work for the core. MobileNetV2 on 2 threads, median ms on idle cores, median
    # ms on busy ones, CPU ms: by default 3.0, 30, 13; never turning 4.6, 15, 7; turning for 20 us 3.2, 16, 7.
    # onnxruntime before 1.26 passes over this setting.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "20")
    # Left to itself it goes by the bytes, and bytes 4 to 8 can say "ORTM" in a file that every reader of ONNX takes for
    # another model.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # A memory pattern is kept for every batch size that was ever seen, each with a block of its own in the arena:
    # 318 MB after 120 batches of 1 to 12 images instead of 232, and no quicker. The arena stays: without it,
    # batches of 8 take twice the time.
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # its errors reach the user as exceptions; its warnings are for its developers
    return options


def _info(node: Any) -> TensorInfo:
    dtype = node.type.removeprefix("tensor(").removesuffix(")")
    return TensorInfo(node.name, dtype, tuple(length if isinstance(length, int) else None for length in node.shape))


def import_onnxruntime() -> Any:
    """Import the package ``onnxruntime``, late, for it takes half of a cold start, and without its telemetry.

    From 1.31 on it queues events in the user's cache folder at each session unless this variable stands before its
    import; its own ``disable_telemetry_events`` comes too late.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
