"""Operators that work element by element, and the change of a tensor's type."""

from typing import Any

import numpy as np
import onnx

from litevision.errors import ExportError
from litevision.exporting.graph_parts import attributes_of
from litevision.exporting.litert import layers
from litevision.exporting.litert.lowering import Array, Lowering, Stored
from litevision.exporting.litert.model_writer import Scale, Tensor

_TYPES = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.INT64: "int32",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.BOOL: "bool",
}

_PROBABILITIES = Scale(np.full(1, 1 / 256, np.float32), np.full(1, -128, np.int64))  # as LiteRT's operators ask for


def unary(operator: str, g: Lowering, node: onnx.NodeProto, **options: Any) -> None:
    """An operator of one tensor."""
    found = g.get(node.input[0])
    x = found.tensor
    g.put(node.output[0], g.writer.op(operator, [x], x.shape, x.dtype, **options), found.order)


def relu(g: Lowering, node: onnx.NodeProto) -> None:
    """Cuts off below 0."""
    unary("RELU", g, node)
    g.nonnegative.add(node.output[0])


def leaky_relu(g: Lowering, node: onnx.NodeProto) -> None:
    """Flattens below 0."""
    unary("LEAKY_RELU", g, node, alpha=attributes_of(node).get("alpha", 0.01))


def clip(g: Lowering, node: onnx.NodeProto) -> None:
    """Cuts off at two limits."""
    kind = g.activation_kind(node)
    if kind is not None:
        unary(kind, g, node)
        g.nonnegative.add(node.output[0])
        return
    found = g.get(node.input[0])
    x = found.tensor
    for name, operator in zip(node.input[1:], ("MAXIMUM", "MINIMUM"), strict=False):
        if name:
            x = g.writer.op(operator, [x, g.get(name).tensor], x.shape, x.dtype)
    g.put(node.output[0], x, found.order)


def hard_sigmoid(g: Lowering, node: onnx.NodeProto) -> None:
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


def binary(operator: str, g: Lowering, node: onnx.NodeProto) -> None:
    """An operator of two tensors."""
    if operator in ("ADD", "MUL") and _binary_in_eight_bits(operator, g, node):
        return
    pair = [_Operand(g, name) for name in node.input]
    order = next((one.stored.order for one in pair if one.stored is not None), ())
    rank = max(len(g.shape(name)) for name in node.input)
    if any(one.stored is not None and len(one.stored.order) != rank for one in pair):
        order = tuple(range(rank))  # numbers of axes are made equal in ONNX's order alone
    elif len(order) != rank:
        order = tuple(range(rank))
    is_whole = any(one.stored is not None and len(one.stored.order) == rank for one in pair)
    inputs = [one.tensor(g, order, short=is_whole) for one in pair]
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


def _binary_in_eight_bits(operator: str, g: Lowering, node: onnx.NodeProto) -> bool:
    """Adds or multiplies two tensors in int8, if both are and the result is to be."""
    if any(name in g.constants or len(g.shape(name)) != len(g.shape(node.output[0])) for name in node.input):
        return False
    order = g.raw(node.input[0]).order
    inputs = [g.raw(name, order).tensor for name in node.input]
    result, activation = g.activation(node.output[0])
    target = g.targets.get(result)
    if target is None or any(one.dtype != "int8" for one in inputs):
        if result != node.output[0]:
            g.done.remove(id(g.makers[result]))
        return False
    shape = [g.shape(result)[axis] for axis in order]
    made = g.writer.op(operator, inputs, shape, "int8", target, fusedActivationFunction=activation)
    g.put(result, made, order)
    return True


def in_scale(g: Lowering, x: Tensor, scale: Scale) -> Tensor:
    """The tensor in int8 of this scale."""
    if x.dtype == "int8" and scale.same_as(x.scale):
        return x
    return g.writer.op("QUANTIZE", [x], x.shape, "int8", scale)


def quantize(g: Lowering, node: onnx.NodeProto) -> None:
    """Turns a tensor into int8."""
    found = g.raw(node.input[0])
    g.put(node.output[0], in_scale(g, found.tensor, g.scale_of(node)), found.order)


class _Operand:
    """An input of an operator that works element by element: a tensor, or a constant, which any order is free for."""

    def __init__(self, g: Lowering, name: str) -> None:
        self.name = name
        self.value: Array | None = g.constants.get(name)
        self.stored: Stored | None = None if self.value is not None else g.get(name)

    def tensor(self, g: Lowering, order: tuple[int, ...], *, short: bool = True) -> Tensor:
        """The tensor in an order of axes; a constant without the axes of length 1 before the others, if ``short``."""
        if self.value is None:
            rank = len(g.shape(self.name))
            return g.get(self.name, order if rank == len(order) else range(rank)).tensor
        value = self.value.reshape((1,) * (len(order) - self.value.ndim) + self.value.shape).transpose(order)
        while short and value.ndim and value.shape[0] == 1:
            value = value[0]
        return g.writer.constant(value)


def mul(g: Lowering, node: onnx.NodeProto) -> None:
    """A product, or a normalisation, which is one layer with the shift behind it."""
    if not layers.affine(g, node):
        binary("MUL", g, node)


def where(g: Lowering, node: onnx.NodeProto) -> None:
    """One tensor or the other."""
    order = g.get(node.input[0]).order
    inputs = [_Operand(g, name).tensor(g, order) for name in node.input]
    shape = [g.shape(node.output[0])[axis] for axis in order]
    g.put(node.output[0], g.writer.op("SELECT_V2", inputs, shape, inputs[1].dtype), order)


def cast(g: Lowering, node: onnx.NodeProto) -> None:
    """Another type of numbers."""
    found, to = g.get(node.input[0]), _TYPES.get(attributes_of(node)["to"])
    x = found.tensor
    if to is None:
        raise ExportError(f"{node.name}: a conversion to a type that LiteRT files of ours have not")
    if x.dtype == "uint8" and g.integers_alone:
        g.put(node.output[0], in_scale(g, x, g.pixels), found.order)
        return
    if x.dtype == "uint8":  # raw pixels: integers whose scale is 1
        x = g.writer.op("DEQUANTIZE", [x], x.shape)
    if x.dtype != to:
        x = g.writer.op("CAST", [x], x.shape, to)
    g.put(node.output[0], x, found.order)


def softmax(g: Lowering, node: onnx.NodeProto) -> None:
    """Probabilities that sum to 1."""
    rank = len(g.shape(node.input[0]))
    if attributes_of(node).get("axis", -1) % rank != rank - 1:
        raise ExportError(f"{node.name}: a softmax over another axis than the last")
    _probabilities("SOFTMAX", g, node, beta=1.0)


def sigmoid(g: Lowering, node: onnx.NodeProto) -> None:
    """Numbers from 0 to 1."""
    if g.integers_alone and node.output[0] in g.targets:
        _probabilities("LOGISTIC", g, node)
    else:
        unary("LOGISTIC", g, node)


def _probabilities(operator: str, g: Lowering, node: onnx.NodeProto, **options: Any) -> None:
    x = g.raw(node.input[0], range(len(g.shape(node.input[0])))).tensor
    scale = _PROBABILITIES if g.integers_alone and x.dtype == "int8" else None
    x = x if scale is not None else g.as_float(x)
    g.put(node.output[0], g.writer.op(operator, [x], x.shape, x.dtype, scale, **options))
