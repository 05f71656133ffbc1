"""What becomes of each ONNX operator in TFLite: a row of ``OPERATORS`` each."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnx

from litevision.errors import ExportError
from litevision.exporting.litert import layers
from litevision.exporting.litert.lowering import Array, Lowering, Stored, attributes_of, regrouped
from litevision.exporting.litert.model_writer import Scale, Tensor

_TYPES = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.INT64: "int32",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.BOOL: "bool",
}


def _unary(operator: str, g: Lowering, node: onnx.NodeProto, **options: Any) -> None:
    found = g.get(node.input[0])
    x = found.tensor
    g.put(node.output[0], g.writer.op(operator, [x], x.shape, x.dtype, **options), found.order)


def _relu(g: Lowering, node: onnx.NodeProto) -> None:
    _unary("RELU", g, node)
    g.nonnegative.add(node.output[0])


def _leaky_relu(g: Lowering, node: onnx.NodeProto) -> None:
    _unary("LEAKY_RELU", g, node, alpha=attributes_of(node).get("alpha", 0.01))


def _clip(g: Lowering, node: onnx.NodeProto) -> None:
    kind = g.activation_kind(node)
    if kind is not None:
        _unary(kind, g, node)
        g.nonnegative.add(node.output[0])
        return
    found = g.get(node.input[0])
    x = found.tensor
    for name, operator in zip(node.input[1:], ("MAXIMUM", "MINIMUM"), strict=False):
        if name:
            x = g.writer.op(operator, [x, g.get(name).tensor], x.shape, x.dtype)
    g.put(node.output[0], x, found.order)


def _hard_sigmoid(g: Lowering, node: onnx.NodeProto) -> None:
    """min(max(a x + b, 0), 1) as relu6(6 a x + 6 b) / 6, whose two steps every processor has."""
    given, found = attributes_of(node), g.get(node.input[0])
    slope, shift = 6 * given.get("alpha", 0.2), 6 * given.get("beta", 0.5)
    x = found.tensor
    if abs(slope - 1) > 1e-6:
        x = g.writer.op("MUL", [x, g.writer.constant(np.array(slope, np.float32))], x.shape)
    shifted = g.writer.constant(np.array(shift, np.float32))
    x = g.writer.op("ADD", [x, shifted], x.shape, fusedActivationFunction=3)
    sixth = g.writer.constant(np.array(1 / 6, np.float32))
    g.put(node.output[0], g.writer.op("MUL", [x, sixth], x.shape), found.order)


def _binary(operator: str, g: Lowering, node: onnx.NodeProto) -> None:
    pair = [_Operand(g, name) for name in node.input]
    order = next((one.stored.order for one in pair if one.stored is not None), ())
    rank = max(len(g.shape(name)) for name in node.input)
    if any(one.stored is not None and len(one.stored.order) != rank for one in pair):
        order = tuple(range(rank))  # numbers of axes are made equal in ONNX's order alone
    elif len(order) != rank:
        order = tuple(range(rank))
    inputs = [one.tensor(g, order) for one in pair]
    result, activation = node.output[0], 0
    options: dict[str, Any] = {}
    is_truth = operator in ("EQUAL", "LESS", "GREATER", "LOGICAL_AND")
    if operator in ("ADD", "SUB", "MUL", "DIV"):
        if inputs[0].dtype == "float32":
            result, activation = g.activation(result)
        options["fusedActivationFunction"] = activation
    shape = [g.shape(result)[axis] for axis in order]
    made = g.writer.op(operator, inputs, shape, "bool" if is_truth else inputs[0].dtype, **options)
    g.put(result, made, order)


class _Operand:
    """An input of an operator that works element by element: a tensor, or a constant, which any order is free for."""

    def __init__(self, g: Lowering, name: str) -> None:
        self.name = name
        self.value: Array | None = g.constants.get(name)
        self.stored: Stored | None = None if self.value is not None else g.get(name)

    def tensor(self, g: Lowering, order: tuple[int, ...]) -> Tensor:
        if self.value is None:
            rank = len(g.shape(self.name))
            return g.get(self.name, order if rank == len(order) else range(rank)).tensor
        value = self.value.reshape((1,) * (len(order) - self.value.ndim) + self.value.shape).transpose(order)
        while value.ndim and value.shape[0] == 1:
            value = value[0]
        return g.writer.constant(value)


def _mul(g: Lowering, node: onnx.NodeProto) -> None:
    if not layers.affine(g, node):
        _binary("MUL", g, node)


def _where(g: Lowering, node: onnx.NodeProto) -> None:
    order = g.get(node.input[0]).order
    inputs = [_Operand(g, name).tensor(g, order) for name in node.input]
    shape = [g.shape(node.output[0])[axis] for axis in order]
    g.put(node.output[0], g.writer.op("SELECT_V2", inputs, shape, inputs[1].dtype), order)


def _cast(g: Lowering, node: onnx.NodeProto) -> None:
    found, to = g.get(node.input[0]), _TYPES.get(attributes_of(node)["to"])
    x = found.tensor
    if to is None:
        raise ExportError(f"{node.name}: a conversion to a type that LiteRT files of ours have not")
    if x.dtype == "uint8":  # raw pixels: integers whose scale is 1
        x = g.writer.op("DEQUANTIZE", [x], x.shape)
    if x.dtype != to:
        x = g.writer.op("CAST", [x], x.shape, to)
    g.put(node.output[0], x, found.order)


def _softmax(g: Lowering, node: onnx.NodeProto) -> None:
    x = g.plain(node.input[0]).tensor
    if attributes_of(node).get("axis", -1) % len(x.shape) != len(x.shape) - 1:
        raise ExportError(f"{node.name}: a softmax over another axis than the last")
    g.put(node.output[0], g.writer.op("SOFTMAX", [x], x.shape, beta=1.0))


def _transpose(g: Lowering, node: onnx.NodeProto) -> None:
    found = g.get(node.input[0])
    permutation = attributes_of(node).get("perm") or range(len(found.order))[::-1]
    g.put(node.output[0], found.tensor, [list(permutation).index(axis) for axis in found.order])


def _reshape(g: Lowering, node: onnx.NodeProto) -> None:
    before, after = g.shape(node.input[0]), g.shape(node.output[0])
    first, second = regrouped(before, after, g.get(node.input[0]).order)
    x = g.get(node.input[0], first).tensor
    g.put(node.output[0], g.reshape(x, [after[axis] for axis in second]), second)
    if node.input[0] in g.nonnegative:
        g.nonnegative.add(node.output[0])


def _identity(g: Lowering, node: onnx.NodeProto) -> None:
    found = g.get(node.input[0])
    g.put(node.output[0], found.tensor, found.order)


def _concat(g: Lowering, node: onnx.NodeProto) -> None:
    order = g.get(node.input[0]).order
    inputs = [g.get(name, order).tensor for name in node.input]
    axis = attributes_of(node)["axis"] % len(order)
    shape = [g.shape(node.output[0])[each] for each in order]
    made = g.writer.op("CONCATENATION", inputs, shape, inputs[0].dtype, axis=order.index(axis))
    g.put(node.output[0], made, order)
    if all(name in g.nonnegative for name in node.input):
        g.nonnegative.add(node.output[0])


def _split(g: Lowering, node: onnx.NodeProto) -> None:
    found = g.get(node.input[0])
    place = found.order.index(attributes_of(node).get("axis", 0) % len(found.order))
    shapes = [[g.shape(name)[axis] for axis in found.order] for name in node.output]
    outputs = [g.writer.tensor(shape, found.tensor.dtype) for shape in shapes]
    axis = g.writer.constant(np.array(place, np.int32))
    sizes = [shape[place] for shape in shapes]
    if len(set(sizes)) == 1:
        g.writer.ops("SPLIT", [axis, found.tensor], outputs, numSplits=len(outputs))
    else:
        inputs = [found.tensor, g.writer.constant(np.array(sizes, np.int32)), axis]
        g.writer.ops("SPLIT_V", inputs, outputs, numSplits=len(outputs))
    for name, tensor in zip(node.output, outputs, strict=True):
        g.put(name, tensor, found.order)
        if node.input[0] in g.nonnegative:
            g.nonnegative.add(name)


def _slice(g: Lowering, node: onnx.NodeProto) -> None:
    found, before, after = g.get(node.input[0]), g.shape(node.input[0]), g.shape(node.output[0])
    starts, ends = (g.constants[name].ravel().tolist() for name in node.input[1:3])
    given = [g.constants[name].ravel().tolist() if name else None for name in node.input[3:]]
    axes = given[0] if given and given[0] else list(range(len(starts)))
    if len(given) > 1 and given[1] and set(given[1]) != {1}:
        raise ExportError(f"{node.name}: a slice with steps")
    begin = [0] * len(before)
    for axis, start in zip(axes, starts, strict=True):
        side = before[axis]
        begin[axis % len(before)] = min(max(start + side if start < 0 else start, 0), side)
    del ends  # the shape of the result says it
    shape = [after[axis] for axis in found.order]
    places = [np.array([each[axis] for axis in found.order], np.int32) for each in (begin, after)]
    made = g.writer.op("SLICE", [found.tensor, *map(g.writer.constant, places)], shape, found.tensor.dtype)
    g.put(node.output[0], made, found.order)


def _pad(g: Lowering, node: onnx.NodeProto) -> None:
    found, rank = g.get(node.input[0]), len(g.shape(node.input[0]))
    pads = g.constants[node.input[1]].ravel().tolist()
    if attributes_of(node).get("mode", b"constant") != b"constant" or len(pads) != 2 * rank or min(pads) < 0:
        raise ExportError(f"{node.name}: a padding by other values than a constant, or that cuts")
    fill = g.constants[node.input[2]].reshape(1) if len(node.input) > 2 and node.input[2] else None
    widths = g.writer.constant(np.array([[pads[axis], pads[rank + axis]] for axis in found.order], np.int32))
    inputs: list[Tensor | None] = [found.tensor, widths]
    if fill is not None and fill[0] != 0:
        inputs.append(g.writer.constant(fill))
    shape = [g.shape(node.output[0])[axis] for axis in found.order]
    operator = "PADV2" if len(inputs) > 2 else "PAD"
    g.put(node.output[0], g.writer.op(operator, inputs, shape, found.tensor.dtype), found.order)


def _reduce(operator: str, g: Lowering, node: onnx.NodeProto) -> None:
    given, found = attributes_of(node), g.get(node.input[0])
    axes = given.get("axes") or (g.constants[node.input[1]].tolist() if len(node.input) > 1 else None)
    rank = len(found.order)
    axes = sorted(axis % rank for axis in (range(rank) if axes is None else axes))
    keep = bool(given.get("keepdims", 1))
    places = sorted(found.order.index(axis) for axis in axes)
    if keep:
        order = found.order
    else:
        left = [axis for axis in found.order if axis not in axes]
        order = tuple(sorted(left).index(axis) for axis in left)
    shape = [g.shape(node.output[0])[axis] for axis in order]
    inputs = [found.tensor, g.writer.constant(np.array(places, np.int32))]
    g.put(node.output[0], g.writer.op(operator, inputs, shape, found.tensor.dtype, keepDims=keep), order)


def _top_k(g: Lowering, node: onnx.NodeProto) -> None:
    x, given = g.plain(node.input[0]).tensor, attributes_of(node)
    if given.get("axis", -1) % len(x.shape) != len(x.shape) - 1 or not given.get("largest", 1):
        raise ExportError(f"{node.name}: the best of another axis than the last, or the least")
    count = g.writer.constant(g.constants[node.input[1]].reshape(()).astype(np.int32))
    shape = g.shape(node.output[0])
    outputs = [g.writer.tensor(shape, "float32"), g.writer.tensor(shape, "int32")]
    g.writer.ops("TOPK_V2", [x, count], outputs)
    for name, tensor in zip(node.output, outputs, strict=True):
        g.put(name, tensor)


def _expand(g: Lowering, node: onnx.NodeProto) -> None:
    """Is done only where something reads the result: a GatherElements takes what was expanded."""

    def make() -> None:
        x, shape = g.plain(node.input[0]).tensor, g.shape(node.output[0])
        x = g.reshape(x, (1,) * (len(shape) - len(x.shape)) + x.shape)
        wanted = g.writer.constant(np.array(shape, np.int32))
        g.put(node.output[0], g.writer.op("BROADCAST_TO", [x, wanted], shape, x.dtype))

    g.defer(node.output[0], make)


def _gather_elements(g: Lowering, node: onnx.NodeProto) -> None:
    """The same places of every row, which is how decoding reads the cells of its peaks."""
    maker, shape = g.makers.get(node.input[1]), g.shape(node.output[0])
    axis = attributes_of(node).get("axis", 0) % len(shape)
    source = g.shape(maker.input[0]) if maker is not None and maker.op_type == "Expand" else ()
    if maker is None or len(source) != len(shape) or any(side > 1 for at, side in enumerate(source) if at != axis):
        raise ExportError(f"{node.name}: a GatherElements that reads other places in each row")
    places = g.reshape(g.plain(maker.input[0]).tensor, (shape[axis],))
    found = g.get(node.input[0])
    out = [shape[each] for each in found.order]
    made = g.writer.op("GATHER", [found.tensor, places], out, found.tensor.dtype, axis=found.order.index(axis))
    g.put(node.output[0], made, found.order)


Operator = Callable[[Lowering, onnx.NodeProto], None]

OPERATORS: dict[str, Operator] = {
    "Conv": layers.conv,
    "ConvTranspose": layers.transposed_conv,
    "Gemm": layers.linear,
    "MatMul": layers.linear,
    "MaxPool": layers.max_pool,
    "AveragePool": layers.average_pool,
    "GlobalAveragePool": layers.global_average,
    "Resize": layers.resize,
    "Relu": _relu,
    "LeakyRelu": _leaky_relu,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": partial(_unary, "HARD_SWISH"),
    "Sigmoid": partial(_unary, "LOGISTIC"),
    "Exp": partial(_unary, "EXP"),
    "Sqrt": partial(_unary, "SQRT"),
    "Not": partial(_unary, "LOGICAL_NOT"),
    "Softmax": _softmax,
    "Add": partial(_binary, "ADD"),
    "Sub": partial(_binary, "SUB"),
    "Mul": _mul,
    "Div": partial(_binary, "DIV"),
    "Max": partial(_binary, "MAXIMUM"),
    "Min": partial(_binary, "MINIMUM"),
    "Mod": partial(_binary, "FLOOR_MOD"),
    "Equal": partial(_binary, "EQUAL"),
    "Less": partial(_binary, "LESS"),
    "Greater": partial(_binary, "GREATER"),
    "And": partial(_binary, "LOGICAL_AND"),
    "Where": _where,
    "Cast": _cast,
    "Identity": _identity,
    "Dropout": _identity,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "ReduceMean": partial(_reduce, "MEAN"),
    "ReduceSum": partial(_reduce, "SUM"),
    "TopK": _top_k,
    "Expand": _expand,
    "GatherElements": _gather_elements,
}
"""By the ONNX operator's name."""

PIXELS = Scale(np.ones(1, np.float32), np.zeros(1, np.int64))
"""Raw pixels: the integers themselves."""


def lower_nodes(g: Lowering) -> None:
    """Adds every node of the graph to the model.

    Raises:
        ExportError: an operator that LiteRT has not, or not so.
    """
    unknown = sorted({node.op_type for node in g.graph.node} - set(OPERATORS))
    if unknown:
        raise ExportError(f"LiteRT files have no counterpart of {' and '.join(unknown)} here")
    for node in g.graph.node:
        if id(node) not in g.done:
            OPERATORS[node.op_type](g, node)
