"""Which numbers of a graph are learned, and which node they belong to."""

import re
from collections.abc import Iterable

from onnx import NodeProto

from litevision.cost.graph import operators
from litevision.cost.graph.constants import Constants
from litevision.cost.names import short_path

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
