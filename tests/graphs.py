"""Small ONNX graphs, written as text."""

import numpy as np
import onnx
from onnx import numpy_helper, parser

from litevision.cost.graph import GraphLedger, NodeCost, graph_ledger
from litevision.exporting.graph_parts import read_model

HEAD = '<ir_version: 10, opset_import: ["" : 21, "com.example" : 1, "com.microsoft" : 1]>'


def model(text: str, **weights: tuple[int, ...]) -> onnx.ModelProto:
    """The graph of ``text`` with fp32 weights of these shapes."""
    made = parser.parse_model(HEAD + text)
    made.graph.initializer.extend(
        numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()
    )
    return made


def only(text: str, **weights: tuple[int, ...]) -> NodeCost:
    """The row of a graph's only node."""
    (node,) = graph_ledger(model(text, **weights)).rows
    return node


def row(costs: GraphLedger, op_type: str) -> NodeCost:
    (found,) = [node for node in costs.rows if node.op_type == op_type]
    return found


_RAW_IMAGES = """<ir_version: 8, opset_import: ["" : 13]>
test (uint8[batch, 6, 10, 3] images) => ({outputs}) {{
  raw = Cast<to = 1>(images)
  x = Transpose<perm = [0, 3, 1, 2]>(raw)
  quarter = Constant<value_float = 0.01>()
  shift = Constant<value_float = -1.1>()
  scaled = Mul(x, quarter)
  y = Add(scaled, shift)
  {nodes}
}}"""

OPERATOR_GRAPHS = {
    "leaky relu": ("float[1,3,6,10] z", "z = LeakyRelu<alpha = 0.1>(y)"),
    "hard sigmoid": ("float[1,3,6,10] z", "z = HardSigmoid<alpha = 0.1666666716, beta = 0.5>(y)"),
    "steep hard sigmoid": ("float[1,3,6,10] z", "z = HardSigmoid<alpha = 0.4, beta = 0.3>(y)"),
    "sigmoid": ("float[1,3,6,10] z", "z = Sigmoid(y)"),
    "clip to other limits": (
        "float[1,3,6,10] z",
        "low = Constant<value_float = -0.5>() high = Constant<value_float = 0.7>() z = Clip(y, low, high)",
    ),
    "relu that two read": ("float[1,3,6,10] z", "r = Relu(y) m = Mul(y, r) z = Add(m, y)"),
    "pooling with padding": (
        "float[1,3,3,5] z",
        "z = MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(y)",
    ),
    "average pooling": ("float[1,3,3,5] z", "z = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(y)"),
    "mean of rows": ("float[1,3,6] z", "z = ReduceMean<axes = [3], keepdims = 0>(y)"),
    "sum of channels": (
        "float[1,1,6,10] z",
        "axes = Constant<value_ints = [1]>() z = ReduceSum<keepdims = 1>(y, axes)",
    ),
    "flat": ("float[1,180] z", "z = Flatten(y)"),
    "flat maps": ("float[1,3,60] z", "s = Constant<value_ints = [1, 3, 60]>() z = Reshape(y, s)"),
    "cells": (
        "float[1,60,3] z",
        "s = Constant<value_ints = [1, 3, 60]>() a = Reshape(y, s) z = Transpose<perm = [0, 2, 1]>(a)",
    ),
    "another channel shuffle": (
        "float[1,6,6,10] z",
        "t = Concat<axis = 1>(y, scaled) s = Constant<value_ints = [1, 2, 3, 6, 10]>() "
        "u = Constant<value_ints = [1, 6, 6, 10]>() a = Reshape(t, s) "
        "b = Transpose<perm = [0, 2, 1, 3, 4]>(a) z = Reshape(b, u)",
    ),
    "padding": (
        "float[1,4,8,10] z",
        "p = Constant<value_ints = [0, 1, 2, 0, 0, 0, 0, 0]>() f = Constant<value_float = 0.3>() z = Pad(y, p, f)",
    ),
    "uneven parts": (
        "float[1,1,6,10] z, float[1,2,6,10] w",
        "s = Constant<value_ints = [1, 2]>() z, w = Split<axis = 1>(y, s)",
    ),
    "slice": (
        "float[1,2,6,4] z",
        "a = Constant<value_ints = [1, -5]>() b = Constant<value_ints = [3, -1]>() "
        "c = Constant<value_ints = [1, 3]>() z = Slice(y, a, b, c)",
    ),
    "every second pixel": (
        "float[1,3,3,4] z",
        "a = Constant<value_ints = [1, -8]>() b = Constant<value_ints = [6, 10]>() "
        "c = Constant<value_ints = [2, 3]>() d = Constant<value_ints = [2, 2]>() z = Slice(y, a, b, c, d)",
    ),
    "other channels, and one": (
        "float[1,3,6,10] z, float[1,3,6] w",
        "a = Constant<value_ints = [2, 0, -2]>() b = Constant<value_int = 4>() z = Gather<axis = 1>(y, a) "
        "w = Gather<axis = 3>(y, b)",
    ),
    "rows of a matrix product": (
        "float[1,3,6,1] z",
        "a = Constant<value_floats = [0.1, 0.2, -0.3, 0.4, 0.5, -0.6, 0.7, 0.8, 0.9, 1.0]>() "
        "s = Constant<value_ints = [10, 1]>() m = Reshape(a, s) z = MatMul(y, m)",
    ),
    "twice as large, by neighbours": (
        "float[1,3,12,20] z",
        'r = Constant<value_floats = [1.0, 1.0, 2.0, 2.0]>() z = Resize<mode = "nearest", '
        'nearest_mode = "floor", coordinate_transformation_mode = "asymmetric">(y, , r)',
    ),
    "twice as large, smooth": (
        "float[1,3,12,20] z",
        'r = Constant<value_floats = [1.0, 1.0, 2.0, 2.0]>() z = Resize<mode = "linear", '
        'coordinate_transformation_mode = "half_pixel">(y, , r)',
    ),
    "broadcast over channels": (
        "float[1,3,6,10] z",
        "m = GlobalAveragePool(y) z = Mul(y, m)",
    ),
    "choice": (
        "float[1,3,6,10] z",
        "zero = Constant<value_float = 0.0>() above = Greater(y, zero) z = Where(above, y, zero)",
    ),
    "best places": (
        "float[1,3,4] z, int64[1,4] row",
        "s = Constant<value_ints = [1, 180]>() a = Reshape(y, s) k = Constant<value_ints = [4]>() "
        "best, place = TopK(a, k) cells = Constant<value_ints = [60]>() cell = Mod(place, cells) "
        "one = Constant<value_ints = [1]>() wide = Unsqueeze(cell, one) "
        "t = Constant<value_ints = [1, 3, 4]>() index = Expand(wide, t) "
        "u = Constant<value_ints = [1, 3, 60]>() maps = Reshape(y, u) "
        "z = GatherElements<axis = 2>(maps, index) ten = Constant<value_ints = [10]>() row = Div(cell, ten)",
    ),
}


def operator_graph(outputs: str, nodes: str) -> onnx.ModelProto:
    """A graph of raw pixels whose ``nodes`` read their normalised maps, ``y``."""
    model = parser.parse_model(_RAW_IMAGES.format(outputs=outputs, nodes=nodes))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    return read_model(model.SerializeToString())
