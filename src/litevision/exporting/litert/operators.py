"""What becomes of each ONNX operator in TFLite: a row of ``OPERATORS`` each."""

from collections.abc import Callable
from functools import partial

import numpy as np
import onnx

from litevision.errors import ExportError
from litevision.exporting.graph_parts import attributes_of
from litevision.exporting.litert import elementwise, layers
from litevision.exporting.litert.lowering import Lowering, regrouped
from litevision.exporting.litert.model_writer import Scale, Tensor


def _transpose(g: Lowering, node: onnx.NodeProto) -> None:
    found = g.raw(node.input[0])
    permutation = attributes_of(node).get("perm") or range(len(found.order))[::-1]
    g.put(node.output[0], found.tensor, [list(permutation).index(axis) for axis in found.order])


def _reshape(g: Lowering, node: onnx.NodeProto) -> None:
    before, after = g.shape(node.input[0]), g.shape(node.output[0])
    first, second = regrouped(before, after, g.raw(node.input[0]).order)
    x = g.raw(node.input[0], first).tensor
    g.put(node.output[0], g.reshape(x, [after[axis] for axis in second]), second)
    if node.input[0] in g.nonnegative:
        g.nonnegative.add(node.output[0])


def _identity(g: Lowering, node: onnx.NodeProto) -> None:
    found = g.raw(node.input[0])
    g.put(node.output[0], found.tensor, found.order)


def _concat(g: Lowering, node: onnx.NodeProto) -> None:
    order, scale = g.raw(node.input[0]).order, g.targets.get(node.output[0])
    inputs = [g.raw(name, order).tensor for name in node.input]
    if scale is not None and all(one.dtype == "int8" for one in inputs):
        inputs = [elementwise.in_scale(g, one, scale) for one in inputs]
    else:
        inputs, scale = [g.as_float(one) for one in inputs], None
    axis = attributes_of(node)["axis"] % len(order)
    shape = [g.shape(node.output[0])[each] for each in order]
    made = g.writer.op("CONCATENATION", inputs, shape, inputs[0].dtype, scale, axis=order.index(axis))
    g.put(node.output[0], made, order)
    if all(name in g.nonnegative for name in node.input):
        g.nonnegative.add(node.output[0])


def _split(g: Lowering, node: onnx.NodeProto) -> None:
    found = g.raw(node.input[0])
    place = found.order.index(attributes_of(node).get("axis", 0) % len(found.order))
    shapes = [[g.shape(name)[axis] for axis in found.order] for name in node.output]
    outputs = [g.writer.tensor(shape, found.tensor.dtype, found.tensor.scale) for shape in shapes]
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
    found, after = g.get(node.input[0]), g.shape(node.output[0])
    begin, end, stride = g.slice_places(node)
    shape = [after[axis] for axis in found.order]
    has_steps = set(stride) != {1}
    places = (begin, end, stride) if has_steps else (begin, after)
    inputs = [g.writer.constant(np.array([each[axis] for axis in found.order], np.int32)) for each in places]
    operator = "STRIDED_SLICE" if has_steps else "SLICE"
    g.put(node.output[0], g.writer.op(operator, [found.tensor, *inputs], shape, found.tensor.dtype), found.order)


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
    given, found = attributes_of(node), (g.raw if operator == "MEAN" else g.get)(node.input[0])
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
    scale = found.tensor.scale and g.targets.get(node.output[0], found.tensor.scale)
    g.put(node.output[0], g.writer.op(operator, inputs, shape, found.tensor.dtype, scale, keepDims=keep), order)


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


def _gather(g: Lowering, node: onnx.NodeProto) -> None:
    """Some places of an axis, or one."""
    places = g.constants.get(node.input[1])
    x = g.plain(node.input[0]).tensor
    axis = attributes_of(node).get("axis", 0) % len(x.shape)
    if places is None or places.ndim > 1:
        raise ExportError(f"{node.name}: a Gather of places that are computed, or of more than one axis")
    chosen = (places.reshape(-1) % x.shape[axis]).astype(np.int32)
    shape = (*x.shape[:axis], len(chosen), *x.shape[axis + 1 :])
    made = g.writer.op("GATHER", [x, g.writer.constant(chosen)], shape, x.dtype, x.scale, axis=axis)
    g.put(node.output[0], g.reshape(made, g.shape(node.output[0])))


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
    "Relu": elementwise.relu,
    "LeakyRelu": elementwise.leaky_relu,
    "Clip": elementwise.clip,
    "HardSigmoid": elementwise.hard_sigmoid,
    "HardSwish": partial(elementwise.unary, "HARD_SWISH"),
    "Sigmoid": elementwise.sigmoid,
    "Exp": partial(elementwise.unary, "EXP"),
    "Sqrt": partial(elementwise.unary, "SQRT"),
    "Not": partial(elementwise.unary, "LOGICAL_NOT"),
    "Softmax": elementwise.softmax,
    "Add": partial(elementwise.binary, "ADD"),
    "Sub": partial(elementwise.binary, "SUB"),
    "Mul": elementwise.mul,
    "Div": partial(elementwise.binary, "DIV"),
    "Max": partial(elementwise.binary, "MAXIMUM"),
    "Min": partial(elementwise.binary, "MINIMUM"),
    "Mod": partial(elementwise.binary, "FLOOR_MOD"),
    "Equal": partial(elementwise.binary, "EQUAL"),
    "Less": partial(elementwise.binary, "LESS"),
    "Greater": partial(elementwise.binary, "GREATER"),
    "And": partial(elementwise.binary, "LOGICAL_AND"),
    "Where": elementwise.where,
    "Cast": elementwise.cast,
    "Identity": _identity,
    "QuantizeLinear": elementwise.quantize,
    "DequantizeLinear": _identity,
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
    "Gather": _gather,
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
