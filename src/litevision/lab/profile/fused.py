"""Which nodes of a file the nodes of the graph that onnxruntime made of it stand for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onnx import GraphProto, NodeProto

from litevision.cost.graph import GraphLedger, NodeCost

REORDERS = frozenset({"ReorderInput", "ReorderOutput", "Transpose"})
"""Changes of layout, unless the file itself has such a node there."""

_NCHWC = re.compile(r"(.+)_nchwc(?:_token_\d+)?")
# Takes the name of what it writes; only then does it take in the activation or sum that follows.
# Source: onnxruntime/core/optimizer/nchwc_transformer.cc.
_ABSORBING = frozenset({"Conv", "FusedConv", "FusedGemm", "FusedMatMul", "FusedMatMulActivation", "NhwcFusedConv"})


def nodes_of_kernels(optimised: GraphProto, ledger: GraphLedger) -> list[tuple[str, ...]]:
    """Match every node of ``optimised`` with the names of the nodes of ``ledger`` that it computes.

    A kernel that writes a tensor of the file computes at least the node that writes it there. A convolution or product
    that no kernel ends at was fused with what reads it; any other node with the convolution before it, where that
    takes followers in, or with what reads it. Changes of layout compute none; what else the engine put in belongs to
    what it leads to.
    """
    return _Matching(optimised.node, ledger).result()


@dataclass
class _Matching:
    kernels: Sequence[NodeProto]
    ledger: GraphLedger
    claims: dict[str, int] = field(default_factory=dict)  # a node's kernel

    def result(self) -> list[tuple[str, ...]]:
        nodes = [node for node in self.ledger.rows if node.kind != "constant"]
        by_output = {output: node for node in nodes for output in node.outputs}
        writer = {tensor: i for i, kernel in enumerate(self.kernels) for tensor in kernel.output}
        reorders = set()
        for i, kernel in enumerate(self.kernels):
            for tensor in kernel.output:
                node = by_output.get(tensor)
                if kernel.op_type not in REORDERS or (node and node.op_type == kernel.op_type):
                    self._claim(node, i)
                else:
                    reorders.add(i)
                    self._claim(node, writer.get(kernel.input[0]))
        for i, kernel in enumerate(self.kernels):
            named = _NCHWC.fullmatch(kernel.name)
            if named:
                self._claim(by_output.get(named[1]), i)
        self._claim_unnamed(nodes)
        found: list[list[str]] = [[] for _ in self.kernels]
        for node in nodes:
            if node.name in self.claims:
                found[self.claims[node.name]].append(node.name)
        self._lend(found, reorders)
        return [tuple(names) for names in found]

    def _claim(self, node: NodeCost | None, kernel: int | None) -> None:
        if node and kernel is not None:
            self.claims.setdefault(node.name, kernel)

    def _claim_unnamed(self, nodes: Sequence[NodeCost]) -> None:
        readers: dict[str, list[str]] = {}
        for node in nodes:
            for name in node.inputs:
                readers.setdefault(name, []).append(node.name)
        for node in reversed(nodes):
            if node.macs != 0:
                self._claim_by_reader(node, readers)
        for node in nodes:
            if node.is_view or node.name in self.claims:
                continue
            before = max((self.claims[name] for name in node.inputs if name in self.claims), default=None)
            if before is not None and self._absorbs(before):
                self.claims[node.name] = before
        for node in reversed(nodes):
            if not node.is_view:
                self._claim_by_reader(node, readers)

    def _claim_by_reader(self, node: NodeCost, readers: Mapping[str, Sequence[str]]) -> None:
        if node.name in self.claims:
            return
        after = [self.claims[name] for name in readers.get(node.name, ()) if name in self.claims]
        if after:
            self.claims[node.name] = min(after)

    def _absorbs(self, i: int) -> bool:
        kernel = self.kernels[i]
        return kernel.domain.startswith("com.microsoft") and kernel.op_type in _ABSORBING

    def _lend(self, found: list[list[str]], reorders: set[int]) -> None:
        """Gives a kernel without nodes the last node of the kernel that it leads to."""
        reader = {tensor: i for i, kernel in reversed(list(enumerate(self.kernels))) for tensor in kernel.input}
        for i, kernel in reversed(list(enumerate(self.kernels))):
            led_to = next((reader[tensor] for tensor in kernel.output if tensor in reader), None)
            if not found[i] and i not in reorders and led_to is not None:
                found[i] = found[led_to][-1:]
