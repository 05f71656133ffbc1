"""The engine of .tflite files: LiteRT's interpreter, on the CPU."""

import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, MissingExtraError
from litevision.runtime.engines.base import EngineChoice, Outputs, TensorInfo, compute_errors, load_errors, run_each

if TYPE_CHECKING:
    from litevision.runtime.model_folder import ModelFolder

IDENTIFIER = b"TFL3"
"""What .tflite files have at bytes 4 to 8."""

_DTYPES = {"float32": "float"}
_UNBOUNDED = {"WHILE", "CALL_ONCE"}
_DETECTION = ("location", "category", "score")
# Elements of all tensors together, which some bytes can set to any number: the networks here have 100 to 400 for each
# pixel of the input, and weights beside.
_MOST_PER_PIXEL = 1500
_MOST_FREE = 50_000_000
_STARTING = threading.Lock()


class LitertEngine:
    """A graph in LiteRT, for one image at a time: as many interpreters as calls that run at once.

    A detector's file gives what TFLite's detectors give; here it is a bundle's answers again.
    """

    def __init__(self, data: "bytes | ModelFolder", choice: EngineChoice, *, name: str) -> None:
        if not isinstance(data, bytes) or data[4:8] != IDENTIFIER:
            raise BundleError(
                f"{name}: no LiteRT file, which is all that litert computes. "
                "Make one with 'litevision export -o model.tflite'."
            )
        self._interpreter_class, self.version = import_litert()
        self.choice = replace(choice, device="cpu")
        self._data, self._name = data, name
        self._idle: SimpleQueue[Any] = SimpleQueue()
        with load_errors(name, self.version):
            first = self._open()
            if found := sorted({one["op_name"] for one in first._get_ops_details()} & _UNBOUNDED):
                raise BundleError(f"{name}: computes with {' and '.join(found)}, which can take any time.")
            self.inputs = tuple(map(_info, first.get_input_details()))
            self.outputs = tuple(map(_output_info, first.get_output_details()))
        self._detects = {*_DETECTION} <= {one.name for one in self.outputs}
        if self._detects:
            self.outputs = _answers_of(self.outputs)
        self._idle.put(first)

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs:
        if (answers := run_each(self, batch_u8_nhwc)) is not None:
            return answers
        return self.run_named({self.inputs[0].name: batch_u8_nhwc})

    def run_named(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        shape = next(iter(inputs.values())).shape if inputs else ()
        with compute_errors(self._name, self.version, shape), self._borrowed() as interpreter:
            for one in interpreter.get_input_details():
                interpreter.set_tensor(one["index"], inputs[_name_of(one)])
            interpreter.invoke()
            answers = {
                _name_of(one): _as_float(interpreter.get_tensor(one["index"]), one)
                for one in interpreter.get_output_details()
            }
        return _as_bundle(answers, self.inputs[0].shape) if self._detects else answers

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[Any]:
        """An interpreter that nobody else uses: each holds the maps of the image that it computes."""
        try:
            interpreter = self._idle.get_nowait()
        except Empty:
            with load_errors(self._name, self.version):
                interpreter = self._open()
        try:
            yield interpreter
        finally:
            self._idle.put(interpreter)

    def _open(self) -> Any:
        with _STARTING, _silent():
            made = self._interpreter_class(model_content=self._data, num_threads=self.choice.threads)
            self._check_elements(made)  # as the file says
            made.allocate_tensors()
            self._check_elements(made)  # as its operators work out
        return made

    def _check_elements(self, interpreter: Any) -> None:
        shapes = [one["shape"] for one in interpreter.get_tensor_details()]
        elements = sum(math.prod(map(int, shape)) for shape in shapes)
        images = [one["shape"] for one in interpreter.get_input_details()]
        pixels = max((math.prod(map(int, shape[1:3])) for shape in images), default=0)
        if elements > max(_MOST_FREE, _MOST_PER_PIXEL * pixels):
            raise BundleError(
                f"{self._name}: its tensors have {elements:,} elements, which is no network for {pixels:,} pixels. "
                "Make it again with 'litevision export'."
            )


def import_litert() -> tuple[Any, str]:
    """Imports the interpreter's class, and its name and version in words.

    Raises:
        MissingExtraError: ai-edge-litert is not installed.
    """
    try:
        from ai_edge_litert import __version__
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise MissingExtraError.of("The engine litert", "litert") from None
    return Interpreter, f"litert {__version__}"


def _name_of(details: Mapping[str, Any]) -> str:
    return str(details["name"])


def _info(details: Mapping[str, Any]) -> TensorInfo:
    dtype = np.dtype(details["dtype"]).name
    return TensorInfo(_name_of(details), _DTYPES.get(dtype, dtype), tuple(map(int, details["shape"])))


def _output_info(details: Mapping[str, Any]) -> TensorInfo:
    info = _info(details)
    return replace(info, dtype="float") if _is_whole(details) else info


def _is_whole(details: Mapping[str, Any]) -> bool:
    """Whether an answer is in 8 bits, with a scale that says what they stand for."""
    return details["dtype"] in (np.int8, np.uint8) and bool(details["quantization"][0])


def _as_float(value: npt.NDArray[Any], details: Mapping[str, Any]) -> npt.NDArray[Any]:
    if not _is_whole(details):
        return value
    step, zero = details["quantization"]
    return (value.astype(np.float32) - np.float32(zero)) * np.float32(step)


def _answers_of(outputs: tuple[TensorInfo, ...]) -> tuple[TensorInfo, ...]:
    """The outputs of a detection bundle, in place of those of TFLite's detectors."""
    given = {one.name: one for one in outputs}
    pairs = zip(("boxes", "scores", "classes"), ("location", "score", "category"), strict=True)
    return tuple(
        TensorInfo(name, "int64" if name == "classes" else "float", given[other].shape) for name, other in pairs
    )


def _as_bundle(answers: Outputs, shape: tuple[int | None, ...]) -> Outputs:
    """Boxes as (left, top, right, bottom) in px of the input, from (top, left, bottom, right) in [0, 1]."""
    height, width = shape[1] or 1, shape[2] or 1
    sides = np.array([width, height, width, height], np.float32)
    return {
        "boxes": answers["location"][..., [1, 0, 3, 2]] * sides,
        "scores": answers["score"],
        "classes": answers["category"].astype(np.int64),
    }


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Holds back what the library writes to the process's standard error when it starts; it has no switch for that."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (AttributeError, OSError, ValueError):  # there is no standard error
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123  # no file of anybody's
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
