"""Kind, geometry and multiply-adds of one node, from its attributes and the shapes of what it reads and writes."""

from dataclasses import dataclass
from math import prod

from onnx import AttributeProto, NodeProto

from litevision.cost.graph import operators, products
from litevision.cost.graph.constants import Constants
from litevision.cost.graph.shapes import Shapes
from litevision.cost.graph.stand_ins import ATTENTION, StandIn, channels_first, stand_in
from litevision.cost.rows import Shape


@dataclass(frozen=True)
class OpSpec:
    """Kind, geometry and multiply-adds of a node.

    Attributes:
        kernel: what a convolution or pool slides over its map; None for what slides nothing. ``stride`` and
            ``dilation`` alike.
        weight: the input that is its weight, if one is.
        macs: None where they cannot be known; ``note`` says why.
    """

    kind: str
    kernel: Shape | None = None
    stride: Shape | None = None
    dilation: Shape | None = None
    groups: int = 1
    weight: str | None = None
    macs: int | None = 0
    note: str = ""


def op_spec(node: NodeProto, shapes: Shapes, constants: Constants) -> OpSpec:
    """Derive kind, geometry and multiply-adds of ``node`` from its attributes and ``shapes``."""
    is_standard = operators.is_standard(node)
    if (is_standard and node.op_type in products.NAMES) or (node.domain, node.op_type) in ATTENTION:
        return _composed(node, shapes, is_standard=is_standard)
    twin = stand_in(node)
    if twin is not None and twin.node.op_type in operators.FREE:
        return _free(twin.node, shapes)
    if twin is not None and twin.node.op_type in operators.OPERANDS:
        return _counted(twin, shapes, constants)
    reason = _REASONS.get(node.op_type, "") if is_standard else ""
    note = f"the multiply-adds of {operators.operator_of(node)} are not known here{reason}"
    return OpSpec("unknown", macs=None, note=note)


_REASONS = {
    "If": ": which branch runs hangs on the input",
    "Loop": ": how often its body runs is known only when it runs",
    "Scan": ": how often its body runs is known only when it runs",
}


def _composed(node: NodeProto, shapes: Shapes, *, is_standard: bool) -> OpSpec:
    macs = products.composed_macs(node, shapes, is_standard=is_standard)
    if macs is not None:
        return OpSpec(operators.kind_of(node.op_type), macs=macs)
    reason = "a shape is not known"
    if node.op_type == "Einsum":
        reason += ", or its factors are more than two and have no one order"
    return OpSpec(
        "unknown", macs=None, note=f"the multiply-adds of {operators.operator_of(node)} are not known: {reason}"
    )


def _counted(twin: StandIn, shapes: Shapes, constants: Constants) -> OpSpec:
    node = twin.node
    left, right = (node.input[slot] if slot < len(node.input) else "" for slot in operators.OPERANDS[node.op_type])
    is_product = node.op_type in operators.PRODUCTS
    weight: str | None = right
    if is_product and right not in constants:
        weight = left if left in constants else None
    names = (left, right, node.output[0] if node.output else "")
    found = [shapes.shape(name) for name in names]
    kind = ("linear" if weight else "matmul") if is_product else _convolution_kind(node, found[1])
    x, w, y = found
    if x is None or w is None or y is None:
        missing = names[found.index(None)]
        fault = shapes.faults.get(names[2])
        note = f"the shape of {missing!r} is not known" + (f" ({fault})" if fault else "")
        return OpSpec(kind, weight=weight, macs=None, note=note)
    if twin.channels_last:
        x, y = channels_first(x), channels_first(y)
    x, w = (_transposed(shape) if swap else shape for shape, swap in zip((x, w), twin.transposed, strict=True))
    if is_product:
        return _product(node, OpSpec(kind, weight=weight), x, w, y)
    return _convolution(node, OpSpec(kind, weight=weight), x, w, y)


def _transposed(shape: Shape) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if len(shape) > 1 else shape


def _product(node: NodeProto, spec: OpSpec, x: Shape, w: Shape, y: Shape) -> OpSpec:
    is_gemm = node.op_type == "Gemm"
    depth = x[0] if is_gemm and _int(node, "transA", 0) else x[-1]
    across = -1 if is_gemm and _int(node, "transB", 0) else -2
    if depth != w[across if len(w) > 1 else 0]:
        return OpSpec(spec.kind, weight=spec.weight, macs=None, note=f"{x} does not multiply with {w}")
    return OpSpec(spec.kind, weight=spec.weight, macs=prod(y) * depth)


def _convolution(node: NodeProto, spec: OpSpec, x: Shape, w: Shape, y: Shape) -> OpSpec:
    kernel, groups = w[2:], _int(node, "group", 1)
    is_transposed = node.op_type == "ConvTranspose"
    in_channels = w[0] if is_transposed else w[1] * groups
    ones = (1,) * len(kernel)
    fits = len(x) == len(w) and x[1] == in_channels
    return OpSpec(
        spec.kind,
        kernel,
        _ints(node, "strides") or ones,
        _ints(node, "dilations") or ones,
        groups,
        spec.weight,
        (prod(x) * prod(w[1:]) if is_transposed else prod(y) * prod(w[1:])) if fits else None,
        "" if fits else f"a weight of {w} in {groups} groups does not fit {x}",
    )


def _convolution_kind(node: NodeProto, w: Shape | None) -> str:
    groups = _int(node, "group", 1)
    if node.op_type == "ConvTranspose":
        return "conv_transpose"
    if w is not None and w[1:2] == (1,) and groups > 1:
        return "depthwise_conv"
    return "pointwise_conv" if w is not None and groups == 1 and set(w[2:]) == {1} else "conv"


def _free(node: NodeProto, shapes: Shapes) -> OpSpec:
    kind = operators.kind_of(node.op_type)
    x = shapes.shape(node.input[0]) if node.input else None
    map_axes = None if x is None else x[2:]
    if kind == "clip":
        return OpSpec("relu6" if [_bound(node, i, shapes) for i in (1, 2)] == [0, 6] else kind)
    if kind == "mean":
        is_pool = x is not None and len(x) == 4 and _axes(node, shapes, 4) == {2, 3}
        return OpSpec("avg_pool", map_axes, map_axes) if is_pool else OpSpec(kind)
    if kind == "transpose" and x is not None and len(x) == 5:
        return OpSpec("shuffle")  # of channels viewed as groups of channels
    if node.op_type.startswith("Global"):
        return OpSpec(kind, map_axes, map_axes)
    kernel = _ints(node, "kernel_shape")
    return OpSpec(kind, kernel, _ints(node, "strides") or (1,) * len(kernel)) if kernel else OpSpec(kind)


def _bound(node: NodeProto, place: int, shapes: Shapes) -> float | None:
    """A bound of Clip: an attribute before opset 11, an input since."""
    for attribute in node.attribute:
        if attribute.name == ("min", "max")[place - 1]:
            return float(attribute.f)
    value = shapes.value(node.input[place]) if place < len(node.input) else None
    return float(value.item()) if value is not None and value.size == 1 else None


def _axes(node: NodeProto, shapes: Shapes, rank: int) -> set[int]:
    """The axes of a reduction: an attribute before opset 18, an input since."""
    axes = _ints(node, "axes")
    value = shapes.value(node.input[1]) if len(node.input) > 1 else None
    return {int(axis) % rank for axis in (axes or (value.ravel().tolist() if value is not None else ()))}


def _int(node: NodeProto, name: str, default: int) -> int:
    found = (a.i for a in node.attribute if a.name == name and a.type == AttributeProto.INT)
    return next(found, default)


def _ints(node: NodeProto, name: str) -> Shape | None:
    found = (tuple(a.ints) for a in node.attribute if a.name == name and a.type == AttributeProto.INTS)
    return next(found, None) or None
