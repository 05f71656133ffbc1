"""Microbenchmarks: small graphs that show what a machine and an engine can do."""

import numpy as np
import onnx
from onnx import helper

from litevision.cost.graph import CountedGraph, InputShapes, count_graph
from litevision.lab.onnx_builder import INPUT, OnnxGraphBuilder

RELU = "Relu_0"


def convolutions(count: int, channels: int, side: int, *, depthwise: bool = False) -> onnx.ModelProto:
    """Build ``count`` 1x1 convolutions in a row, every other one of them 3x3 ``depthwise`` where that is asked for."""
    graph, x = OnnxGraphBuilder((1, channels, side, side)), INPUT
    for i in range(count):
        groups, kernel = (channels, 3) if depthwise and i % 2 else (1, 1)
        x = graph.conv(x, channels, kernel=(kernel, kernel), groups=groups)
    return graph.model(x)


def product(side: int) -> onnx.ModelProto:
    """Build the product of a square matrix with another."""
    graph = OnnxGraphBuilder((side, side))
    weight = graph.constant(np.full((side, side), 1 / side))
    return graph.model(graph.add(helper.make_node("MatMul", [INPUT, weight], []), side))


def relu(channels: int) -> onnx.ModelProto:
    """Build a ReLU on channels of 64 kB each.

    What it writes stays inside, and one number is the answer: an answer is given new memory in each run.
    """
    graph = OnnxGraphBuilder((1, channels, 128, 128))
    return graph.model(graph.apply("ReduceMax", graph.apply("Relu", INPUT)))


def named_graph(
    model: onnx.ModelProto,
    *,
    batch: int = 1,
    size_hw: tuple[int, int] | None = None,
    shapes: InputShapes | None = None,
) -> CountedGraph:
    """Count ``model``, and give the nodes that were counted the names of the ledger, where no two are alike."""
    counted = count_graph(model, batch=batch, size_hw=size_hw, shapes=shapes)
    names = {node.outputs[0]: node.name for node in counted.ledger.rows if node.outputs}
    for node in counted.model.graph.node:
        node.name = names.get(next(filter(None, node.output), ""), node.name)
    return counted
