"""What becomes of each ONNX operator in a program of Core ML: a row of ``OPERATORS`` each.

Both keep feature maps as [N, C, H, W] and name their axes alike, so that most rows are a call of one operator. Source
of the operators: coremltools' reference of MIL, those that iOS 15 has.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx

from litevision.errors import ExportError
from litevision.exporting.coreml.lowering import CoremlLowering, Var
from litevision.exporting.graph_parts import attributes_of
from litevision.exporting.surgery import WEIGHTED

_TYPES = {
    onnx.TensorProto.FLOAT: "fp32",
    onnx.TensorProto.INT64: "int32",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.BOOL: "bool",
}


def _conv(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    return g.mb.conv(**_convolution(g, node))


def _transposed_conv(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    return g.mb.conv_transpose(**_convolution(g, node), output_shape=g.shape(node.output[0]))


def _convolution(g: CoremlLowering, node: onnx.NodeProto) -> dict[str, Any]:
    """What both kinds of convolutions are given."""
    given, weight = attributes_of(node), g.constant(node.input[1])
    bias = {"bias": g.constant(node.input[2])} if len(node.input) > 2 else {}
    return {
        "x": g.get(node.input[0]),
        "weight": weight,
        **bias,
        "strides": given.get("strides", [1, 1]),
        "dilations": given.get("dilations", [1, 1]),
        "groups": given.get("group", 1),
        **_padding(node, weight.shape[2:]),
    }


def _linear(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    given, weight = attributes_of(node), g.constant(node.input[1])
    if weight.ndim != 2 or given.get("transA", 0) or (given.get("alpha", 1.0), given.get("beta", 1.0)) != (1.0, 1.0):
        raise ExportError(f"{node.name}: a matrix product with factors of its own, or of more than two dimensions")
    weight = weight if given.get("transB", 0) else weight.T
    bias = g.constant(node.input[2]).reshape(-1) if len(node.input) > 2 else np.zeros(1, np.float32)
    bias = np.ascontiguousarray(np.broadcast_to(bias, len(weight)))
    return g.mb.linear(x=g.get(node.input[0]), weight=np.ascontiguousarray(weight), bias=bias)


def _pool(operator: str, g: CoremlLowering, node: onnx.NodeProto, **options: Any) -> Var:
    given = attributes_of(node)
    if set(given.get("dilations", [1])) != {1} or len(node.output) > 1:
        raise ExportError(f"{node.name}: a pooling with dilation, or that gives places; Core ML has none")
    if operator == "avg_pool":
        options["exclude_padding_from_average"] = not given.get("count_include_pad", 0)
    return getattr(g.mb, operator)(
        x=g.get(node.input[0]),
        kernel_sizes=given["kernel_shape"],
        strides=given.get("strides", [1, 1]),
        ceil_mode=bool(given.get("ceil_mode", 0)),
        **_padding(node, given["kernel_shape"]),
        **options,
    )


def _padding(node: onnx.NodeProto, kernel: Sequence[int]) -> dict[str, Any]:
    """The padding as Core ML names it: before and after each axis in turn."""
    given = attributes_of(node)
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ExportError(f"{node.name}: a padding that depends on the size of the input")
    pads, axes = given.get("pads", [0] * 2 * len(kernel)), len(kernel)
    return {"pad_type": "custom", "pad": [pads[place] for axis in range(axes) for place in (axis, axis + axes)]}


def _resize(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    given, before, after = attributes_of(node), g.shape(node.input[0]), g.shape(node.output[0])
    mode = given.get("mode", b"nearest").decode()
    place = given.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = given.get("nearest_mode", b"round_prefer_floor").decode()
    is_whole = before[:2] == after[:2] and all(b % a == 0 for a, b in zip(before[2:], after[2:], strict=True))
    factors = [b / a for a, b in zip(before[2:], after[2:], strict=True)]
    sides = dict(zip(("scale_factor_height", "scale_factor_width"), factors, strict=True))
    if is_whole and mode == "nearest" and ((place, rounding) == ("asymmetric", "floor") or "half_pixel" in place):
        whole = {name: int(factor) for name, factor in sides.items()}
        return g.mb.upsample_nearest_neighbor(x=g.get(node.input[0]), **whole)
    if mode == "linear" and before[:2] == after[:2] and place in ("half_pixel", "pytorch_half_pixel"):
        return g.mb.upsample_bilinear(x=g.get(node.input[0]), **sides, align_corners=False)
    raise ExportError(f"{node.name}: a resize by {mode} with {place} of {before} to {after}; Core ML has none")


def _unary(operator: str, g: CoremlLowering, node: onnx.NodeProto, **options: Any) -> Var:
    return getattr(g.mb, operator)(x=g.get(node.input[0]), **options)


def _binary(operator: str, g: CoremlLowering, node: onnx.NodeProto) -> Var:
    x, y = (g.get(name) for name in node.input)
    return getattr(g.mb, operator)(x=x, y=y)


def _equal(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    x, y = (g.get(name) for name in node.input)
    if not isinstance(x, np.ndarray) and x.is_tensor_or_scalar_of("bool"):
        return g.mb.logical_not(x=g.mb.logical_xor(x=x, y=y))  # Core ML compares numbers alone
    return g.mb.equal(x=x, y=y)


def _div(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    x, y = (g.get(name) for name in node.input)
    is_whole = any(isinstance(one, np.ndarray) and one.dtype == np.int32 for one in (x, y))
    return (g.mb.floor_div if is_whole else g.mb.real_div)(x=x, y=y)


def _clip(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    x = g.get(node.input[0])
    least, most = (
        float(g.constant(node.input[place]).item()) if len(node.input) > place and node.input[place] else None
        for place in (1, 2)
    )
    if (least, most) == (0, 6):
        return g.mb.relu6(x=x)
    if least is not None and most is not None:
        return g.mb.clip(x=x, alpha=least, beta=most)
    if least is not None:
        x = g.mb.relu(x=x) if least == 0 else g.mb.maximum(x=x, y=np.float32(least))
    return x if most is None else g.mb.minimum(x=x, y=np.float32(most))


def _hard_sigmoid(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    given = attributes_of(node)
    return g.mb.sigmoid_hard(x=g.get(node.input[0]), alpha=given.get("alpha", 0.2), beta=given.get("beta", 0.5))


def _hard_swish(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    x = g.get(node.input[0])
    return g.mb.mul(x=x, y=g.mb.sigmoid_hard(x=x, alpha=1 / 6, beta=0.5))


def _leaky_relu(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    return g.mb.leaky_relu(x=g.get(node.input[0]), alpha=attributes_of(node).get("alpha", 0.01))


def _softmax(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    return g.mb.softmax(x=g.get(node.input[0]), axis=attributes_of(node).get("axis", -1))


def _where(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    condition, yes, no = (g.get(name) for name in node.input)
    shape = g.shape(node.output[0])
    yes, no = (np.broadcast_to(one, shape) if isinstance(one, np.ndarray) else one for one in (yes, no))
    return g.mb.select(cond=condition, a=yes, b=no)


def _cast(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    to = _TYPES.get(attributes_of(node)["to"])
    if to is None:
        raise ExportError(f"{node.name}: a conversion to a type that Core ML packages of ours have not")
    return g.mb.cast(x=g.get(node.input[0]), dtype=to)


def _identity(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    return g.get(node.input[0])


def _transpose(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    order = attributes_of(node).get("perm") or list(range(len(g.shape(node.input[0]))))[::-1]
    return g.mb.transpose(x=g.get(node.input[0]), perm=order)


def _reshape(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    return g.mb.reshape(x=g.get(node.input[0]), shape=g.shape(node.output[0]))


def _concat(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    return g.mb.concat(values=[g.get(name) for name in node.input], axis=attributes_of(node)["axis"])


def _split(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    axis = attributes_of(node).get("axis", 0)
    sizes = [g.shape(name)[axis] for name in node.output]
    return g.mb.split(x=g.get(node.input[0]), split_sizes=sizes, axis=axis)


def _slice(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    x, (begin, end, stride) = g.get(node.input[0]), g.slice_places(node)
    if set(stride) == {1}:
        return g.mb.slice_by_size(x=x, begin=begin, size=g.shape(node.output[0]))
    return g.mb.slice_by_index(x=x, begin=begin, end=end, stride=stride)


def _pad(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    rank = len(g.shape(node.input[0]))
    pads = g.constant(node.input[1]).ravel().tolist()
    if attributes_of(node).get("mode", b"constant") != b"constant" or len(pads) != 2 * rank or min(pads) < 0:
        raise ExportError(f"{node.name}: a padding by other values than a constant, or that cuts")
    fill = float(g.constant(node.input[2]).item()) if len(node.input) > 2 and node.input[2] else 0.0
    both = [pads[place] for axis in range(rank) for place in (axis, axis + rank)]
    return g.mb.pad(x=g.get(node.input[0]), pad=both, mode="constant", constant_val=fill)


def _reduce(operator: str, g: CoremlLowering, node: onnx.NodeProto) -> Var:
    given = attributes_of(node)
    axes = given.get("axes") or (g.constant(node.input[1]).tolist() if len(node.input) > 1 else None)
    axes = list(range(len(g.shape(node.input[0])))) if axes is None else axes
    return getattr(g.mb, operator)(x=g.get(node.input[0]), axes=axes, keep_dims=bool(given.get("keepdims", 1)))


def _global_average(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    return g.mb.reduce_mean(x=g.get(node.input[0]), axes=[2, 3], keep_dims=True)


def _top_k(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    given = attributes_of(node)
    count = int(g.constant(node.input[1]).item())
    return g.mb.topk(x=g.get(node.input[0]), k=count, axis=given.get("axis", -1), ascending=not given.get("largest", 1))


def _expand(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    x, shape = g.get(node.input[0]), g.shape(node.output[0])
    if isinstance(x, np.ndarray):
        return np.ascontiguousarray(np.broadcast_to(x, shape))
    before = (1,) * (len(shape) - len(g.shape(node.input[0]))) + g.shape(node.input[0])
    if before != tuple(x.shape):
        x = g.mb.reshape(x=x, shape=before)
    return g.mb.tile(x=x, reps=[b // a for a, b in zip(before, shape, strict=True)])


def _gather(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    axis, places = attributes_of(node).get("axis", 0), g.constant(node.input[1])
    chosen = (places % g.shape(node.input[0])[axis]).astype(np.int32)
    return g.mb.gather(x=g.get(node.input[0]), indices=chosen, axis=axis)


def _gather_elements(g: CoremlLowering, node: onnx.NodeProto) -> Var:
    axis = attributes_of(node).get("axis", 0)
    return g.mb.gather_along_axis(x=g.get(node.input[0]), indices=g.get(node.input[1]), axis=axis)


OPERATORS: dict[str, Callable[[CoremlLowering, onnx.NodeProto], Var]] = {
    "Conv": _conv,
    "ConvTranspose": _transposed_conv,
    "Gemm": _linear,
    "MatMul": _linear,
    "MaxPool": partial(_pool, "max_pool"),
    "AveragePool": partial(_pool, "avg_pool"),
    "GlobalAveragePool": _global_average,
    "Resize": _resize,
    "Relu": partial(_unary, "relu"),
    "LeakyRelu": _leaky_relu,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Sigmoid": partial(_unary, "sigmoid"),
    "Exp": partial(_unary, "exp"),
    "Sqrt": partial(_unary, "sqrt"),
    "Not": partial(_unary, "logical_not"),
    "Softmax": _softmax,
    "Add": partial(_binary, "add"),
    "Sub": partial(_binary, "sub"),
    "Mul": partial(_binary, "mul"),
    "Div": _div,
    "Max": partial(_binary, "maximum"),
    "Min": partial(_binary, "minimum"),
    "Mod": partial(_binary, "mod"),
    "Equal": _equal,
    "Less": partial(_binary, "less"),
    "Greater": partial(_binary, "greater"),
    "And": partial(_binary, "logical_and"),
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
    "ReduceMean": partial(_reduce, "reduce_mean"),
    "ReduceSum": partial(_reduce, "reduce_sum"),
    "TopK": _top_k,
    "Expand": _expand,
    "Gather": _gather,
    "GatherElements": _gather_elements,
}
"""By the ONNX operator's name."""


def lower_nodes(g: CoremlLowering) -> set[str]:
    """Adds every node of the graph to the program.

    Returns:
        The names of the program's operations up to the last that has weights; softmax and decoding follow.

    Raises:
        ExportError: an operator that Core ML has not, or not so.
    """
    from coremltools.converters.mil.mil.block import curr_block

    unknown = sorted({node.op_type for node in g.graph.node} - set(OPERATORS))
    if unknown:
        raise ExportError(f"Core ML packages have no counterpart of {' and '.join(unknown)} here")
    layers: set[str] = set()
    last = max((place for place, node in enumerate(g.graph.node) if node.op_type in WEIGHTED), default=-1)
    for place, node in enumerate(g.graph.node):
        made = OPERATORS[node.op_type](g, node)
        for name, var in zip(node.output, made if isinstance(made, list | tuple) else [made], strict=True):
            g.put(name, var)
        if place == last:
            layers = {op.name for op in curr_block().operations}
    return layers
