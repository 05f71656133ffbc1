"""Header of ONNX files: what must be known before an engine may load one, read without the onnx package.

ONNX is protobuf: a message is a run of fields, each a varint key (number << 3 | wire type) and a value.
Source: onnx/onnx.proto (IR version 13).
"""

from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_OTHER_FORMATS = {b"ORTM": "onnxruntime's own format", b"TFL3": "TensorFlow Lite"}
"""What the flatbuffers of other formats have at bytes 4 to 8, where ONNX can have any text."""

_FIELD_NUMBERS = 1 << 29
_IR_VERSION, _GRAPH, _OPSET, _METADATA, _FUNCTION = 1, 7, 8, 14, 25  # fields of ModelProto
_OPSET_VERSION = 2  # a field of OperatorSetIdProto
_MOST_VERSIONS = 10_000  # an engine may go through all that are older; the newest of today is 26
_OP_TYPE = 4  # a field of NodeProto
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14  # fields of TensorProto
_DEFAULT_LOCATION, _EXTERNAL_LOCATION = 0, 1

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
    """What must be known of an ONNX file.

    Attributes:
        metadata: its texts by key.
        external_tensors: the names of the tensors whose values it keeps in other files.
        op_types: the names of the operators that its nodes call, in all its graphs.
        has_functions: whether it defines operators of its own.
    """

    metadata: dict[str, str]
    external_tensors: tuple[str, ...]
    op_types: frozenset[str] = frozenset()
    has_functions: bool = False


def read_header(data: bytes) -> OnnxHeader:
    """Parse the header of an ONNX file.

    Raises:
        ValueError: the bytes are no ONNX file, a cut one, or one that two readers of protobuf may take differently.
    """
    if other := _OTHER_FORMATS.get(data[4:8]):
        raise ValueError(f"it can be read as {other} too, as another model")
    view = memoryview(data)
    metadata: dict[str, str] = {}
    numbers = set()
    for number, value in fields(view):
        numbers.add(number)
        if number == _METADATA and isinstance(value, memoryview):
            entry = {key: str(text, "utf-8") for key, text in fields(value) if isinstance(text, memoryview)}
            if entry.get(1, "") in metadata:
                raise ValueError(f"it holds the metadata {entry.get(1, '')!r} twice")
            metadata[entry.get(1, "")] = entry.get(2, "")
        if number == _OPSET and isinstance(value, memoryview):
            for key, version in fields(value):
                if key == _OPSET_VERSION and not (isinstance(version, int) and version <= _MOST_VERSIONS):
                    raise ValueError("it asks for operators of a version that is none")
    if not {_IR_VERSION, _GRAPH} <= numbers:
        raise ValueError("it holds no ONNX graph")
    op_types: set[bytes] = set()
    external = tuple(_external_tensors(view, op_types))
    return OnnxHeader(
        metadata, external, frozenset(str(it, "utf-8", "replace") for it in op_types), _FUNCTION in numbers
    )


def _external_tensors(model: memoryview, op_types: set[bytes]) -> Iterator[str]:
    """The names of the tensors in other files; gathers the types of the nodes on its way."""
    pending = [("model", model)]  # a list, not recursion: a hostile file may nest without end
    while pending:
        kind, message = pending.pop()
        if kind == "tensor":
            if (name := _external_name(message)) is not None:
                yield name
            continue
        for number, value in fields(message):
            child = _CHILDREN[kind].get(number)
            if child and isinstance(value, memoryview):
                pending.append((child, value))
            elif number == _OP_TYPE and kind == "node" and isinstance(value, memoryview):
                op_types.add(bytes(value))


def _external_name(tensor: memoryview) -> str | None:
    """The tensor's name where its values lie, or may lie, in another file.

    The engines read the file with parsers of their own. What those could take in another way than this one (a location
    that is written twice, as another wire type, or wider than its 32 bits) is therefore refused, not interpreted.
    """
    name, external, locations = "?", False, 0
    for number, value in fields(tensor):
        if number == _TENSOR_NAME and isinstance(value, memoryview):
            name = str(value, "utf-8", "replace")
        elif number == _EXTERNAL_DATA:
            external = True
        elif number == _DATA_LOCATION:
            locations += 1
            if locations > 1 or value not in (_DEFAULT_LOCATION, _EXTERNAL_LOCATION):
                raise ValueError("it does not say plainly whether a tensor's values lie in another file")
            external = external or value == _EXTERNAL_LOCATION
    return name if external else None


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Walk through a message of protobuf.

    Yields:
        each field's number, with its integer or its bytes.

    Raises:
        ValueError: it is none, or cut.
    """
    position, end = 0, len(message)
    while position < end:
        # A varint of one byte, as nearly all are, is read in place: this walk is most of what a cold start computes.
        key, position = message[position], position + 1
        if key >= 0x80:
            key, position = varint(message, position - 1)
        number, wire = key >> 3, key & 7
        if not 0 < number < _FIELD_NUMBERS:
            raise ValueError(f"it is no protobuf: field {number}")
        if wire in (_VARINT, _BYTES):
            if position < end and message[position] < 0x80:
                length, position = message[position], position + 1
            else:
                length, position = varint(message, position)
            if wire == _VARINT:
                yield number, length
                continue
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"it is no protobuf: wire type {wire}")
        if position + length > end:
            raise ValueError("it is cut short, or no protobuf")
        yield number, message[position : position + length]
        position += length


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """Read an integer of protobuf's at ``position``; returns it and where the next thing begins.

    Raises:
        ValueError: it is cut, or longer than it has to be.
    """
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64 or (shift and not byte):
                raise ValueError("it is no canonical protobuf: a number is longer than it has to be")
            return value, position
    raise ValueError("it is cut short, or no protobuf")
