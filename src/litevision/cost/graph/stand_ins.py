"""ONNX's own operator in the place of an engine's: what onnxruntime's optimiser and its quantiser write into files.

Source: onnxruntime's docs/ContribOperators.md, and the operators of its NCHWc and NHWC transformers.
"""

from collections.abc import Sequence
from typing import NamedTuple

from onnx import AttributeProto, NodeProto, TypeProto

_MICROSOFT = "com.microsoft"
_BLOCKED = "com.microsoft.nchwc"
_NHWC = "com.ms.internal.nhwc"

ATTENTION = frozenset({(_MICROSOFT, "Attention"), (_MICROSOFT, "MultiHeadAttention")})
"""Of which nothing of ONNX's own takes the place: domain and operator."""

_QUANTISED_UNARY = ("AveragePool", "GlobalAveragePool", "LeakyRelu", "ReduceMean", "Sigmoid", "Softmax")

# Domain, operator: ONNX's own operator, and the places of its inputs.
_STAND_INS: dict[tuple[str, str], tuple[str, tuple[int, ...]]] = {
    (_MICROSOFT, "FusedConv"): ("Conv", (0, 1, 2)),
    (_MICROSOFT, "NhwcFusedConv"): ("Conv", (0, 1, 2)),
    (_MICROSOFT, "NhwcMaxPool"): ("MaxPool", (0,)),
    (_MICROSOFT, "FusedGemm"): ("Gemm", (0, 1, 2)),
    (_MICROSOFT, "FusedMatMul"): ("MatMul", (0, 1)),
    (_MICROSOFT, "FusedMatMulActivation"): ("MatMul", (0, 1)),
    (_MICROSOFT, "TransposeMatMul"): ("MatMul", (0, 1)),
    (_MICROSOFT, "MatMulIntegerToFloat"): ("MatMul", (0, 1)),
    (_MICROSOFT, "DynamicQuantizeMatMul"): ("MatMul", (0, 1)),
    (_MICROSOFT, "QGemm"): ("Gemm", (0, 3, 6)),
    (_MICROSOFT, "QLinearConv"): ("QLinearConv", tuple(range(9))),
    (_MICROSOFT, "QLinearAdd"): ("Add", (0, 3)),
    (_MICROSOFT, "QLinearMul"): ("Mul", (0, 3)),
    (_MICROSOFT, "QLinearMatMul"): ("QLinearMatMul", tuple(range(8))),
    (_MICROSOFT, "QuantizeLinear"): ("QuantizeLinear", (0, 1, 2)),
    (_MICROSOFT, "DequantizeLinear"): ("DequantizeLinear", (0, 1, 2)),
    (_MICROSOFT, "Gelu"): ("Gelu", (0,)),
    (_MICROSOFT, "FastGelu"): ("Gelu", (0,)),
    (_MICROSOFT, "QuickGelu"): ("Gelu", (0,)),
    (_MICROSOFT, "BiasGelu"): ("Add", (0, 1)),
    (_MICROSOFT, "GridSample"): ("GridSample", (0, 1)),
    (_BLOCKED, "Conv"): ("Conv", (0, 1, 2)),
    (_NHWC, "Conv"): ("Conv", (0, 1, 2)),
    (_NHWC, "QLinearConv"): ("QLinearConv", tuple(range(9))),
    **{(_MICROSOFT, f"QLinear{name}"): (name, (0,)) for name in _QUANTISED_UNARY},
    **{
        (domain, name): (name, (0,))
        for domain in (_BLOCKED, _NHWC)
        for name in ("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool")
    },
    (_BLOCKED, "ReorderInput"): ("Identity", (0,)),
    (_BLOCKED, "ReorderOutput"): ("Identity", (0,)),
}
# Attributes that the stand-in does not know.
_FOREIGN = frozenset(
    {"activation", "activation_params", "alpha_activation", "channels_last", "channels", "transBatchA", "transBatchB"}
)


class StandIn(NamedTuple):
    """A node of ONNX's own operator with the outputs of the node whose place it takes.

    Attributes:
        node: the node itself, where its operator is ONNX's own.
        channels_last: its maps are [N, H, W, C].
        transposed: whether the left and the right factor of a matrix product are transposed first.
        channels: of its map, where the node cuts off those that fill a block up; 0 for no such node.
    """

    node: NodeProto
    channels_last: bool = False
    transposed: tuple[bool, bool] = (False, False)
    channels: int = 0


def stand_in(node: NodeProto) -> StandIn | None:
    """Return what stands in for ``node``; None where its operator is not known here."""
    if node.domain in ("", "ai.onnx"):
        return StandIn(node)
    if (node.domain, node.op_type) == (_MICROSOFT, "QLinearConcat"):
        op_type, places = "Concat", tuple(range(2, len(node.input), 3))
    elif (node.domain, node.op_type) in _STAND_INS:
        op_type, places = _STAND_INS[node.domain, node.op_type]
    else:
        return None
    numbers = {a.name: a.i for a in node.attribute if a.type == AttributeProto.INT}
    is_product = op_type == "MatMul"
    twin = NodeProto(op_type=op_type, name=node.name, output=node.output)
    twin.input.extend(node.input[place] for place in places if place < len(node.input))
    ours = {"transA", "transB", "alpha"} if is_product else set()
    if op_type in ("Add", "Identity", "Gelu", "Mul"):
        ours |= {a.name for a in node.attribute}
    twin.attribute.extend(a for a in node.attribute if a.name not in _FOREIGN | ours)
    return StandIn(
        twin,
        channels_last=node.domain == _NHWC or node.op_type.startswith("Nhwc") or bool(numbers.get("channels_last")),
        transposed=(bool(numbers.get("transA")), bool(numbers.get("transB"))) if is_product else (False, False),
        channels=numbers.get("channels", 0) if node.op_type == "ReorderOutput" else 0,
    )


def channels_first(shape: Sequence[int]) -> tuple[int, ...]:
    """[N, H, W, C] as [N, C, H, W]; a shape of fewer axes stays."""
    return (shape[0], shape[-1], *shape[1:-1]) if len(shape) > 2 else tuple(shape)


def channels_last(shape: Sequence[int]) -> tuple[int, ...]:
    """[N, C, H, W] as [N, H, W, C]; a shape of fewer axes stays."""
    return (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else tuple(shape)


def with_axes(kind: TypeProto, order: Sequence[int]) -> TypeProto:
    """``kind`` of a tensor with its axes in another order; one of another rank stays."""
    moved = TypeProto()
    moved.CopyFrom(kind)
    dims = list(kind.tensor_type.shape.dim)
    if len(dims) == len(order):
        del moved.tensor_type.shape.dim[:]
        moved.tensor_type.shape.dim.extend(dims[axis] for axis in order)
    return moved
