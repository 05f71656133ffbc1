"""The most memory that the activations of a graph need at once."""

from collections.abc import Iterable, Mapping
from itertools import accumulate

from litevision.cost.graph.records import NodeCost


def peak_bytes(
    nodes: Iterable[NodeCost], sizes: Mapping[str, int | None], inputs: Iterable[str], kept: Iterable[str]
) -> tuple[int, bool]:
    """The most bytes alive at once, and whether every size among them is known.

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
