"""The constants of a graph, what is computed from them alone, and which of them are learned by which node."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from onnx import GraphProto, NodeProto, TensorProto

from litevision.cost.graph import operators
from litevision.cost.graph.operators import is_standard
from litevision.cost.graph.shapes import Shapes
from litevision.cost.graph.tensors import UNKNOWN_TENSOR, Tensor, constant_of, read_by, subgraphs
from litevision.cost.rows import short_path

# What they give stands for their first input; the others are scales and zero points.
_STAND_FOR_THE_FIRST = frozenset({"DequantizeLinear", "QuantizeLinear", "Cast", "CastLike", "Transpose", "Pad"})


@dataclass(frozen=True)
class Constant:
    """A tensor that is the same for every image.

    Attributes:
        stored: the stored tensors that it is computed from; itself where it is one.
        numbers: those among them whose numbers it stands for, not its scales and zero points.
    """

    stored: tuple[str, ...]
    numbers: tuple[str, ...]


class Constants:
    """The constants of a graph, by name."""

    def __init__(self, graph: GraphProto, shapes: Shapes) -> None:
        self._found: dict[str, Constant] = {}
        self._sizes: dict[str, Tensor] = {}
        for tensor in graph.initializer:
            self._keep(tensor.name, tensor)
        for sparse in graph.sparse_initializer:
            self._keep(sparse.values.name, sparse.values)
        for node in graph.node:
            self._follow(node)
        for name in shapes.values.keys() - self._found.keys():
            self._found[name] = Constant((), ())  # made of shapes

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def is_computed(self, node: NodeProto) -> bool:
        """Whether ``node`` gives the same for every image."""
        return bool(node.output) and all(name in self._found for name in node.output if name)

    def numbers(self, name: str) -> tuple[str, ...]:
        """The stored tensors whose numbers ``name`` stands for; none where it is no constant."""
        return self._found[name].numbers if name in self._found else ()

    def bytes(self, names: Iterable[str]) -> int:
        """Bytes of the stored tensors that the constants among ``names`` are computed from, each once."""
        stored = {root for name in names if name in self._found for root in self._found[name].stored}
        return sum(self._sizes[root].bytes or 0 for root in stored)

    def stored(self, root: str) -> Tensor:
        """The size of a stored tensor."""
        return self._sizes[root]

    def is_setting(self, root: str) -> bool:
        """Whether a stored tensor is no weight: a single number, or of a type that counts things."""
        tensor = self._sizes[root]
        return tensor.counts_things or tensor.numel == 1

    def _keep(self, name: str, tensor: TensorProto | None) -> None:
        self._found[name] = Constant((name,), (name,))
        self._sizes[name] = Tensor(tuple(tensor.dims), tensor.data_type) if tensor else UNKNOWN_TENSOR

    def _follow(self, node: NodeProto) -> None:
        if node.op_type == "Constant" and is_standard(node) and node.output:
            self._keep(node.output[0], constant_of(node))
            return
        names = [*read_by(node)]
        if not names or not all(name in self._found for name in names) or any(subgraphs(node)):
            return
        stored = tuple(dict.fromkeys(root for name in names for root in self._found[name].stored))
        numbers = tuple(root for root in stored if not self.is_setting(root))
        if node.op_type in _STAND_FOR_THE_FIRST:
            numbers = self._found[names[0]].numbers
        for name in filter(None, node.output):
            self._found[name] = Constant(stored, numbers)


_NAME = re.compile(r"(.+)\.weight(?:_\w+)?")


class Weights:
    """The learned numbers among ``constants``, each counted for the first node that asks."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self._claimed: set[str] = set()

    def params(self, node: NodeProto, weight: str | None) -> int:
        """Numbers that ``node`` has learned, with ``weight`` among its inputs.

        Where the operator does not say which of its inputs are learned, all constants are taken for it that hold more
        than one number of a type that weights are stored in.
        """
        if node.op_type in operators.OPERANDS:
            bias = _at(node, [operators.BIAS.get(node.op_type, len(node.input))])
            return self._claim([*filter(None, [weight]), *bias])
        if node.op_type in operators.LEARNED:
            return self._claim(_at(node, operators.LEARNED[node.op_type]))
        return self._claim(node.input, apart_from_settings=True)

    def buffers(self, node: NodeProto) -> int:
        """Running means and variances of ``node``."""
        return self._claim(_at(node, operators.STATISTICS.get(node.op_type, ())))

    def layer(self, weight: str | None) -> str | None:
        """The module's path that the name of ``weight`` tells; None where it tells none."""
        stored = self._constants.numbers(weight or "")
        found = _NAME.fullmatch(stored[0]) if stored else None
        if not found:
            return None
        path = found[1]
        return short_path(path.removeprefix("network.")) if path.startswith("network.") else path

    def _claim(self, names: Iterable[str], *, apart_from_settings: bool = False) -> int:
        stored = dict.fromkeys(root for name in names for root in self._constants.numbers(name))
        fresh = [root for root in stored if root not in self._claimed]
        if apart_from_settings:
            fresh = [root for root in fresh if not self._constants.is_setting(root)]
        self._claimed.update(fresh)
        return sum(self._constants.stored(root).numel or 0 for root in fresh)


def _at(node: NodeProto, places: Iterable[int]) -> list[str]:
    return [node.input[place] for place in places if place < len(node.input)]
