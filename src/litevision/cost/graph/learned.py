"""Which constants of sums, products and concatenations are learned, and which were computed by whoever made the file.

A file keeps both alike. Priors and anchors, grids of a map's places, and the mean and deviation of images are no
weights: they are told by where they stand, before the first layer with weights or behind the last one.
"""

from collections.abc import Sequence

from onnx import GraphProto, NodeProto

from litevision.cost.graph import operators
from litevision.cost.graph.shapes import Shapes
from litevision.cost.graph.stand_ins import ATTENTION, stand_in

_SUMS = frozenset({"Add", "Mul"})
_JOINS = frozenset({"Concat"})
# What leaves every channel by itself.
_THROUGH = (
    operators.IN_PLACE
    | operators.VIEWS
    | {"Add", "Sub", "Mul", "Div", "Sum", "Transpose", "Cast", "QuantizeLinear", "DequantizeLinear", "Resize", "Pad"}
    | {"AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "Pow", "Sqrt"}
)
_COORDINATES = (2, 4)  # (x, y), or a box


class LearnedOperands:
    """The learned constants of nodes that have no weights by themselves.

    A constant of a sum or product is a bias or scale where it has a number for each channel of the layer before it.
    Another, such as an embedding of places or a class token, counts where layers with weights stand both before and
    behind it, unless it holds coordinates, two or four in a row.
    """

    def __init__(self, graph: GraphProto, shapes: Shapes, constants: frozenset[str]) -> None:
        self._shapes = shapes
        self._constants = constants
        self._channels: dict[str, int] = {}
        self._behind: set[str] = set()
        self._before: set[str] = set()
        weighted = [self._weight_of(node) for node in graph.node]
        for node, weight in zip(graph.node, weighted, strict=True):
            if weight is not None:
                self._behind.update(node.output)
                self._channels.update(dict.fromkeys(node.output, weight))
                continue
            if any(name in self._behind for name in node.input):
                self._behind.update(node.output)
            found = {self._channels[name] for name in node.input if name in self._channels}
            if node.op_type in _THROUGH and found:
                self._channels.update(dict.fromkeys(node.output, max(found)))
        for node, weight in zip(reversed(graph.node), reversed(weighted), strict=True):
            if weight is not None or any(name in self._before for name in node.output):
                self._before.update(node.input)

    def of(self, node: NodeProto) -> list[str]:
        """Return the learned ones among the inputs of ``node``."""
        if node.op_type not in _SUMS | _JOINS:
            return []
        found = []
        for name in node.input:
            if name not in self._constants:
                continue
            others = [other for other in node.input if other and other not in self._constants]
            shape = self._shapes.shape(name)
            if (node.op_type in _SUMS and self._is_for_channels(shape, others)) or (
                any(other in self._behind for other in others)
                and any(output in self._before for output in node.output)
                and not _holds_coordinates(shape)
                and _is_map(shape)
            ):
                found.append(name)
        return found

    def _is_for_channels(self, shape: Sequence[int] | None, others: Sequence[str]) -> bool:
        if shape is None:
            return True  # of an engine that says nothing: as before, it counts
        long = [length for length in shape if length > 1]
        return len(long) == 1 and any(self._channels.get(other) == long[0] for other in others)

    def _weight_of(self, node: NodeProto) -> int | None:
        """The channels that ``node`` gives, where it has weights by itself; 0 where that is not known."""
        if (node.domain, node.op_type) in ATTENTION:
            return 0
        twin = stand_in(node)
        if twin is None:
            return 0 if any(name in self._constants for name in node.input) else None
        reads = twin.node
        if reads.op_type in operators.OPERANDS:
            slots = operators.OPERANDS[reads.op_type]
            names = [reads.input[slot] for slot in slots if slot < len(reads.input)]
            if not any(name in self._constants for name in names):
                return None
            shape = self._shapes.shape(reads.output[0]) if reads.output else None
            is_product = reads.op_type in operators.PRODUCTS
            axis = -1 if is_product or twin.channels_last else 1
            return shape[axis] if shape and len(shape) > max(axis, 0) else 0
        places = operators.LEARNED.get(reads.op_type, ())
        first = next((reads.input[place] for place in places if place < len(reads.input)), "")
        if reads.op_type == "Gather" or not first or first not in self._constants:
            return None
        shape = self._shapes.shape(first)
        return max(shape, default=0) if shape else 0


def _holds_coordinates(shape: Sequence[int] | None) -> bool:
    return shape is not None and len(shape) != 4 and shape[-1:] != () and shape[-1] in _COORDINATES


def _is_map(shape: Sequence[int] | None) -> bool:
    return shape is not None and sum(length > 1 for length in shape) > 0
