"""The layers with weights, and pooling and resizing: feature maps with their channels last."""

import math
from typing import Any

import numpy as np
import onnx

from litevision.errors import ExportError
from litevision.exporting.graph_parts import attributes_of
from litevision.exporting.litert.lowering import CHANNELS_LAST, Array, Lowering
from litevision.exporting.litert.model_writer import Scale, Tensor

_SAME, _VALID = 0, 1
_LOWEST = np.float32(np.finfo(np.float32).min)


def conv(g: Lowering, node: onnx.NodeProto) -> None:
    """A convolution, by groups of one channel or of all."""
    given, kernel = attributes_of(node), g.constants.get(node.input[1])
    if kernel is None or kernel.ndim != 4:
        raise ExportError(f"{node.name}: a convolution of two dimensions with fixed weights is expected")
    group, outputs = given.get("group", 1), kernel.shape[0]
    is_depthwise = kernel.shape[1] == 1 and group > 1
    if group > 1 and not is_depthwise:
        raise ExportError(f"{node.name}: a convolution in {group} groups; LiteRT takes 1, or one for each channel")
    bias = g.constants[node.input[2]] if len(node.input) > 2 else np.zeros(outputs, np.float32)
    weights = g.layer_weights(node.input[1], (1, 2, 3, 0) if is_depthwise else (0, 2, 3, 1), 3 if is_depthwise else 0)
    convolve(g, g.raw(node.input[0], CHANNELS_LAST).tensor, node, weights, bias, is_depthwise)


def convolve(g: Lowering, x: Tensor, node: onnx.NodeProto, weights: Tensor, bias: Array, is_depthwise: bool) -> None:
    """Adds the convolution of ``x`` with weights in TFLite's order, and the activation behind it."""
    given = attributes_of(node)
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    result, activation = g.activation(node.output[0])
    x, scale, added = in_eight_bits(g, x, weights, bias, result)
    x, padding = _padded(g, x, given, weights.shape[1:3], np.float32(0))
    options = {
        "padding": padding,
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilations[0],
        "dilationWFactor": dilations[1],
        "fusedActivationFunction": activation,
    }
    operator = "CONV_2D"
    if is_depthwise:
        operator, options["depthMultiplier"] = "DEPTHWISE_CONV_2D", weights.shape[3] // x.shape[3]
    shape = _channels_last(g.shape(result))
    g.put(result, g.writer.op(operator, [x, weights, added], shape, x.dtype, scale, **options), CHANNELS_LAST)


def in_eight_bits(
    g: Lowering, x: Tensor, weights: Tensor, bias: Array, result: str
) -> tuple[Tensor, Scale | None, Tensor]:
    """The input, the scale of the result and the bias of a layer: in int8 where all of it is, else in float."""
    target = g.targets.get(result)
    if x.dtype != "int8" or x.scale is None or weights.scale is None or target is None:
        return g.as_float(x), None, g.writer.constant(bias.astype(np.float32))
    steps = (x.scale.scale * weights.scale.scale).astype(np.float32)
    rounded = np.rint(bias.astype(np.float64) / steps).clip(-(2**31), 2**31 - 1).astype(np.int32)
    return x, target, g.writer.constant(rounded, Scale(steps, np.zeros(len(steps), np.int64)))


def transposed_conv(g: Lowering, node: onnx.NodeProto) -> None:
    """A convolution that enlarges."""
    given, kernel = attributes_of(node), g.constants.get(node.input[1])
    if kernel is None or kernel.ndim != 4 or given.get("group", 1) > 1 or set(given.get("dilations", [1])) != {1}:
        raise ExportError(f"{node.name}: a transposed convolution with fixed weights, in one group, is expected")
    x, shape = g.get(node.input[0], CHANNELS_LAST).tensor, _channels_last(g.shape(node.output[0]))
    strides, pads = given.get("strides", [1, 1]), given.get("pads", [0] * 4)
    total = [side - stride for side, stride in zip(kernel.shape[2:], strides, strict=True)]
    same = [*(each // 2 for each in total), *(each - each // 2 for each in total)]
    if list(pads) != same and any(pads):
        raise ExportError(f"{node.name}: a transposed convolution with the pads {list(pads)}; LiteRT takes {same} or 0")
    bias = g.constants[node.input[2]] if len(node.input) > 2 else np.zeros(kernel.shape[1], np.float32)
    result, activation = g.activation(node.output[0])
    made = g.writer.op(
        "TRANSPOSE_CONV",
        [
            g.writer.constant(np.array(shape, np.int32)),
            g.writer.constant(kernel.transpose(1, 2, 3, 0).astype(np.float32)),
            x,
            g.writer.constant(bias),
        ],
        shape,
        padding=_SAME if any(pads) or total == [0, 0] else _VALID,
        strideH=strides[0],
        strideW=strides[1],
        fusedActivationFunction=activation,
    )
    g.put(result, made, CHANNELS_LAST)


def linear(g: Lowering, node: onnx.NodeProto) -> None:
    """A matrix product with fixed weights, as Gemm or MatMul."""
    given, kernel = attributes_of(node), g.constants.get(node.input[1])
    before = g.shape(node.input[0])
    x = g.raw(node.input[0], range(len(before))).tensor
    if kernel is None or kernel.ndim != 2 or given.get("transA", 0):
        raise ExportError(f"{node.name}: a matrix product with fixed weights of two dimensions is expected")
    if len(before) != 2:  # a row for each place
        x = g.reshape(x, (math.prod(before[:-1]), before[-1]))
    if (given.get("alpha", 1.0), given.get("beta", 1.0)) != (1.0, 1.0):
        raise ExportError(f"{node.name}: a matrix product with factors of its own")
    weights = g.layer_weights(node.input[1], (0, 1) if given.get("transB", 0) else (1, 0), 0)
    outputs = weights.shape[0]
    bias = g.constants[node.input[2]].reshape(-1) if len(node.input) > 2 else np.zeros(outputs, np.float32)
    result, activation = g.activation(node.output[0])
    x, scale, added = in_eight_bits(g, x, weights, np.broadcast_to(bias, (outputs,)), result)
    inputs: list[Tensor | None] = [x, weights, added]
    shape = (x.shape[0], outputs)
    made = g.writer.op("FULLY_CONNECTED", inputs, shape, x.dtype, scale, fusedActivationFunction=activation)
    g.put(result, made if len(before) == 2 else g.reshape(made, g.shape(result)))


def max_pool(g: Lowering, node: onnx.NodeProto) -> None:
    """The largest of each window."""
    lowest = np.float32(0) if node.input[0] in g.nonnegative else _LOWEST
    _pool(g, node, "MAX_POOL_2D", lowest)


def average_pool(g: Lowering, node: onnx.NodeProto) -> None:
    """The mean of each window."""
    _pool(g, node, "AVERAGE_POOL_2D", None)


def _pool(g: Lowering, node: onnx.NodeProto, operator: str, fill: np.float32 | None) -> None:
    """Adds a pooling; ``fill`` is what stands outside, None where it would be counted."""
    given = attributes_of(node)
    kernel, strides = given["kernel_shape"], given.get("strides", [1, 1])
    if set(given.get("dilations", [1])) != {1} or len(node.output) > 1:
        raise ExportError(f"{node.name}: a pooling with dilation, or that gives places; LiteRT has none")
    x, shape = g.raw(node.input[0], CHANNELS_LAST).tensor, _channels_last(g.shape(node.output[0]))
    if given.get("ceil_mode", 0):  # the last windows may stand out
        pads = list(given.get("pads", [0] * 4))
        for axis in (0, 1):
            reached = (shape[1 + axis] - 1) * strides[axis] + kernel[axis] - pads[axis]
            pads[2 + axis] = max(pads[2 + axis], reached - x.shape[1 + axis])
        given["pads"] = pads
    if fill is None and any(given.get("pads", [0])):
        raise ExportError(f"{node.name}: an average over windows with padding; LiteRT has none that counts it")
    x, padding = _padded(g, x, given, kernel, np.float32(0) if fill is None else fill)
    options = {"strideH": strides[0], "strideW": strides[1], "filterHeight": kernel[0], "filterWidth": kernel[1]}
    made = g.writer.op(operator, [x], shape, x.dtype, x.scale, padding=padding, **options)
    g.put(node.output[0], made, CHANNELS_LAST)
    if node.input[0] in g.nonnegative:
        g.nonnegative.add(node.output[0])


def global_average(g: Lowering, node: onnx.NodeProto) -> None:
    """The mean of each feature map."""
    x = g.raw(node.input[0], CHANNELS_LAST).tensor
    axes = g.writer.constant(np.array([1, 2], np.int32))
    shape = _channels_last(g.shape(node.output[0]))
    scale = None if x.scale is None else g.targets.get(node.output[0], x.scale)
    g.put(node.output[0], g.writer.op("MEAN", [x, axes], shape, x.dtype, scale, keepDims=True), CHANNELS_LAST)


def resize(g: Lowering, node: onnx.NodeProto) -> None:
    """Feature maps in another size, by neighbours or between four of them."""
    given = attributes_of(node)
    mode = given.get("mode", b"nearest").decode()
    place = given.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = given.get("nearest_mode", b"round_prefer_floor").decode()
    before, after = g.shape(node.input[0]), g.shape(node.output[0])
    if before[:2] != after[:2] or mode not in ("nearest", "linear"):
        raise ExportError(f"{node.name}: a resize by {mode} of {before} to {after}; LiteRT takes maps alone")
    is_whole = all(b % a == 0 for a, b in zip(before[2:], after[2:], strict=True))
    options: dict[str, Any] = {"alignCorners": place == "align_corners", "halfPixelCenters": "half_pixel" in place}
    if mode == "nearest" and is_whole and place in ("asymmetric", "half_pixel", "pytorch_half_pixel"):
        # Each pixel becomes a block of pixels in both ways of counting, if it is rounded as this one is.
        if place == "asymmetric" and rounding != "floor":
            raise ExportError(f"{node.name}: a resize by {rounding}; LiteRT rounds down")
        options = {"alignCorners": False, "halfPixelCenters": False}
    elif mode == "nearest" or place == "tf_crop_and_resize":
        raise ExportError(f"{node.name}: a resize by {mode} with {place}; LiteRT has none")
    operator = "RESIZE_NEAREST_NEIGHBOR" if mode == "nearest" else "RESIZE_BILINEAR"
    size = g.writer.constant(np.array(after[2:], np.int32))
    x = g.raw(node.input[0], CHANNELS_LAST).tensor
    made = g.writer.op(operator, [x, size], _channels_last(after), x.dtype, x.scale, **options)
    g.put(node.output[0], made, CHANNELS_LAST)


def affine(g: Lowering, node: onnx.NodeProto) -> bool:
    """A Mul by a number for each channel and an Add behind it, as one layer; False where ``node`` is something else.

    With integers alone, the Mul of the pixels needs no Add.
    """
    add = g.reader_of(node.output[0])
    has_add = add is not None and add.op_type == "Add"
    if len(g.shape(node.output[0])) != 4 or not (has_add or _is_of_pixels(g, node)):
        return False
    steps_of = [(node, node.input[0])]
    if add is not None and has_add:
        steps_of.append((add, node.output[0]))
    parts = []
    for each, x in steps_of:
        others = [name for name in each.input if name != x]
        value = g.constants.get(others[0]) if len(others) == 1 else None
        channels = g.shape(x)[1]
        if value is None or value.size not in (1, channels) or (value.size > 1 and value.shape[-3:-2] != (channels,)):
            return False
        parts.append(np.broadcast_to(value.reshape(-1), channels).astype(np.float32))
    scale, shift = parts if has_add else (parts[0], np.zeros_like(parts[0]))
    g.done.add(id(add if has_add else node))
    layer = onnx.helper.make_node("Conv", [], [steps_of[-1][0].output[0]], name=node.name)
    if g.integers_alone:
        x = g.raw(node.input[0], CHANNELS_LAST).tensor
        steps = (np.maximum(np.abs(scale), 1e-12) / 127).astype(np.float32)
        whole = np.rint(scale / steps).astype(np.int8)[None, None, None, :]
        weights = g.writer.constant(whole, Scale(steps, np.zeros(len(steps), np.int64), 3))
    else:
        x = g.get(node.input[0], CHANNELS_LAST).tensor
        weights = g.writer.constant(scale[None, None, None, :])
    convolve(g, x, layer, weights, shift, is_depthwise=True)
    return True


def _is_of_pixels(g: Lowering, node: onnx.NodeProto) -> bool:
    """Whether a Mul is the normalisation of pixels that stay in 8 bits."""
    return g.integers_alone and node.input[1] in g.constants and g.raw(node.input[0]).tensor.scale is g.pixels


def _padded(g: Lowering, x: Tensor, given: dict[str, Any], kernel: Any, fill: np.float32) -> tuple[Tensor, int]:
    """``x`` with the padding that the operator itself cannot give, and the kind of padding that it can."""
    auto = given.get("auto_pad", b"NOTSET").decode()
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    totals = [
        max((-(-side // stride) - 1) * stride + (length - 1) * dilation + 1 - side, 0)
        for side, stride, length, dilation in zip(x.shape[1:3], strides, kernel, dilations, strict=True)
    ]
    same = [*(total // 2 for total in totals), *(total - total // 2 for total in totals)]
    pads = list(given.get("pads", [0] * 4)) if auto in ("NOTSET", "VALID") else same
    if auto == "SAME_LOWER":
        pads = [*same[2:], *same[:2]]
    if not any(pads):
        return x, _VALID
    if pads == same:
        return x, _SAME
    widths = np.array([[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32)
    shape = tuple(side + int(sum(width)) for side, width in zip(x.shape, widths, strict=True))
    inputs: list[Tensor | None] = [x, g.writer.constant(widths)]
    if fill == 0:
        return g.writer.op("PAD", inputs, shape, x.dtype, x.scale), _VALID
    least = np.array([-128 if x.dtype == "int8" else fill], x.dtype)
    return g.writer.op("PADV2", [*inputs, g.writer.constant(least, x.scale)], shape, x.dtype, x.scale), _VALID


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in CHANNELS_LAST)
