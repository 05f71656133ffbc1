"""The ledger of any ONNX file: what each node of its graph costs."""

from litevision.cost.graph.count import CountedGraph, count_graph, graph_ledger
from litevision.cost.graph.inputs import InputShapes
from litevision.cost.graph.ledger import GraphLedger, NodeCost, Traffic

__all__ = ["CountedGraph", "GraphLedger", "InputShapes", "NodeCost", "Traffic", "count_graph", "graph_ledger"]
