"""A network's drawing as text in Graphviz' dot language: one box per part, one column after the other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from litevision.cost.ledger import CONVOLUTIONS, LayerCost, Ledger
from litevision.cost.steps import TITLES, Step, shape_text, steps
from litevision.models.network import Network
from litevision.registry import ARCHITECTURES

FONT = "Helvetica,Arial,sans-serif"
GREY = "#666666"
# Fill by what a line does, in the legend's order.
FILLS = {
    "convolution": "#cfe0f5",
    "depthwise": "#d5ecd0",
    "pointwise 1x1": "#fde6c8",
    "squeeze-excite": "#e8d8f0",
    "pool": "#e6e6e6",
    "linear": "#f8d3d0",
}


@dataclass(frozen=True)
class Line:
    """One line in a box: what it does, what follows it, and its fill."""

    text: str
    note: str
    fill: str


@dataclass
class Box:
    """One part of the network.

    Attributes:
        level: of the endpoint; parts of a level stand in one frame.
        sums_input: whether its input is added to its output, which an arc shows.
    """

    name: str
    level: int
    lines: list[Line]
    out_shape: tuple[int, ...]
    num_params: int
    macs: int
    sums_input: bool = False

    @property
    def height(self) -> int:
        """In lines, roughly."""
        return len(self.lines) + 3 + self.sums_input


@dataclass
class Frame:
    """A titled frame around boxes."""

    title: str
    boxes: list[Box] = field(default_factory=list)

    @property
    def height(self) -> int:
        """In lines, roughly."""
        return 2 + sum(box.height for box in self.boxes)


def dot_text(network: Network, costs: Ledger) -> str:
    """The drawing of ``network``, whose ledger is ``costs``."""
    columns = list(_columns(_frames(network, costs)))
    body: list[str] = []
    for i, column in enumerate(columns):
        body.append(f"subgraph cluster_column_{i} {{ peripheries=0; margin=0;")
        for frame in column:
            body += _frame_text(frame)
        body.append("}")
    boxes = [box for column in columns for frame in column for box in frame.boxes]
    first_of_column = [column[0].boxes[0] for column in columns]
    body += _edges(boxes, first_of_column)
    body += _column_order(first_of_column)
    return "\n".join(
        (
            "digraph network {",
            f'graph [rankdir=TB, newrank=true, nodesep=0.25, ranksep=0.28, pad=0.3, fontname="{FONT}", fontsize=12,'
            f" labelloc=t, label=<{_heading(costs)}>];",
            f'node [shape=plain, fontname="{FONT}", fontsize=11];',
            f'edge [color="{GREY}", arrowsize=0.6, fontname="{FONT}", fontsize=9];',
            *body,
            "}\n",
        )
    )


def _frames(network: Network, costs: Ledger) -> list[Frame]:
    """The input, one frame per level, and the head."""
    endpoints = {end.name: end for end in network.endpoints}
    rows: dict[str, list[LayerCost]] = {name: [] for name in endpoints}
    head: list[LayerCost] = []
    for layer in costs.layers:
        rows.get(layer.name.split(".")[0], head).append(layer)
    picture = (costs.layers[0].in_shape[0], *costs.size_hw)
    frames = {-1: Frame("", [Box("input", -1, [], picture, 0, 0)])}
    before = picture
    for name, end in endpoints.items():
        if not rows[name]:
            continue
        box = _box(name, end.level, rows[name], before)
        frame = frames.setdefault(end.level, Frame(""))
        frame.title = f"{' x '.join(map(str, box.out_shape[1:]))},  1/{end.stride} of the picture"
        frame.boxes.append(box)
        before = box.out_shape
    if head:
        last_level = max(frames)
        boxes = [_box(step.layer.name, last_level + 1, step.rows, step.layer.in_shape) for step in steps(head)]
        frames[last_level + 1] = Frame("head", boxes)
    return list(frames.values())


def _box(name: str, level: int, layers: Sequence[LayerCost], before: tuple[int, ...]) -> Box:
    sums = [layer for layer in layers if layer.kind == "add"]
    sums_input = len(sums) == 1 and sums[0] is layers[-1] and sums[0].out_shape == before
    parts = list(steps(layers if not sums_input else layers[:-1]))
    return Box(
        name,
        level,
        list(_lines(name, parts, before[0])),
        parts[-1].out_shape,
        sum(layer.params for layer in layers),
        sum(layer.macs for layer in layers),
        sums_input,
    )


def _lines(name: str, parts: Sequence[Step], channels_before: int) -> Iterator[Line]:
    """One line per step; the steps on a pooled 1x1 map are one line, the squeeze-and-excite."""
    gate: list[Step] = []
    for i, part in enumerate(parts):
        layer = part.layer
        is_pooled = len(layer.out_shape) == 3 and layer.out_shape[1:] == (1, 1)
        if is_pooled and (gate or layer.kind == "avg_pool"):
            gate.append(part)
            if any(row.kind == "mul" for row in part.followers):
                channels = "→".join(str(step.layer.out_shape[0]) for step in gate)
                activations = ", ".join(TITLES.get(row.kind, row.kind) for step in gate for row in step.followers)
                yield Line(f"squeeze-excite {channels}", activations, FILLS["squeeze-excite"])
                gate = []
            continue
        yield _line(name, part, channels_before if i == 0 else layer.in_shape[0])
    for part in gate:
        yield _line(name, part, part.layer.in_shape[0])


def _line(name: str, part: Step, channels_before: int) -> Line:
    layer = part.layer
    role = layer.name.removeprefix(name).lstrip(".") or TITLES.get(layer.kind, layer.kind)
    words = [role.replace("_", " ")]
    if layer.kernel:
        words.append("x".join(map(str, layer.kernel)))
    if layer.stride and layer.stride not in ((1, 1), layer.kernel):
        words.append(f"/{layer.stride[0]}")
    if layer.dilation and layer.dilation != (1, 1):
        words.append(f"dilated {layer.dilation[0]}")
    if layer.in_shape[0] < channels_before:
        words.append(f"{layer.in_shape[0]} of {channels_before}")
    if layer.kind in CONVOLUTIONS - {"depthwise_conv"} or layer.kind == "linear":
        arrow = f"→{layer.out_shape[0]}"
        words.append(arrow if layer.in_shape[0] < channels_before else f"{layer.in_shape[0]}{arrow}")
    note = ", ".join(TITLES.get(row.kind, row.kind) for row in part.followers)
    return Line(" ".join(words), note, FILLS[_fill(layer)])


def _fill(layer: LayerCost) -> str:
    if layer.kind == "depthwise_conv":
        return "depthwise"
    if layer.kind == "pointwise_conv":
        return "pointwise 1x1"
    if layer.kind == "linear":
        return "linear"
    return "convolution" if layer.kind in CONVOLUTIONS else "pool"


def _columns(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """``frames`` in columns none of which is taller than the tallest frame needs to be."""
    frames = list(frames)
    tallest = max(frame.height for frame in frames)
    column: list[Frame] = []
    for frame in frames:
        if column and sum(other.height for other in column) + frame.height > tallest:
            yield column
            column = []
        column.append(frame)
    yield column


def _frame_text(frame: Frame) -> Iterator[str]:
    if frame.title:
        yield (
            f"subgraph cluster_level_{frame.boxes[0].level} {{ style=rounded; color=\"#bbbbbb\"; margin=10;"
            f' labeljust=l; fontsize=10; fontcolor="{GREY}"; label="{frame.title}";'
        )
    for box in frame.boxes:
        yield f'"{box.name}" [label=<{_box_label(box)}>];'
        if box.sums_input:
            yield f'"{box.name} sum" [shape=circle, label="+", width=0.25, fixedsize=true, fontsize=13];'
    if frame.title:
        yield "}"


def _box_label(box: Box) -> str:
    rows = [
        f'<TR><TD ALIGN="LEFT"><B>{escape(box.name)}</B></TD>'
        f'<TD ALIGN="RIGHT">{shape_text(box.out_shape)}</TD></TR>'
    ]
    rows += [
        f'<TR><TD ALIGN="LEFT" BGCOLOR="{line.fill}">{escape(line.text)}</TD>'
        f'<TD ALIGN="RIGHT" BGCOLOR="{line.fill}"><FONT POINT-SIZE="9">{escape(line.note) or " "}</FONT></TD></TR>'
        for line in box.lines
    ]
    if box.num_params:
        rows.append(
            f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="9" COLOR="{GREY}">{_short(box.num_params)} params</FONT></TD>'
            f'<TD ALIGN="RIGHT"><FONT POINT-SIZE="9" COLOR="{GREY}">{_short(box.macs)} MACs</FONT></TD></TR>'
        )
    return (
        '<TABLE BORDER="1" COLOR="#888888" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" BGCOLOR="white" '
        f'STYLE="ROUNDED">{"".join(rows)}</TABLE>'
    )


def _edges(boxes: Sequence[Box], first_of_column: Sequence[Box]) -> Iterator[str]:
    """The chain of boxes, and an arc around each box that adds its input."""
    for box, following in zip(boxes, boxes[1:], strict=False):
        leaves = f"{box.name} sum" if box.sums_input else box.name
        style = "[constraint=false]" if following in first_of_column else "[weight=20]"
        yield f'"{leaves}" -> "{following.name}" {style};'
        if following.sums_input:
            yield f'"{following.name}" -> "{following.name} sum" [weight=20];'
            yield f'"{leaves}" -> "{following.name} sum" [color="#3366aa", penwidth=1.3];'


def _column_order(first_of_column: Sequence[Box]) -> Iterator[str]:
    """Puts the columns side by side, in order, with their tops in line."""
    names = [f'"{box.name}"' for box in first_of_column]
    yield f"{{ rank=same; {'; '.join(names)}; }}"
    yield from (f"{left} -> {right} [style=invis];" for left, right in zip(names, names[1:], strict=False))


def _heading(costs: Ledger) -> str:
    config = costs.config
    title = ARCHITECTURES[config.architecture].title if config else "network"
    facts = [f"{_short(costs.num_params)} params", f"{_short(costs.macs)} MACs"]
    if config:
        facts = [f"dialect {config.dialect}", f"width {config.width_mult:g}", *facts]
    chips = "".join(f'<TD BGCOLOR="{fill}">{name}</TD>' for name, fill in FILLS.items())
    return (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4" CELLPADDING="3">'
        f'<TR><TD COLSPAN="{len(FILLS)}"><FONT POINT-SIZE="18"><B>{escape(title)}</B></FONT></TD></TR>'
        f'<TR><TD COLSPAN="{len(FILLS)}"><FONT COLOR="{GREY}">{escape(",  ".join(facts))}</FONT></TD></TR>'
        f'<TR>{chips}</TR></TABLE>'
    )


def _short(number: int) -> str:
    """``number`` with three digits: 864, 10.8 M."""
    if number < 1000:
        return str(number)
    scaled, unit = (number / 1e6, "M") if number >= 999_500 else (number / 1e3, "k")
    digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
    return f"{scaled:,.{digits}f} {unit}"
