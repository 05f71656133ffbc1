"""What a graph costs: a row for every node, and their totals."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from litevision.errors import UnknownNameError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Traffic:
    """Bytes that some nodes read, weights included, and bytes that they write; None where a shape is not known."""

    read: int | None
    written: int | None


@dataclass(frozen=True)
class Moved:
    """A tensor, weights aside, that a node reads or writes.

    Attributes:
        tensor: its name in the file; behind views, that of the tensor which they view.
        node: the node that writes it, views included, or the graph's input.
        bytes: how many of its bytes the node moves; None where a shape is not known.
    """

    tensor: str
    node: str
    bytes: int | None


@dataclass(frozen=True)
class NodeCost:
    """One node of a graph.

    Attributes:
        name: the node's, or its first output's where it has none or shares it with a node before.
        layer: the path of the module that the weight's name tells (``block_1.expand``), else ``name``.
        op_type: the operator, with its domain unless that is ONNX's own (``com.microsoft:QGemm``).
        kind: in the words of ``litevision.cost.LayerCost`` where it has one; "constant" for what is computed from
            weights alone; "unknown" for an operator whose multiply-adds are not known here.
        outputs: the tensors that it names in the file.
        in_shapes: of what it reads, weights aside, with the batch axis; None where not known. ``out_shapes`` alike.
        kernel: (h, w), or a number for each axis of the map; None where there is none. ``stride``, ``dilation`` alike.
        params: learned numbers that no node before it has: weights, biases, tables, a normalisation's scale and shift.
        buffers: a normalisation's running mean and variance.
        weights: numbers of its weight without the bias; 0 but for convolutions and matrix products with a constant.
        weight_bytes: of everything constant that it reads, as stored.
        macs: multiply-adds of convolutions and matrix products; 0 for all else; None where they cannot be known.
        read: the tensors that it reads. Slices and lookups read as many bytes as they write; a view reads none.
        written: the tensors that it writes; a view writes none.
        in_place: whether an engine can let it overwrite its input: a normalisation or activation whose input no other
            node reads.
        is_view: whether it only names a tensor anew (Reshape, Flatten, Identity and the like).
        note: why ``kind`` or ``macs`` is unknown; empty where all is known.
    """

    name: str
    layer: str
    op_type: str
    kind: str
    outputs: tuple[str, ...]
    in_shapes: tuple[Shape | None, ...]
    out_shapes: tuple[Shape | None, ...]
    kernel: Shape | None = None
    stride: Shape | None = None
    dilation: Shape | None = None
    groups: int = 1
    params: int = 0
    buffers: int = 0
    weights: int = 0
    weight_bytes: int = 0
    macs: int | None = 0
    read: tuple[Moved, ...] = ()
    written: tuple[Moved, ...] = ()
    in_place: bool = False
    is_view: bool = False
    note: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The nodes, or inputs of the graph, that it reads."""
        return tuple(dict.fromkeys(moved.node for moved in self.read))

    @property
    def bytes_read(self) -> int | None:
        """Bytes that it reads by itself, weights included; None where a shape is not known."""
        activations = total(moved.bytes for moved in self.read)
        return None if activations is None else activations + self.weight_bytes

    @property
    def bytes_written(self) -> int | None:
        """Bytes that it writes by itself; None where a shape is not known."""
        return total(moved.bytes for moved in self.written)


@dataclass(frozen=True)
class GraphLedger:
    """The nodes of a graph in the order in which they stand, Constant nodes aside, and their totals.

    A total over nodes of which something is not known counts what is, and its name stands in ``at_least``.

    Attributes:
        input_shapes: of the graph's inputs by name, as counted; None where not known.
        kept: the tensors that are the graph's answers.
        peak_activation_bytes: the most bytes of activations alive at once, inputs included. A tensor lives until its
            last use, the graph's answers to the end; views, and nodes that are ``in_place``, take no room.
        at_least: the totals that are lower bounds: of ``params``, ``macs``, ``bytes_read``, ``bytes_written``,
            ``activation_bytes`` and ``peak_activation_bytes``.
    """

    nodes: tuple[NodeCost, ...]
    input_shapes: dict[str, Shape | None]
    kept: frozenset[str]
    peak_activation_bytes: int
    at_least: frozenset[str]

    @cached_property
    def params(self) -> int:
        """Learned numbers."""
        return sum(node.params for node in self.nodes)

    @cached_property
    def buffers(self) -> int:
        """Running means and variances of normalisations."""
        return sum(node.buffers for node in self.nodes)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of the convolutions and matrix products."""
        return sum(node.macs or 0 for node in self.nodes)

    @cached_property
    def bytes_read(self) -> int:
        """Bytes that the nodes read, each by itself, weights included."""
        return sum(node.bytes_read or 0 for node in self.nodes)

    @cached_property
    def bytes_written(self) -> int:
        """Bytes that the nodes write, each by itself."""
        return sum(node.bytes_written or 0 for node in self.nodes)

    @cached_property
    def activation_bytes(self) -> int:
        """Bytes written where normalisations and activations run in place, as ``litevision.cost.Ledger`` counts."""
        return sum(node.bytes_written or 0 for node in self.nodes if not node.in_place)

    @property
    def intensity(self) -> float | None:
        """MACs per byte moved, each node by itself; None where either is not known."""
        moved = self.bytes_read + self.bytes_written
        if not moved or self.at_least & {"macs", "bytes_read", "bytes_written"}:
            return None
        return self.macs / moved

    @cached_property
    def unknown(self) -> tuple[NodeCost, ...]:
        """The nodes whose multiply-adds are not known."""
        return tuple(node for node in self.nodes if node.macs is None)

    @cached_property
    def _by_name(self) -> dict[str, NodeCost]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _readers(self) -> dict[str, set[str]]:
        """The nodes that read bytes of each tensor."""
        readers: dict[str, set[str]] = {}
        for node in self.nodes:
            for moved in node.read:
                if moved.bytes != 0:
                    readers.setdefault(moved.tensor, set()).add(node.name)
        return readers

    def together(self, names: Iterable[str]) -> Traffic:
        """What the nodes ``names`` would move if one kernel ran them: what passes between them stays inside.

        Raises:
            UnknownNameError: no such node.
        """
        chosen = set(names)
        for name in chosen - self._by_name.keys():
            raise UnknownNameError.of("node", name, self._by_name)
        nodes = [self._by_name[name] for name in chosen]
        inside = {moved.tensor for node in nodes for moved in node.written}
        read: dict[str, int | None] = {}
        for moved in (moved for node in nodes for moved in node.read if moved.tensor not in inside):
            known = read.get(moved.tensor, 0)
            read[moved.tensor] = None if known is None or moved.bytes is None else max(known, moved.bytes)
        activations = total(read.values())
        return Traffic(
            None if activations is None else activations + sum(node.weight_bytes for node in nodes),
            total(moved.bytes for node in nodes for moved in node.written if self._leaves(moved.tensor, chosen)),
        )

    def _leaves(self, tensor: str, chosen: set[str]) -> bool:
        """Whether something beside the nodes ``chosen`` wants ``tensor``."""
        return tensor in self.kept or not self._readers.get(tensor, set()) <= chosen


def total(sizes: Iterable[int | None]) -> int | None:
    """The sum of ``sizes``; None where one of them is."""
    known = 0
    for size in sizes:
        if size is None:
            return None
        known += size
    return known
