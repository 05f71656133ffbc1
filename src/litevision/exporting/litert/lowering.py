"""From an ONNX graph to a TFLite model: images alone, feature maps with their channels last, no transposes but needed.

ONNX keeps feature maps as [N, C, H, W], TFLite as [N, H, W, C]. Each tensor here knows in which order its axes are
stored, so that a Transpose, and most Reshapes, are no work but another order of the same numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from litevision.errors import ExportError
from litevision.exporting.graph_parts import FixedGraph, attributes_of
from litevision.exporting.litert.model_writer import ModelWriter, Scale, Tensor

CHANNELS_LAST = (0, 2, 3, 1)
Storage = Literal["float32", "float16", "int8"]
_LEAST_WEIGHTS = 1024
"""Smaller tensors of weights stay in float32, whatever the storage: they weigh nothing."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor of the ONNX graph in the TFLite model.

    Attributes:
        tensor: where it is.
        order: the ONNX axis that each stored axis is.
    """

    tensor: Tensor
    order: tuple[int, ...]


class Lowering(FixedGraph):
    """The state of a conversion: what has become of each ONNX tensor.

    A tensor that a QuantizeLinear reads is computed in int8 where its operator can do so, and turned into float for
    those readers that cannot take it.

    Attributes:
        integers: the 8-bit weights of those that a DequantizeLinear gives.
        targets: the scale in which a tensor is to be computed in int8.
        stored: where a tensor is in the TFLite model.
        done: the nodes that an operator before them has computed in passing.
        nonnegative: tensors that hold no number below 0.
        readers: the nodes that read a tensor.
        makers: the node that gives it.
        integers_alone: nothing is to be computed in float, from the pixels to the answers.
        pixels: the scale of raw pixels in int8.
    """

    def __init__(self, model: onnx.ModelProto, storage: Storage, *, integers_alone: bool = False) -> None:
        super().__init__(model, "LiteRT files")
        self.writer = ModelWriter()
        self.storage = storage
        self.stored: dict[str, Stored] = {}
        self.done: set[int] = set()
        self.nonnegative: set[str] = set()
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        self.makers: dict[str, onnx.NodeProto] = {}
        self._deferred: dict[str, Callable[[], None]] = {}
        self._floats: dict[int, Tensor] = {}
        self.integers: dict[str, tuple[Array, Scale]] = {}
        self.targets: dict[str, Scale] = {}
        for node in model.graph.node:
            if node.op_type == "QuantizeLinear":
                self.targets.setdefault(node.input[0], self.scale_of(node))
            if node.op_type == "DequantizeLinear" and node.input[0] in self.constants:
                self._keep_integers(node)
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)
            self.makers.update(dict.fromkeys(node.output, node))
        self._results = {one.name for one in model.graph.output}
        self.pixels = Scale(np.ones(1, np.float32), np.full(1, -128, np.int64))
        self.integers_alone = integers_alone

    def get(self, name: str, order: Sequence[int] | None = None) -> Stored:
        """The tensor ``name`` as plain numbers, in the order of axes that is asked for."""
        found = self.raw(name, order)
        return Stored(self.as_float(found.tensor), found.order)

    def as_float(self, x: Tensor) -> Tensor:
        """Turns int8 into float32; what is something else is left alone."""
        if x.dtype != "int8":
            return x
        if x.index not in self._floats:
            self._floats[x.index] = self.writer.op("DEQUANTIZE", [x], x.shape)
        return self._floats[x.index]

    def raw(self, name: str, order: Sequence[int] | None = None) -> Stored:
        """The tensor ``name``, which may be in int8, in the order of axes that is asked for."""
        if name in self._deferred:
            self._deferred.pop(name)()
        if name in self.constants:
            order = tuple(range(self.constants[name].ndim)) if order is None else tuple(order)
            return Stored(self.writer.constant(self.constants[name].transpose(order)), order)
        if name not in self.stored:
            raise ExportError(f"{name!r} is read before it is computed")
        found = self.stored[name]
        return found if order is None else self.reordered(found, tuple(order))

    def plain(self, name: str) -> Stored:
        """The tensor ``name`` with its axes as ONNX has them."""
        return self.get(name, range(len(self.shape(name))))

    def put(self, name: str, tensor: Tensor, order: Sequence[int] | None = None) -> None:
        """Says that the ONNX tensor ``name`` is ``tensor``, by default with the axes as ONNX has them."""
        self.stored[name] = Stored(tensor, tuple(range(len(tensor.shape)) if order is None else order))

    def defer(self, name: str, make: Callable[[], None]) -> None:
        """Computes the tensor ``name`` by ``make`` when something reads it, if anything does."""
        self._deferred[name] = make

    def reordered(self, found: Stored, order: tuple[int, ...]) -> Stored:
        """The same tensor with its axes stored in another order."""
        if found.order == order:
            return found
        x = found.tensor
        places = [found.order.index(axis) for axis in order]
        shape = [x.shape[place] for place in places]
        long = [place for place in places if x.shape[place] > 1]
        if long == sorted(long):  # only axes of length 1 move
            return Stored(self.reshape(x, shape), order)
        permutation = self.writer.constant(np.array(places, np.int32))
        return Stored(self.writer.op("TRANSPOSE", [x, permutation], shape, x.dtype, x.scale), order)

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The same numbers in another shape."""
        if x.shape == tuple(shape):
            return x
        wanted = self.writer.constant(np.array(shape, np.int32))
        return self.writer.op("RESHAPE", [x, wanted], shape, x.dtype, x.scale, newShape=[int(side) for side in shape])

    def reader_of(self, name: str) -> onnx.NodeProto | None:
        """The only node that reads ``name``; None where there are several, or it is a result."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self._results else None

    def activation(self, name: str) -> tuple[str, int]:
        """The activation that alone reads ``name``, if an operator can do it in passing.

        Returns:
            The name of what the activation gives, or ``name``, and the schema's number of the activation.
        """
        reader = self.reader_of(name)
        kind = None if reader is None else self.activation_kind(reader)
        if reader is None or kind is None:
            return name, 0
        self.done.add(id(reader))
        self.nonnegative.add(reader.output[0])
        return reader.output[0], {"RELU": 1, "RELU6": 3}[kind]

    def activation_kind(self, node: onnx.NodeProto) -> str | None:
        """RELU or RELU6, where ``node`` is one of them."""
        if node.op_type == "Relu":
            return "RELU"
        if node.op_type == "Clip":
            limits = [None if not name else self.constants.get(name) for name in node.input[1:3]]
            low, high = [None if limit is None else float(limit) for limit in (*limits, None, None)[:2]]
            return "RELU6" if (low, high) == (0.0, 6.0) else "RELU" if (low, high) == (0.0, None) else None
        return None

    def scale_of(self, node: onnx.NodeProto) -> Scale:
        """The scale of a QuantizeLinear or DequantizeLinear, for int8; unsigned numbers are moved by 128."""
        scale = self.constants[node.input[1]].reshape(-1).astype(np.float32)
        zero = self.constants[node.input[2]].reshape(-1) if len(node.input) > 2 else np.zeros(len(scale), np.uint8)
        return Scale(scale, zero.astype(np.int64) - (128 if zero.dtype == np.uint8 else 0))

    def _keep_integers(self, node: onnx.NodeProto) -> None:
        """Keeps weights that are stored in 8 bits both as they are and as what they stand for."""
        value, scale = self.constants[node.input[0]], self.scale_of(node)
        axis = attributes_of(node).get("axis", 1) % max(value.ndim, 1)
        if value.dtype == np.int8 and not scale.zero_point.any():
            self.integers[node.output[0]] = value, scale
        whole = [-1 if place == axis else 1 for place in range(value.ndim)]
        zero = self.constants[node.input[2]] if len(node.input) > 2 else np.zeros(1)
        steps = value.astype(np.float32) - zero.astype(np.float32).reshape(whole)
        self.constants[node.output[0]] = steps * scale.scale.reshape(whole)
        self.done.add(id(node))

    def layer_weights(self, name: str, order: Sequence[int], channels: int) -> Tensor:
        """The weights of a layer with their axes in another order; ``channels`` is the axis of the outputs then."""
        if name not in self.integers:
            return self.weights(self.constants[name].transpose(order), channels)
        value, scale = self.integers[name]
        narrow = np.maximum(value.transpose(order), -127)  # TFLite's 8 bits are symmetric
        every = np.broadcast_to(scale.scale, (narrow.shape[channels],))
        return self.writer.constant(narrow, Scale(every, np.zeros(len(every), np.int64), channels))

    def weights(self, value: Array, channels: int) -> Tensor:
        """A constant for a layer's weights, stored in the file's type; ``channels`` is the axis of the outputs."""
        value = value.astype(np.float32)
        if value.size < _LEAST_WEIGHTS or self.storage == "float32":
            return self.writer.constant(value)
        if self.storage == "float16":
            half = self.writer.constant(value.astype(np.float16))
            return self.writer.op("DEQUANTIZE", [half], value.shape)
        rest = tuple(axis for axis in range(value.ndim) if axis != channels)
        scale = np.maximum(np.abs(value).max(rest, keepdims=True), 1e-12) / 127
        rounded = np.clip(np.rint(value / scale), -127, 127).astype(np.int8)
        flat = scale.reshape(-1).astype(np.float32)
        return self.writer.constant(rounded, Scale(flat, np.zeros(len(flat), np.int64), channels))


def regrouped(
    before: Sequence[int], after: Sequence[int], order: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How a Reshape can be done on a tensor that is not stored in ONNX's order.

    Args:
        before: the ONNX shape.
        after: the ONNX shape that the Reshape gives.
        order: the ONNX axis that each stored axis is.

    Returns:
        The order in which the axes must be stored before, which is ``order`` wherever it will do, and the order in
        which those of the result are then.
    """
    blocks = _blocks(before, after)
    wanted = CHANNELS_LAST if len(after) == 4 else tuple(range(len(after)))
    for tried in (tuple(order), _order_for(blocks, before, wanted), tuple(range(len(before)))):
        result = _after(blocks, before, tried)
        if result is not None:
            return tried, _with_short_axes(result, after, wanted)
    raise AssertionError("the order of ONNX itself always fits")


Blocks = list[tuple[list[int], list[int]]]


def _blocks(before: Sequence[int], after: Sequence[int]) -> Blocks:
    """The smallest groups of axes of ``before`` and ``after`` that hold the same numbers; axes of length 1 left out."""
    first = [axis for axis, side in enumerate(before) if side > 1]
    second = [axis for axis, side in enumerate(after) if side > 1]
    blocks: Blocks = []
    while first and second:
        left, right = [first.pop(0)], [second.pop(0)]
        while (a := prod(before[axis] for axis in left)) != (b := prod(after[axis] for axis in right)):
            (left.append(first.pop(0)) if a < b else right.append(second.pop(0)))
        blocks.append((left, right))
    return blocks


def _after(blocks: Blocks, before: Sequence[int], order: Sequence[int]) -> list[int] | None:
    """The order of the result's long axes, if every group lies together in ``order``; else None."""
    rest = [axis for axis in order if before[axis] > 1]
    result: list[int] = []
    while rest:
        left, right = next(block for block in blocks if rest[0] in block[0])
        if rest[: len(left)] != left:
            return None
        rest, result = rest[len(left) :], result + right
    return result


def _order_for(blocks: Blocks, before: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """The order of the axes before that gives the order ``wanted`` after; axes of length 1 come first."""
    places = sorted(blocks, key=lambda block: min(wanted.index(axis) for axis in block[1]))
    short = [axis for axis, side in enumerate(before) if side == 1]
    return (*short, *(axis for left, _ in places for axis in left))


def _with_short_axes(long: Sequence[int], after: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """The order of all axes of the result, where those of length 1 may stand anywhere."""
    for order in (wanted, range(len(after))):
        if [axis for axis in order if after[axis] > 1] == list(long):
            return tuple(order)
    made = list(long)
    for axis in (axis for axis, side in enumerate(after) if side == 1):  # each beside the one before it
        made.insert(made.index(axis - 1) + 1 if axis else 0, axis)
    return tuple(made)
