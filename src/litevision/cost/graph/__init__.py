"""The ledger of any ONNX file: what each node of its graph costs."""

from litevision.cost.graph.count import graph_ledger
from litevision.cost.graph.ledger import GraphLedger, NodeCost, Traffic

__all__ = ["GraphLedger", "NodeCost", "Traffic", "graph_ledger"]
