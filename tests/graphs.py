"""Small ONNX graphs, written as text."""

import numpy as np
import onnx
from onnx import numpy_helper, parser

from litevision.cost.graph import GraphLedger, NodeCost, graph_ledger

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
