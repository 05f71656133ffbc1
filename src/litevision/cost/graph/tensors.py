"""Tensors of a graph: how large they are, and which of them are constant."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
from onnx import TensorProto, TypeProto, numpy_helper
from onnx.helper import get_all_tensor_dtypes, tensor_dtype_to_np_dtype

_BITS: dict[int, int] = {
    int(TensorProto.UINT2): 2,
    int(TensorProto.INT2): 2,
    int(TensorProto.UINT4): 4,
    int(TensorProto.INT4): 4,
    int(TensorProto.FLOAT4E2M1): 4,
    int(TensorProto.FLOAT6E2M3): 6,
    int(TensorProto.FLOAT6E3M2): 6,
}
_DTYPES = frozenset(get_all_tensor_dtypes())
_INTEGERS = frozenset(
    {TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.UINT32, TensorProto.UINT64, TensorProto.STRING}
)


@dataclass(frozen=True)
class Tensor:
    """The shape and element type of a tensor; ``shape`` is None where one of its axes is not known."""

    shape: tuple[int, ...] | None
    elem_type: int

    @property
    def numel(self) -> int | None:
        """Its elements."""
        return None if self.shape is None else prod(self.shape)

    @property
    def bytes(self) -> int | None:
        """Its bytes; None where the shape is not known, or the elements are of no fixed size."""
        bits = bits_of(self.elem_type)
        return None if self.shape is None or bits is None else (prod(self.shape) * bits + 7) // 8

    @property
    def counts_things(self) -> bool:
        """Whether it is of an integer type that weights are never stored in."""
        return self.elem_type in _INTEGERS


SMALL = 1024  # elements: what holds a shape or a bound has fewer, what has more is a weight
UNKNOWN_TENSOR = Tensor(None, TensorProto.UNDEFINED)


def bits_of(elem_type: int) -> int | None:
    """Bits of one element; None where that is no fixed number, or not known to this version of onnx."""
    if elem_type in _BITS:
        return _BITS[elem_type]
    if elem_type not in _DTYPES or elem_type in (TensorProto.UNDEFINED, TensorProto.STRING):
        return None
    return 8 * tensor_dtype_to_np_dtype(elem_type).itemsize


def tensor_of_type(kind: TypeProto) -> Tensor:
    """The tensor that ``kind`` describes."""
    if not kind.HasField("tensor_type"):
        return UNKNOWN_TENSOR
    dims = kind.tensor_type.shape.dim
    sides = tuple(dim.dim_value for dim in dims if dim.HasField("dim_value") and dim.dim_value >= 0)
    is_known = kind.tensor_type.HasField("shape") and len(sides) == len(dims)
    return Tensor(sides if is_known else None, kind.tensor_type.elem_type)


def constant_of(node: onnx.NodeProto) -> TensorProto | None:
    """The value of a Constant node; None where it is of a form without a tensor (text, sparse)."""
    for attribute in node.attribute:
        if attribute.name == "value":
            value: TensorProto = attribute.t
            return value
        if attribute.name in ("value_float", "value_int", "value_floats", "value_ints"):
            numbers = onnx.helper.get_attribute_value(attribute)
            dtype = np.float32 if "float" in attribute.name else np.int64
            return numpy_helper.from_array(np.asarray(numbers, dtype))
    return None


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs among its attributes, such as the branches of an If."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_tensors(nodes: Iterable[onnx.NodeProto], graphs: Iterable[onnx.GraphProto]) -> Iterator[TensorProto]:
    """Every constant of ``nodes`` and ``graphs``, those of their subgraphs included."""
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        yield from all_tensors(graph.node, ())
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        yield from all_tensors((), subgraphs(node))


def read_by(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that it reads; those that its subgraphs take from outside come last."""
    is_cast_like = node.op_type == "CastLike"  # asks its second input for its type alone
    yield from filter(None, node.input[:1] if is_cast_like else node.input)
    for graph in subgraphs(node):
        own = {value.name for value in (*graph.input, *graph.initializer)}
        own.update(output for inner in graph.node for output in inner.output)
        for inner in graph.node:
            yield from (name for name in read_by(inner) if name not in own)
        yield from (value.name for value in graph.output if value.name not in own)
