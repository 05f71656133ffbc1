"""What a graph costs: a row for every node, and their totals."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from litevision.cost.rows import CostLedger, CostRow, Shape
from litevision.errors import UnknownNameError
from litevision.runtime.schema import to_dict
from litevision.tables import Table


@dataclass(frozen=True)
class Traffic:
    """Bytes that some nodes read, weights included, and bytes that they write; None where a shape is not known."""

    read: int | None
    written: int | None


@dataclass(frozen=True)
class TensorTraffic:
    """A tensor, weights aside, that a node reads or writes.

    Attributes:
        tensor: its name in the file; behind views, that of the tensor which they view.
        node: the node that writes it, views included, or the graph's input.
        bytes: bytes that the node moves; None where a shape is not known.
    """

    tensor: str
    node: str
    bytes: int | None


@dataclass(frozen=True, kw_only=True)
class NodeCost(CostRow):
    """Cost of one node of a graph.

    Attributes:
        name: the node's, or its first output's where it has none or shares it with a node before.
        kind: "constant" for what is computed from weights alone; "unknown" for an operator whose multiply-adds are
            not known here.
        layer: the path of the module that the weight's name tells (``block_1.expand``), else ``name``.
        op_type: the operator, with its domain unless that is ONNX's own (``com.microsoft:QGemm``).
        outputs: the tensors that it names in the file.
        in_shapes: of what it reads, weights aside, with the batch axis; None where not known. ``out_shapes`` alike.
        weights: numbers of its weight without the bias; 0 but for convolutions and matrix products with a constant.
        weight_bytes: of everything constant that it reads, as stored.
        read: the tensors that it reads. Slices and lookups read as many bytes as they write; a view reads none.
        written: the tensors that it writes; a view writes none.
        in_place: whether an engine can let it overwrite its input: a normalisation or activation whose input no other
            node reads.
        is_view: whether it only names a tensor anew (Reshape, Flatten, Identity and the like).
        note: why ``kind`` or ``macs`` is unknown; empty where all is known.
    """

    layer: str
    op_type: str
    outputs: tuple[str, ...]
    in_shapes: tuple[Shape | None, ...]
    out_shapes: tuple[Shape | None, ...]
    weights: int = 0
    weight_bytes: int = 0
    read: tuple[TensorTraffic, ...] = ()
    written: tuple[TensorTraffic, ...] = ()
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
class GraphLedger(CostLedger[NodeCost]):
    """The nodes of a graph in the order in which they stand, Constant nodes aside, and their totals.

    A total over nodes of which something is not known counts what is, and its name stands in ``at_least``.

    Attributes:
        input_shapes: of the graph's inputs by name, as counted; None where not known.
        kept: the tensors that are the graph's answers.
        peak_activation_bytes: the most bytes of activations alive at once, inputs included. A tensor lives until its
            last use, the graph's answers to the end; views, and nodes that are ``in_place``, take no room.
        at_least: the totals that are lower bounds: of ``num_params``, ``macs``, ``bytes_read``, ``bytes_written``,
            ``activation_bytes`` and ``peak_activation_bytes``.
        open_images: the inputs, images by their axes, whose height or width is not known.
        title: what the graph is called.
        remark: what was assumed to count it; empty where nothing was.
    """

    input_shapes: dict[str, Shape | None]
    kept: frozenset[str]
    peak_activation_bytes: int
    at_least: frozenset[str]
    open_images: tuple[str, ...] = ()
    title: str = ""
    remark: str = ""

    @cached_property
    def num_params(self) -> int:
        """Learned numbers."""
        return sum(node.params for node in self.rows)

    @cached_property
    def num_buffers(self) -> int:
        """Running means and variances of normalisations."""
        return sum(node.buffers for node in self.rows)

    @cached_property
    def bytes_read(self) -> int:
        """Bytes that the nodes read, each by itself, weights included."""
        return sum(node.bytes_read or 0 for node in self.rows)

    @cached_property
    def bytes_written(self) -> int:
        """Bytes that the nodes write, each by itself."""
        return sum(node.bytes_written or 0 for node in self.rows)

    @cached_property
    def activation_bytes(self) -> int:
        """Bytes written where normalisations and activations run in place, as ``litevision.cost.Ledger`` counts."""
        return sum(node.bytes_written or 0 for node in self.rows if not node.in_place)

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
        return tuple(node for node in self.rows if node.macs is None)

    def sections(self, *, every: bool = False) -> Iterator[str | Table]:
        """Yield the title, the table and the totals as text; ``every`` node as a row, or every fused layer."""
        from litevision.cost.info import graph_sections

        return graph_sections(self, every=every)

    def to_dict(self) -> dict[str, Any]:
        """Return the totals and all nodes as JSON values."""
        nodes = []
        for node in self.rows:
            row = to_dict(node)
            del row["read"], row["written"]
            inputs = list(node.inputs)
            nodes.append({**row, "inputs": inputs, "bytes_read": node.bytes_read, "bytes_written": node.bytes_written})
        return {
            "model": self.title,
            "input_shapes": to_dict(self.input_shapes),
            "num_params": self.num_params,
            "num_buffers": self.num_buffers,
            "macs": self.macs,
            "bytes_read": self.bytes_read,
            "bytes_written": self.bytes_written,
            "activation_bytes": self.activation_bytes,
            "peak_activation_bytes": self.peak_activation_bytes,
            "intensity": self.intensity,
            "at_least": sorted(self.at_least),
            "unknown": [{"name": node.name, "op_type": node.op_type, "note": node.note} for node in self.unknown],
            "nodes": nodes,
        }

    @cached_property
    def _by_name(self) -> dict[str, NodeCost]:
        return {node.name: node for node in self.rows}

    @cached_property
    def _readers(self) -> dict[str, set[str]]:
        """The nodes that read bytes of each tensor."""
        readers: dict[str, set[str]] = {}
        for node in self.rows:
            for moved in node.read:
                if moved.bytes != 0:
                    readers.setdefault(moved.tensor, set()).add(node.name)
        return readers

    def together(self, names: Iterable[str]) -> Traffic:
        """Return the memory traffic of the nodes ``names`` as one kernel: what passes between them stays inside.

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
