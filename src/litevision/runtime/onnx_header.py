"""What must be known of an ONNX file before an engine may load it, read from its bytes without the onnx package.

ONNX is protobuf: a message is a run of fields, each a varint key (number << 3 | wire type) and a value.
Source: onnx/onnx.proto (IR version 13).
"""

from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_IR_VERSION, _GRAPH, _METADATA = 1, 7, 14  # fields of ModelProto
_TENSOR_NAME, _TENSOR_LOCATION, _LOCATION_EXTERNAL = 8, 14, 1  # fields of TensorProto, and a value

# The fields of each message through which a tensor can be reached.
_CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """The metadata of an ONNX file, and the names of the tensors whose values it keeps in other files."""

    metadata: dict[str, str]
    external_tensors: tuple[str, ...]


def read_header(data: bytes) -> OnnxHeader:
    """The header of an ONNX file.

    Raises:
        ValueError: the bytes are no ONNX file, or a cut one.
    """
    view = memoryview(data)
    metadata: dict[str, str] = {}
    numbers = set()
    for number, value in _fields(view):
        numbers.add(number)
        if number == _METADATA and isinstance(value, memoryview):
            entry = {key: str(text, "utf-8") for key, text in _fields(value) if isinstance(text, memoryview)}
            metadata[entry.get(1, "")] = entry.get(2, "")
    if not {_IR_VERSION, _GRAPH} <= numbers:
        raise ValueError("it holds no ONNX graph")
    return OnnxHeader(metadata, tuple(_external_tensors(view)))


def _external_tensors(model: memoryview) -> Iterator[str]:
    pending = [("model", model)]  # a list, not recursion: a hostile file may nest without end
    while pending:
        kind, message = pending.pop()
        if kind == "tensor":
            tensor = dict(_fields(message))
            if tensor.get(_TENSOR_LOCATION) == _LOCATION_EXTERNAL:
                name = tensor.get(_TENSOR_NAME)
                yield str(name, "utf-8", "replace") if isinstance(name, memoryview) else "?"
            continue
        for number, value in _fields(message):
            child = _CHILDREN[kind].get(number)
            if child and isinstance(value, memoryview):
                pending.append((child, value))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number, with its integer or its bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(message, position)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"it is no protobuf: wire type {wire}")
        if position + length > len(message):
            raise ValueError("it is cut short, or no protobuf")
        yield number, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("it is cut short, or no protobuf")
