"""Read the convolutions of ONNX files of others' making, without the onnx package.

Source: onnx/onnx.proto (IR version 13), for the numbers of fields.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import WeightsError, reason_of
from litevision.runtime.bundle import check_foreign, read_bundle
from litevision.runtime.onnx_header import fields
from litevision.weights.convolutions import ConvForm, FoldedConv, FoldedGraph

_NOT_FOLDED = {"BatchNormalization", "InstanceNormalization", "QLinearConv", "ConvInteger"}
_FLOAT, _FLOAT16, _DOUBLE = 1, 10, 11  # element types
_NUMBERS = {_FLOAT: ("<f4", 4), _FLOAT16: ("<f2", None), _DOUBLE: ("<f8", 10)}
"""Of each element type: how its numbers are stored, and in which field of TensorProto where not in ``raw_data``."""

Message = Mapping[int, Sequence[int | memoryview]]
"""The values of each field by its number."""


def read_onnx(path: Path) -> FoldedGraph:
    """Reads the convolutions of the ONNX file at ``path``.

    Raises:
        FileMissingError, BundleError: no such file, or none that may be read.
        WeightsError: normalisation that is not folded, or convolutions that cannot be read.
    """
    data = read_bundle(path)
    check_foreign(data, path)
    try:
        [graph] = _inner(_message(memoryview(data)), 7)
        nodes = [_Node(message) for message in _inner(graph, 1)]
        tensors = {_text(tensor, 8): tensor for tensor in _inner(graph, 5)}
        tensors |= {node.outputs[0]: node.tensor for node in nodes if node.kind == "Constant" and node.tensor}
        strange = sorted({node.kind for node in nodes} & _NOT_FOLDED)
        if strange:
            raise ValueError(f"it has {' and '.join(strange)}, where folded convolutions are expected")
        convs, slopes = [], Counter[float]()
        for node in nodes:
            if node.kind in ("Relu", "LeakyRelu"):
                slopes[0.0 if node.kind == "Relu" else node.number("alpha", 0.01)] += 1
            elif node.kind == "Conv":
                convs.append(_convolution(node, *(_array(tensors[name]) for name in node.inputs[1:] if name)))
        return FoldedGraph(tuple(convs), slopes, _size_of(graph, tensors))
    except Exception as error:  # numpy and protobuf each raise their own for a kind or size that is none
        raise WeightsError(
            f"{path}: its convolutions cannot be read ({type(error).__name__}: {reason_of(error)})"
        ) from None


class _Node:
    """A NodeProto."""

    def __init__(self, message: Message) -> None:
        self.inputs, self.outputs = _texts(message, 1), _texts(message, 2)
        self.name, self.kind = _text(message, 3), _text(message, 4)
        self._given = {_text(each, 1): each for each in _inner(message, 5)}

    @property
    def tensor(self) -> Message | None:
        """What a constant holds; None where it is no tensor."""
        return next(iter(_inner(self._given.get("value", {}), 5)), None)

    def number(self, attribute: str, default: float) -> float:
        """The attribute as a float."""
        found = self._given.get(attribute, {}).get(2)
        return float(np.frombuffer(_bytes(found), "<f4")[0]) if found else default

    def whole(self, attribute: str, default: int) -> int:
        """The attribute as a whole number."""
        return int(self._given.get(attribute, {}).get(3, [default])[-1])

    def wholes(self, attribute: str, default: Sequence[int]) -> list[int]:
        """The attribute as whole numbers."""
        given = self._given.get(attribute)
        return list(default) if given is None else _wholes(given, 8)

    def text(self, attribute: str, default: str) -> str:
        """The attribute as a text."""
        return _text(self._given.get(attribute, {}), 4, default)


def _convolution(node: _Node, weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None) -> FoldedConv:
    name = node.name or node.outputs[0]
    if weight.ndim != 4 or node.text("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError(f"{name[:60]} has a kernel of the shape {weight.shape}, or pads by a rule")
    top, left, bottom, right = node.wholes("pads", [0] * 4)
    if (top, left) != (bottom, right) or set(node.wholes("dilations", [1])) != {1}:
        raise ValueError(f"{name[:60]} is dilated or padded unevenly")
    form = ConvForm(weight.shape, tuple(node.wholes("strides", [1, 1])), (top, left), node.whole("group", 1))
    bias = np.zeros(len(weight)) if bias is None else bias
    if bias.shape != weight.shape[:1] or not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ValueError(f"{name[:60]} has a bias of the shape {bias.shape}, or numbers that are NaN or infinite")
    return FoldedConv(name, form, weight.astype(np.float32), bias.astype(np.float32))


def _array(tensor: Message) -> npt.NDArray[Any]:
    kind = tensor.get(2, [0])[-1]
    if kind not in _NUMBERS:
        raise ValueError(f"its tensors have the element type {kind}, expected floating-point numbers")
    dtype, own_field = _NUMBERS[int(kind)]
    stored = tensor.get(9) or (tensor.get(own_field, []) if own_field else [])
    return np.frombuffer(_bytes(stored), dtype).reshape(_wholes(tensor, 1))


def _size_of(graph: Message, tensors: Mapping[str, Message]) -> tuple[int, int] | None:
    """Height and width of the one input with four axes, where they are fixed."""
    inputs = [one for one in _inner(graph, 11) if _text(one, 1) not in tensors]
    if len(inputs) != 1:
        return None
    found = [inputs[0]]
    for number in (2, 1, 2, 1):  # its type, a tensor's, its shape, the axes of that
        found = [inner for message in found for inner in _inner(message, number)]
    sizes = [axis.get(1, [0])[-1] for axis in found]
    if len(sizes) != 4 or not all(isinstance(size, int) and 0 < size < 1 << 31 for size in sizes[2:]):
        return None
    return int(sizes[2]), int(sizes[3])


def _message(data: memoryview) -> Message:
    found = defaultdict[int, list[int | memoryview]](list)
    for number, value in fields(data):
        found[number].append(value)
    return dict(found)


def _inner(message: Message, number: int) -> list[Message]:
    return [_message(value) for value in message.get(number, []) if isinstance(value, memoryview)]


def _texts(message: Message, number: int) -> list[str]:
    return [str(value, "utf-8") for value in message.get(number, []) if isinstance(value, memoryview)]


def _text(message: Message, number: int, default: str = "") -> str:
    return next(reversed(_texts(message, number)), default)


def _bytes(values: Sequence[int | memoryview]) -> bytes:
    """Numbers that are stored one by one or packed together."""
    return b"".join(value for value in values if isinstance(value, memoryview))


def _wholes(message: Message, number: int) -> list[int]:
    """Whole numbers that are stored one by one or packed together."""
    whole: list[int] = []
    for value in message.get(number, []):
        if isinstance(value, int):
            whole.append(value)
            continue
        position, found = 0, 0
        for byte in value:
            found |= (byte & 0x7F) << position
            position += 7
            if byte < 0x80:
                whole.append(found)
                position, found = 0, 0
    return whole
