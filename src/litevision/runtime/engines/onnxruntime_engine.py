"""The default engine: onnxruntime on the CPU."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, UsageError
from litevision.runtime.engines.base import EngineChoice, Outputs, TensorInfo


class OnnxruntimeEngine:
    """A graph in onnxruntime: one session, which all calling threads share."""

    def __init__(self, data: bytes, choice: EngineChoice, *, name: str) -> None:
        if choice.precision != "fp32":
            raise UsageError(
                f"onnxruntime does not compute in {choice.precision} on a CPU; expected fp32, or the engine openvino."
            )
        onnxruntime = import_onnxruntime()

        self.choice = choice
        self.version = f"onnxruntime {onnxruntime.__version__}"
        options = session_options(onnxruntime, choice)
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            self.inputs = tuple(map(_info, self._session.get_inputs()))
            self.outputs = tuple(map(_info, self._session.get_outputs()))
        except Exception as error:  # onnxruntime's exceptions share no other base class
            reason = str(error).strip().splitlines()[0]
            raise BundleError(f"{name}: {self.version} cannot load it ({reason}).") from error
        self._names = [output.name for output in self.outputs]

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs:
        values = self._session.run(self._names, {self.inputs[0].name: batch_u8_nhwc})
        return dict(zip(self._names, values, strict=True))


def session_options(onnxruntime: Any, choice: EngineChoice) -> Any:
    """How a session computes as ``choice`` asks, as the ``SessionOptions`` of the package ``onnxruntime``."""
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
    """The package ``onnxruntime``, imported late, for it takes half of a cold start, and kept from recording telemetry.

    From 1.31 on it queues events in the user's cache folder at each session unless this variable stands before its
    import; its own ``disable_telemetry_events`` comes too late.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
