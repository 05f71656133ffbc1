"""Which tensors each node of a graph reads and writes, how many of their bytes, and the peak of activations alive."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate

from onnx import GraphProto, NodeProto

from litevision.cost.graph import operators
from litevision.cost.graph.constants import Constants
from litevision.cost.graph.ledger import NodeCost, TensorTraffic
from litevision.cost.graph.shapes import Shapes
from litevision.cost.graph.tensors import UNKNOWN_TENSOR, read_by


class MemoryTraffic:
    """The tensors of a graph; its nodes are to be asked for in order."""

    def __init__(self, graph: GraphProto, shapes: Shapes, constants: Constants) -> None:
        self._tensors = shapes.tensors
        self._constants = constants
        self._behind: dict[str, str] = {}  # what a view views
        self._writers: dict[str, str] = {}
        self._uses = _uses(graph)

    def behind(self, tensor: str) -> str:
        """The tensor itself, or the one that it views."""
        return self._behind.get(tensor, tensor)

    def of(
        self, node: NodeProto, name: str, *, is_known: bool
    ) -> tuple[tuple[TensorTraffic, ...], tuple[TensorTraffic, ...]]:
        """What ``node``, from now on known as ``name``, reads and writes, constants aside.

        Args:
            is_known: whether its operator is, and so how much it moves.
        """
        outputs = [*filter(None, node.output)]
        self._writers.update(dict.fromkeys(outputs, name))
        inputs = [tensor for tensor in dict.fromkeys(read_by(node)) if tensor not in self._constants]
        viewed = inputs[:1] if is_view(node) else []
        for tensor in viewed:
            self._behind[outputs[0]] = self.behind(tensor)
        written = tuple(TensorTraffic(tensor, name, self._bytes(tensor, is_known)) for tensor in outputs[len(viewed) :])
        read = []
        for tensor in inputs:
            size = self._bytes(tensor, is_known)
            if viewed or reads_shapes_alone(node):
                size = 0
            elif node.op_type in operators.SLICES and tensor == node.input[0]:
                size = written[0].bytes if written else 0
            read.append(TensorTraffic(self.behind(tensor), self._writers.get(tensor, tensor), size))
        return tuple(read), written

    def is_in_place(self, node: NodeProto) -> bool:
        """Whether ``node`` may overwrite its input."""
        if (
            not operators.is_standard(node)
            or node.op_type not in operators.IN_PLACE
            or not node.input
            or not node.output
        ):
            return False
        x, y = node.input[0], node.output[0]
        is_ours = self.behind(x) in self._writers  # a caller's image, and a constant, must stay what they are
        return is_ours and self._uses[self.behind(x)] == 1 and self._bytes(x) == self._bytes(y) is not None

    def _bytes(self, tensor: str, is_known: bool = True) -> int | None:
        return self._tensors.get(tensor, UNKNOWN_TENSOR).bytes if is_known else None


def is_view(node: NodeProto) -> bool:
    """Whether ``node`` only names its first input anew."""
    return operators.is_standard(node) and node.op_type in operators.VIEWS and bool(node.input) and bool(node.output)


def reads_shapes_alone(node: NodeProto) -> bool:
    """Whether ``node`` asks how large a tensor is, and not what it holds."""
    return operators.is_standard(node) and node.op_type in operators.SHAPES


def _uses(graph: GraphProto) -> Counter[str]:
    """How often each tensor is read, itself or through views, or kept as an answer."""
    uses = Counter(value.name for value in graph.output)
    for node in reversed(graph.node):
        if is_view(node):
            uses[node.input[0]] += uses[node.output[0]]
        elif not reads_shapes_alone(node):
            uses.update({*read_by(node)})
    return uses


def peak_bytes(
    nodes: Iterable[NodeCost], sizes: Mapping[str, int | None], inputs: Iterable[str], kept: Iterable[str]
) -> tuple[int, bool]:
    """Return the most bytes alive at once, and whether every size among them is known.

    Args:
        nodes: in the order in which they run.
        sizes: bytes of each tensor.
        inputs: alive from the start.
        kept: alive to the end.
    """
    home: dict[str, str] = {}  # the tensor whose memory another one takes over
    born = dict.fromkeys(inputs, 0)
    last = dict.fromkeys(born, 0)
    end = 0
    for end, node in enumerate(nodes):
        for moved in node.read:
            last[home.get(moved.tensor, moved.tensor)] = end
        for moved in node.written:
            source = node.read[0].tensor if node.in_place else moved.tensor
            home[moved.tensor] = home.get(source, source)
            born.setdefault(home[moved.tensor], end)
            last[home[moved.tensor]] = end
    last.update((home.get(tensor, tensor), end) for tensor in kept)
    change = [0] * (end + 2)
    for tensor, first in born.items():
        size = sizes.get(tensor) or 0
        change[first] += size
        change[last[tensor] + 1] -= size
    return max(accumulate(change)), all(sizes.get(tensor) is not None for tensor in born)
