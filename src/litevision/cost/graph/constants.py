"""The constants of a graph, what is computed from them alone, and which of them are learned by which node."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from onnx import GraphProto, NodeProto, TensorProto

from litevision.cost.graph import operators
from litevision.cost.graph.learned import LearnedOperands
from litevision.cost.graph.operators import is_standard
from litevision.cost.graph.shapes import Shapes
from litevision.cost.graph.stand_ins import ATTENTION, stand_in
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
        self._shapes = shapes
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

    @property
    def names(self) -> frozenset[str]:
        """The names of all of them."""
        return frozenset(self._found)

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
        if node.op_type == "ConstantOfShape" and is_standard(node) and all(name in self._found for name in names):
            # A weight whose values were left out, to make the file small: it is stored nowhere and counts all the same.
            self._found[node.output[0]] = Constant((), (node.output[0],))
            self._sizes[node.output[0]] = self._shapes.tensors.get(node.output[0], UNKNOWN_TENSOR)
            return
        if not names or not all(name in self._found for name in names) or any(subgraphs(node)):
            return
        stored = tuple(dict.fromkeys(root for name in names for root in self._found[name].stored))
        numbers = tuple(dict.fromkeys(root for name in names for root in self._found[name].numbers))
        numbers = tuple(root for root in numbers if not self.is_setting(root))
        if node.op_type in _STAND_FOR_THE_FIRST:
            numbers = self._found[names[0]].numbers
        for name in filter(None, node.output):
            self._found[name] = Constant(stored, numbers)


_NAME = re.compile(r"(.+)\.weight(?:_\w+)?")


class Weights:
    """The learned numbers among ``constants``, each counted for the first node that asks."""

    def __init__(self, constants: Constants, learned: LearnedOperands) -> None:
        self._constants = constants
        self._learned = learned
        self._claimed: set[str] = set()

    def params(self, node: NodeProto, weight: str | None) -> int:
        """Numbers that ``node`` has learned, with ``weight`` among its inputs.

        Of an operator that is not known here, all constants count that hold more than one number of a type that
        weights are stored in. Of one that has no weights by itself, such as a sum, see `LearnedOperands`.
        """
        twin = stand_in(node)
        if (node.domain, node.op_type) in ATTENTION:
            return self._claim(_at(node, operators.LEARNED[operators.operator_of(node)]))
        if twin is None:
            return self._claim(node.input, apart_from_settings=True)
        reads = twin.node
        if reads.op_type in operators.OPERANDS:
            bias = _at(reads, [operators.BIAS.get(reads.op_type, len(reads.input))])
            return self._claim([*filter(None, [weight]), *bias])
        if reads.op_type in operators.LEARNED:
            return self._claim(_at(reads, operators.LEARNED[reads.op_type]))
        if reads.op_type in operators.FREE:
            return self._claim(self._learned.of(reads), apart_from_settings=True)
        return self._claim(reads.input, apart_from_settings=True)

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
