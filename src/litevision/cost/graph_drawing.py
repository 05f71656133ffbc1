"""The drawing of any ledger, of a detector or another's graph: a box for each part, an arrow for each map.

Graphviz lays it out, for such a network may branch as it likes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from litevision.cost.dot import FONT, GREY, LEAST_WIDTH, box_label, heading_label, short, text_width
from litevision.cost.drawing import Box, Kind, Line
from litevision.cost.graph.ledger import GraphLedger, NodeCost
from litevision.cost.ledger import LayerCost, Ledger
from litevision.cost.rows import CONVOLUTIONS, POOLS, TITLES, FusedLayer, Shape, describe, fuse
from litevision.errors import UsageError
from litevision.tables import escape as printable

MOST_BOXES = 800
"""Graphviz takes minutes for more, and nobody sees anything on it."""

_CONTAINERS = {"features", "backbone", "network", "model", "neck", "heads", "head", "classifier", ""}

AnyRow = LayerCost | NodeCost


@dataclass
class Part:
    """A box, and what it reads.

    Attributes:
        reads: names of the rows whose maps it reads, or of inputs.
    """

    name: str
    layers: list[FusedLayer[AnyRow]]
    reads: list[str] = field(default_factory=list)


def graph_dot_text(title: str, costs: Ledger | GraphLedger) -> str:
    """Write the drawing of ``costs`` for Graphviz' engine ``dot``.

    Raises:
        UsageError: too many parts for a drawing.
    """
    parts = _parts(costs)
    if len(parts) > MOST_BOXES:
        raise UsageError(
            f"{title}: a drawing of {len(parts)} boxes, more than {MOST_BOXES}; 'litevision info' lists them"
        )
    inputs = _inputs(costs)
    boxes = [Box(printable(name), (), shape, 0, 0) for name, shape in inputs.items()]
    boxes += [_box(part) for part in parts]
    holder = {name: f"n{number}" for number, name in enumerate(inputs)}
    for number, part in enumerate(parts, start=len(inputs)):
        holder |= {row.name: f"n{number}" for layer in part.layers for row in layer.rows}
    kinds: set[Kind] = {line.kind for box in boxes for line in box.lines}
    some = "at least " if isinstance(costs, GraphLedger) and "macs" in costs.at_least else ""
    facts = [f"{short(costs.num_params)} params", f"{some}{short(costs.macs)} MACs"]
    return "\n".join(
        (
            "digraph network {",
            f'graph [layout=dot, pad=0.25, ranksep=0.3, nodesep=0.35, fontname="{FONT}", labelloc=t, '
            f"label=<{heading_label(printable(title), facts, kinds, LEAST_WIDTH)}>];",
            f'node [shape=plain, fontname="{FONT}", fontsize=11];',
            f'edge [color="{GREY}", arrowsize=0.7];',
            *(f"n{number} [label=<{box_label(box, text_width(box))}>];" for number, box in enumerate(boxes)),
            *_edges(parts, holder, len(inputs)),
            "}\n",
        )
    )


def _inputs(costs: Ledger | GraphLedger) -> dict[str, Shape]:
    if isinstance(costs, GraphLedger):
        return {name: shape or () for name, shape in costs.input_shapes.items()}
    return {"input": costs.rows[0].in_shape} if costs.rows else {"input": ()}


def _edges(parts: Sequence[Part], holder: dict[str, str], first: int) -> Iterator[str]:
    for number, part in enumerate(parts, start=first):
        own = f"n{number}"
        sources = dict.fromkeys(holder[name] for name in part.reads if name in holder)
        yield from (f"{source} -> {own};" for source in sources if source != own)


def _parts(costs: Ledger | GraphLedger) -> list[Part]:
    """The fused layers, those next to each other in one module together."""
    writers: dict[str, str] = {}
    rows: list[AnyRow] = []
    if isinstance(costs, GraphLedger):
        rows += [row for row in costs.rows if not row.is_view and row.kind != "constant"]
        writers = {moved.tensor: row.name for row in costs.rows for moved in row.written}
    else:
        rows += costs.rows
    parts: list[Part] = []
    last = None
    for layer in fuse(rows):
        parent = _parent(_path(layer.layer))
        if parent is None or parent != last:
            parts.append(Part(parent or _path(layer.layer), []))
        last = parent
        parts[-1].layers.append(layer)
        for row in layer.rows:
            if isinstance(row, NodeCost):
                parts[-1].reads += [writers.get(moved.tensor, moved.node) for moved in row.read]
            else:
                parts[-1].reads += row.inputs
    return parts


def _path(row: AnyRow) -> str:
    path = row.layer if isinstance(row, NodeCost) else row.name
    return path.replace(".features.", ".").removeprefix("features.")


def _parent(path: str) -> str | None:
    """The module that ``path`` lies in; None where that is no block."""
    parent, _, name = path.rpartition(".")
    return None if name.isdigit() or parent.rpartition(".")[2] in _CONTAINERS else parent


def _box(part: Part) -> Box:
    rows = [row for layer in part.layers for row in layer.rows]
    lines = tuple(_line(part.name, layer) for layer in part.layers)
    return Box(
        printable(part.name),
        lines,
        _out_shape(rows[-1]),
        sum(row.params for row in rows),
        sum(row.macs or 0 for row in rows),
    )


def _line(name: str, part: FusedLayer[AnyRow]) -> Line:
    layer = part.layer
    role = _path(layer).removeprefix(name).strip(".").rpartition(".")[2]
    words = [] if role in ("", "conv", "depthwise", "pointwise") else [role.replace("_", " ")]
    words.append(layer.op_type if isinstance(layer, NodeCost) and layer.kind == "unknown" else describe(layer))
    taken, given = _in_shape(layer), _out_shape(layer)
    if layer.kind in CONVOLUTIONS | {"linear"} and layer.kind != "depthwise_conv" and taken and given:
        words.append(f"{taken[0]}→{given[0]}")
    note = ", ".join(TITLES.get(row.kind, row.kind) for row in part.followers)
    return Line(printable(" ".join(words)), printable(note), _kind(layer))


def _in_shape(row: AnyRow) -> Shape:
    if isinstance(row, NodeCost):
        return (row.in_shapes[0] or ())[1:] if row.in_shapes else ()
    return row.in_shape


def _out_shape(row: AnyRow) -> Shape:
    if isinstance(row, NodeCost):
        return row.out_shapes[0] or () if row.out_shapes else ()
    return row.out_shape


def _kind(row: AnyRow) -> Kind:
    if row.kind == "depthwise_conv":
        return "depthwise"
    if row.kind == "pointwise_conv":
        return "pointwise 1x1"
    if row.kind in CONVOLUTIONS:
        return "convolution"
    if row.kind in POOLS or row.kind == "mean":
        return "pool"
    return "linear" if row.kind in ("linear", "matmul") else "other"
