"""A TFLite model, tensor by tensor and operator by operator, and the bytes of its file.

Source: TensorFlow Lite's schema (version 3), whose Python classes the package ``ai_edge_litert`` brings along.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import MissingExtraError

_IDENTIFIER = b"TFL3"
_SCHEMA_VERSION = 3
_ALIGNMENT = 16  # bytes, of the schema; ARM's kernels read weights by vectors
_OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2D",
    "CONCATENATION": "Concatenation",
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "FULLY_CONNECTED": "FullyConnected",
    "MAX_POOL_2D": "Pool2D",
    "MEAN": "Reducer",
    "SUM": "Reducer",
    "RESIZE_BILINEAR": "ResizeBilinear",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor",
    "LEAKY_RELU": "LeakyRelu",
    "TRANSPOSE_CONV": "TransposeConv",
    "TOPK_V2": "TopKV2",
    "SPLIT": "Split",
    "STRIDED_SLICE": "StridedSlice",
    "SPLIT_V": "SplitV",
    "GATHER": "Gather",
    "CAST": "Cast",
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "DIV": "Div",
    "SOFTMAX": "Softmax",
    "RESHAPE": "Reshape",
    "MAXIMUM": "MaximumMinimum",
    "MINIMUM": "MaximumMinimum",
}
"""The schema's table of an operator's attributes, for those that have any."""

_TYPES = {
    "float32": "FLOAT32",
    "float16": "FLOAT16",
    "int32": "INT32",
    "uint8": "UINT8",
    "bool": "BOOL",
    "int8": "INT8",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """What the integers of a tensor stand for: ``scale * (integer - zero_point)``, one for all or for each channel.

    Attributes:
        scale: float32 [1] or [channels].
        zero_point: integers of the same length.
        axis: of the channels.
    """

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    axis: int = 0

    def same_as(self, other: "Scale | None") -> bool:
        """Whether both stand for the same numbers."""
        return (
            other is not None
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of the model; ``scale`` is None for plain numbers."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: Scale | None = None


class ModelWriter:
    """Collects a model's single graph.

    Raises:
        MissingExtraError: ``ai_edge_litert`` is not installed.
    """

    def __init__(self) -> None:
        self._schema = import_schema()
        schema = self._schema
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators, self._graph.name = [], [], "main"
        self._buffers: list[bytes] = [b""]
        self._constants: dict[tuple[Any, ...], Tensor] = {}
        self._codes: dict[tuple[str, int], int] = {}
        self._zero_points: dict[bytes, int] = {}

    def tensor(self, shape: Sequence[int], dtype: str, scale: Scale | None = None, name: str = "") -> Tensor:
        """Adds a tensor that an operator or the user will fill."""
        return self._add(tuple(shape), dtype, scale, 0, name)

    def constant(self, value: npt.NDArray[Any], scale: Scale | None = None) -> Tensor:
        """Adds a tensor of fixed numbers; the same ones are stored once."""
        value = np.ascontiguousarray(value)
        data = value.tobytes()
        key = (data, value.shape, str(value.dtype), None if scale is None else scale.scale.tobytes())
        if key not in self._constants:
            self._buffers.append(data)
            self._constants[key] = self._add(value.shape, str(value.dtype), scale, len(self._buffers) - 1, "")
        return self._constants[key]

    def op(
        self,
        operator: str,
        inputs: Sequence[Tensor | None],
        shape: Sequence[int],
        dtype: str = "float32",
        scale: Scale | None = None,
        **options: Any,
    ) -> Tensor:
        """Adds an operator with one output; a None among the inputs is one that is left out."""
        output = self.tensor(shape, dtype, scale)
        self.ops(operator, inputs, [output], **options)
        return output

    def ops(self, operator: str, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], **options: Any) -> None:
        """Adds an operator with the outputs given."""
        schema, made = self._schema, self._schema.OperatorT()
        made.opcodeIndex = self._code(operator, _version(operator, inputs, outputs, options))
        made.inputs = [-1 if one is None else one.index for one in inputs]
        made.outputs = [one.index for one in outputs]
        if operator in _OPTIONS:
            name = f"{_OPTIONS[operator]}Options"
            made.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            made.builtinOptions = getattr(schema, f"{name}T")()
            for key, value in options.items():
                if not hasattr(made.builtinOptions, key):
                    raise AttributeError(f"{name} has no {key}")
                setattr(made.builtinOptions, key, value)
        self._graph.operators.append(made)

    def custom(self, operator: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], options: bytes) -> None:
        """Adds an operator that is not in the schema, with its options as a flexbuffer."""
        made = self._schema.OperatorT()
        made.opcodeIndex = self._code(operator, 1)
        made.inputs, made.outputs = [one.index for one in inputs], [one.index for one in outputs]
        made.customOptions = np.frombuffer(options, np.uint8)
        self._graph.operators.append(made)

    def operators_in(self, dtype: str) -> list[str]:
        """Names the operators that read or give numbers of this type."""
        schema, tensors, codes = self._schema, self._graph.tensors, list(self._codes)
        kind = getattr(schema.TensorType, _TYPES[dtype])
        return sorted(
            {
                codes[one.opcodeIndex][0]
                for one in self._graph.operators
                if any(tensors[index].type == kind for index in (*one.inputs, *one.outputs) if index >= 0)
            }
        )

    def finish(
        self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], notes: Mapping[str, bytes], description: str
    ) -> bytes:
        """Returns the file; ``notes`` are its metadata by name, such as ``TFLITE_METADATA``."""
        import flatbuffers

        schema, graph = self._schema, self._graph
        for name, tensor in {**inputs, **outputs}.items():
            graph.tensors[tensor.index].name = name
        graph.inputs = [one.index for one in inputs.values()]
        graph.outputs = [one.index for one in outputs.values()]
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs = [self._map(name, one) for name, one in inputs.items()]
        signature.outputs = [self._map(name, one) for name, one in outputs.items()]
        model = schema.ModelT()
        model.version, model.description = _SCHEMA_VERSION, description
        model.subgraphs, model.signatureDefs = [graph], [signature]
        model.operatorCodes = [self._operator_code(*one) for one in self._codes]
        model.metadata = []
        for name, data in notes.items():
            self._buffers.append(data)
            entry = schema.MetadataT()
            entry.name, entry.buffer = name, len(self._buffers) - 1
            model.metadata.append(entry)
        model.buffers = [_AlignedBuffer(schema, data) for data in self._buffers]
        self._zero_points.clear()
        builder = flatbuffers.Builder(sum(map(len, self._buffers)) + 100_000)
        builder.Finish(model.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())

    def _add(self, shape: tuple[int, ...], dtype: str, scale: Scale | None, buffer: int, name: str) -> Tensor:
        made = self._schema.TensorT()
        index = len(self._graph.tensors)
        made.shape, made.buffer, made.name = [int(side) for side in shape], buffer, name or f"tensor_{index}"
        made.type = getattr(self._schema.TensorType, _TYPES[dtype])
        if scale is not None:
            made.quantization = _PackedScale(self._schema, scale, self._zero_points)
        self._graph.tensors.append(made)
        return Tensor(index, tuple(int(side) for side in shape), dtype, scale)

    def _code(self, operator: str, version: int) -> int:
        return self._codes.setdefault((operator, version), len(self._codes))

    def _operator_code(self, operator: str, version: int) -> Any:
        made = self._schema.OperatorCodeT()
        made.builtinCode = getattr(self._schema.BuiltinOperator, operator, self._schema.BuiltinOperator.CUSTOM)
        if made.builtinCode == self._schema.BuiltinOperator.CUSTOM:
            made.customCode = operator
        made.deprecatedBuiltinCode, made.version = min(made.builtinCode, 127), version
        return made

    def _map(self, name: str, tensor: Tensor) -> Any:
        made = self._schema.TensorMapT()
        made.name, made.tensorIndex = name, tensor.index
        return made


class _AlignedBuffer:
    """Packs a buffer at the alignment that the schema asks for, which the generated classes do not."""

    def __init__(self, schema: Any, data: bytes) -> None:
        self._schema, self._data = schema, data

    def Pack(self, builder: Any) -> int:  # noqa: N802  # the schema's name
        offset = 0
        if self._data:
            builder.StartVector(1, len(self._data), _ALIGNMENT)
            builder.head = builder.head - len(self._data)
            builder.Bytes[builder.Head() : builder.Head() + len(self._data)] = self._data
            offset = builder.EndVector()
        self._schema.BufferStart(builder)
        if offset:
            self._schema.BufferAddData(builder, offset)
        packed: int = self._schema.BufferEnd(builder)
        return packed


class _PackedScale:
    """Packs a scale; equal zero points, 8 bytes a channel and mostly 0, are stored once for all tensors.

    LiteRT wants as many as there are scales. Of a MobileNetV2 they would be a tenth of the file.
    """

    def __init__(self, schema: Any, scale: Scale, stored: dict[bytes, int]) -> None:
        self._schema, self._scale, self._stored = schema, scale, stored

    def Pack(self, builder: Any) -> int:  # noqa: N802  # the schema's name
        schema, zero_points = self._schema, np.asarray(self._scale.zero_point, np.int64)
        scales = builder.CreateNumpyVector(np.asarray(self._scale.scale, np.float32))
        key = zero_points.tobytes()
        if key not in self._stored:
            self._stored[key] = builder.CreateNumpyVector(zero_points)
        schema.QuantizationParametersStart(builder)
        schema.QuantizationParametersAddScale(builder, scales)
        schema.QuantizationParametersAddZeroPoint(builder, self._stored[key])
        schema.QuantizationParametersAddQuantizedDimension(builder, self._scale.axis)
        packed: int = schema.QuantizationParametersEnd(builder)
        return packed


_INT8_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "TRANSPOSE_CONV": 3,
    "RESHAPE": 1,
    "HARD_SWISH": 1,
    "SELECT_V2": 1,
    "RELU_0_TO_1": 1,
}
"""The versions of operators that take int8; of all others it is 2."""


def _version(
    operator: str, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], options: Mapping[str, Any]
) -> int:
    """The version of an operator that these tensors and options need: runtimes that lack it refuse the file."""
    types = [one.dtype for one in inputs if one is not None]
    weights_alone = len(types) > 1 and types[0] == "float32" and types[1] == "int8"
    if weights_alone:
        return {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 12}.get(operator, 1)
    if operator == "DEQUANTIZE":
        return {"float16": 3, "int8": 2}.get(types[0], 1)
    if operator in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR") and options.get("halfPixelCenters"):
        return 3
    if "int8" in types:
        return _INT8_VERSIONS.get(operator, 2)
    if operator == "TRANSPOSE_CONV" and len(types) > 3:
        return 3
    if operator == "FULLY_CONNECTED" and len(types) < 3:
        return 6
    if operator in ("DEPTHWISE_CONV_2D",) and options.get("dilationHFactor", 1) > 1:
        return 2
    if operator in ("EQUAL", "CAST") and "bool" in types:
        return {"EQUAL": 3}.get(operator, 1)
    return {"SELECT_V2": 1, "BROADCAST_TO": 2}.get(operator, 1)


def import_schema() -> Any:
    """Imports the schema's classes.

    Raises:
        MissingExtraError: ``ai_edge_litert`` is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        raise MissingExtraError.of("Writing and checking LiteRT files", "litert") from None
    return schema_py_generated
