"""Small graphs that show what a machine and an engine can do."""

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from litevision.cost.graph import GraphLedger, graph_ledger

RELU = "relu"
_OPSET, _IR_VERSION = 18, 10


def convolutions(count: int, channels: int, side: int, *, depthwise: bool = False) -> onnx.ModelProto:
    """``count`` 1x1 convolutions in a row, every other one of them 3x3 ``depthwise`` where that is asked for."""
    nodes, weights = [], []
    for i in range(count):
        groups, kernel = (channels, 3) if depthwise and i % 2 else (1, 1)
        values = np.full((channels, channels // groups, kernel, kernel), 1 / channels, np.float32)
        weights.append(numpy_helper.from_array(values, f"w{i}"))
        node = helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"x{i + 1}"], group=groups, pads=[kernel // 2] * 4)
        nodes.append(node)
    return _model(nodes, [1, channels, side, side], weights)


def product(side: int) -> onnx.ModelProto:
    """A square matrix with another."""
    weight = numpy_helper.from_array(np.full((side, side), 1 / side, np.float32), "w")
    return _model([helper.make_node("MatMul", ["x0", "w"], ["x1"])], [side, side], [weight])


def relu(channels: int) -> onnx.ModelProto:
    """A ReLU on so many channels of 64 kB; what it writes stays inside, for an answer is given new memory each time."""
    nodes = [helper.make_node("Relu", ["x0"], ["x1"], name=RELU), helper.make_node("ReduceMax", ["x1"], ["x2"])]
    return _model(nodes, [1, channels, 128, 128], [], answer=[1, 1, 1, 1])


def named_ledger(model: onnx.ModelProto, *, batch: int = 1, size_hw: tuple[int, int] | None = None) -> GraphLedger:
    """The ledger of ``model``, whose nodes are given the names that they have in it; they then differ."""
    ledger = graph_ledger(model, batch=batch, size_hw=size_hw)
    names = {node.outputs[0]: node.name for node in ledger.rows if node.outputs}
    for node in model.graph.node:
        node.name = names.get(next(filter(None, node.output), ""), node.name)
    return ledger


def _model(
    nodes: list[NodeProto], shape: list[int], weights: list[TensorProto], answer: list[int] | None = None
) -> onnx.ModelProto:
    first = helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)
    last = helper.make_tensor_value_info(f"x{len(nodes)}", TensorProto.FLOAT, answer or shape)
    graph = helper.make_graph(nodes, "probe", [first], [last], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
