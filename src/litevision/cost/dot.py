"""A network's drawing as text in Graphviz' dot language, with every position given: frames in columns.

Lengths are points. y grows downwards here and upwards in dot, so it is negated where it is written.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from litevision.cost.drawing import Box, Frame, Kind, frames
from litevision.cost.ledger import Ledger
from litevision.cost.rows import shape_text
from litevision.models.network import Network
from litevision.registry import ARCHITECTURES

FONT = "Helvetica,Arial,sans-serif"
GREY = "#606060"
BLUE = "#2f6db5"
FILLS: dict[Kind, str] = {
    "convolution": "#cfe0f5",
    "depthwise": "#d5ecd0",
    "pointwise 1x1": "#fde6c8",
    "squeeze-excite": "#e8d8f0",
    "pool": "#e4e4e4",
    "linear": "#f8d3d0",
    "other": "#ffffff",
}
ROW = 18.0  # one line of a box
GAP = 22.0  # between boxes, for the arrow
PLUS = 16.0  # the circle in which an input is added
ARC = 14.0  # from a box to the arc around it
MARGIN = 12.0  # from a box to its frame
TITLE = 24.0  # from a frame's top to its first box
LANE = 36.0  # between columns, for the line that leads on
HEADING = 104.0  # what lies above the columns
OUTSIDE = 11.0  # from a column's frames to the line that leads on, above and below
STRETCH = 1.25  # a column may be so much taller than the tallest frame
LEAST_WIDTH = 520.0  # of the heading
CORNER = 8.0  # radius
ARROW = 7.0  # length


class Point(NamedTuple):
    """A place on the drawing."""

    x: float
    y: float


def dot_text(network: Network, costs: Ledger) -> str:
    """Write the drawing of ``network``, whose ledger is ``costs``, for Graphviz' engine ``nop2``."""
    columns = _columns(frames(network, costs))
    boxes = [box for column in columns for frame in column for box in frame.boxes]
    any_sums = any(box.sums_input for box in boxes)
    canvas = _Canvas(max(map(text_width, boxes)), ARC if any_sums else 0.0)
    for column in columns:
        canvas.add_column(column)
    kinds = {line.kind for box in boxes for line in box.lines}
    return "\n".join(
        (
            "digraph network {",
            f'graph [layout=nop2, pad=0.25, outputorder=nodesfirst, fontname="{FONT}"];',
            f'node [shape=plain, fontname="{FONT}", fontsize=11];',
            f'edge [color="{GREY}", arrowsize=0.7];',
            _heading(costs, kinds, max(canvas.width, LEAST_WIDTH), any_sums=any_sums),
            *canvas.frames,
            *canvas.nodes,
            *canvas.edges,
            "}\n",
        )
    )


class _Canvas:
    """Collects dot statements, column after column."""

    def __init__(self, box_width: float, arc: float) -> None:
        self.frames: list[str] = []
        self.nodes: list[str] = []
        self.edges: list[str] = []
        self.width = 0.0
        self._box_width = box_width
        self._arc = arc
        self._last = ""  # the node that the next arrow leaves
        self._leaves = Point(0, 0)

    def add_column(self, column: Sequence[Frame]) -> None:
        """Draws ``column`` to the right of what there is."""
        left = self.width + LANE if self.width else 0.0
        x = left + MARGIN + self._box_width / 2
        self.width = x + self._box_width / 2 + self._arc + MARGIN
        y = HEADING
        for frame in column:
            top = y
            y += TITLE if frame.title else 0
            for box in frame.boxes:
                y = self._add_box(box, Point(x, y), lane=left - LANE / 2) + GAP
            y -= GAP
            if frame.title:
                y += MARGIN
                self.frames += _frame(frame, Point(left, top), Point(self.width, y))
            y += GAP

    def _add_box(self, box: Box, top: Point, *, lane: float) -> float:
        """Draws ``box`` under ``top``, and the arrow to it, which takes ``lane`` from another column; gives its end."""
        came_from = self._last
        if self._last:
            self._arrow(box.name, self._way_to(top, lane))
        bottom = Point(top.x, top.y + _height(box))
        self.nodes.append(
            f'"{box.name}" [pos="{_at(Point(top.x, (top.y + bottom.y) / 2))}", '
            f"label=<{box_label(box, self._box_width)}>];"
        )
        self._last, self._leaves = box.name, bottom
        if box.sums_input:
            self._add_sum(box, came_from, top, bottom)
        return self._leaves.y

    def _way_to(self, top: Point, lane: float) -> list[Point]:
        start = self._leaves
        if start.x == top.x:
            return [start, top]
        below, above = start.y + MARGIN + OUTSIDE, HEADING - OUTSIDE
        return [start, Point(start.x, below), Point(lane, below), Point(lane, above), Point(top.x, above), top]

    def _add_sum(self, box: Box, came_from: str, top: Point, bottom: Point) -> None:
        """Draws the circle below ``box`` and the arc that leads the box's input to it."""
        name = f"{box.name} + input"
        middle = Point(top.x, bottom.y + GAP * 0.8 + PLUS / 2)
        self.nodes.append(
            f'"{name}" [pos="{_at(middle)}", shape=circle, label="+", fixedsize=shape, width={PLUS / 72:.3f}, '
            f'color="{BLUE}", fontcolor="{BLUE}", fontsize=13];'
        )
        self._arrow(name, [bottom, Point(top.x, middle.y - PLUS / 2)])
        self._last = came_from
        outside = top.x + self._box_width / 2 + self._arc
        start = Point(top.x, top.y - GAP * 0.55)
        end = Point(top.x + PLUS / 2, middle.y)
        self._arrow(name, [start, Point(outside, start.y), Point(outside, end.y), end], color=BLUE)
        self._last, self._leaves = name, Point(top.x, middle.y + PLUS / 2)

    def _arrow(self, to: str, way: Sequence[Point], *, color: str = GREY) -> None:
        self.edges.append(f'"{self._last}" -> "{to}" [pos="{_spline(way)}", color="{color}"];')


def _columns(found: Iterable[Frame]) -> list[list[Frame]]:
    """``found`` in columns, none of which is much taller than the tallest frame."""
    found = list(found)
    tallest = STRETCH * max(map(_frame_height, found))
    columns: list[list[Frame]] = [[]]
    for frame in found:
        if columns[-1] and sum(map(_frame_height, columns[-1])) + _frame_height(frame) > tallest:
            columns.append([])
        columns[-1].append(frame)
    return columns


def _frame_height(frame: Frame) -> float:
    boxes = sum(_height(box) + GAP + (GAP * 0.8 + PLUS if box.sums_input else 0) for box in frame.boxes)
    return boxes + (TITLE + MARGIN if frame.title else 0)


def _height(box: Box) -> float:
    return ROW * (1 + len(box.lines) + bool(box.num_params)) + 2


def text_width(box: Box) -> float:
    """Room for the longest line of ``box``."""
    left, right = _halves(box)
    return left + right


def _halves(box: Box) -> tuple[float, float]:
    """Room for what stands left and right in ``box``: wide letters' width at 11 and 9 points, and the padding."""
    left = max(7.8 * len(box.name), 70.0, *(6.5 * len(line.text) for line in box.lines))
    right = max(6.8 * len(shape_text(box.out_shape)), 55.0, *(5.5 * len(line.note) for line in box.lines))
    return left + 12, right + 12


def _frame(frame: Frame, top_left: Point, bottom_right: Point) -> Iterator[str]:
    name = frame.boxes[0].name
    middle = Point((top_left.x + bottom_right.x) / 2, (top_left.y + bottom_right.y) / 2)
    width, height = bottom_right.x - top_left.x, bottom_right.y - top_left.y
    yield (
        f'"frame of {name}" [pos="{_at(middle)}", shape=box, style="rounded,filled", fillcolor="#f6f6f6", '
        f'color="#c8c8c8", label="", fixedsize=true, width={width / 72:.3f}, height={height / 72:.3f}];'
    )
    cell = f'<TD ALIGN="LEFT">{_small(escape(frame.title))}</TD>'
    label = f'<TABLE BORDER="0" WIDTH="{width - 2 * MARGIN:.0f}"><TR>{cell}</TR></TABLE>'
    yield f'"title of {name}" [pos="{_at(Point(middle.x, top_left.y + TITLE / 2))}", label=<{label}>];'


def box_label(box: Box, width: float) -> str:
    """A box as one of Graphviz' labels, ``width`` points wide."""
    right = _halves(box)[1]
    widths = (width - right, right)
    rows = [_row(widths, f"<B>{escape(box.name)}</B>", shape_text(box.out_shape))]
    rows += [_row(widths, escape(line.text), _small(escape(line.note) or " "), FILLS[line.kind]) for line in box.lines]
    if box.num_params:
        rows.append(_row(widths, _small(f"{short(box.num_params)} params"), _small(f"{short(box.macs)} MACs")))
    return (
        '<TABLE BORDER="1" COLOR="#808080" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2" BGCOLOR="white">'
        f"{''.join(rows)}</TABLE>"
    )


def _row(widths: tuple[float, float], left: str, right: str, fill: str = "white") -> str:
    cells = (
        f'<TD ALIGN="{align}" HEIGHT="{ROW:.0f}" WIDTH="{width:.0f}" BGCOLOR="{fill}">{text}</TD>'
        for align, width, text in zip(("LEFT", "RIGHT"), widths, (f" {left}", f"{right} "), strict=True)
    )
    return f"<TR>{''.join(cells)}</TR>"


def _small(text: str) -> str:
    return f'<FONT POINT-SIZE="9" COLOR="{GREY}">{text}</FONT>'


def _heading(costs: Ledger, kinds: Iterable[Kind], width: float, *, any_sums: bool) -> str:
    facts = [f"{short(costs.num_params)} params", f"{short(costs.macs)} MACs"]
    title = "network"
    if costs.config:
        title = ARCHITECTURES[costs.config.architecture].title
        facts = [f"dialect {costs.config.dialect}", f"width {costs.config.width_mult:g}", *facts]
    label = heading_label(title, facts, kinds, width, any_sums=any_sums)
    return f'"heading" [pos="{_at(Point(width / 2, HEADING / 2 - OUTSIDE))}", label=<{label}>];'


def heading_label(
    title: str, facts: Iterable[str], kinds: Iterable[Kind], width: float, *, any_sums: bool = False
) -> str:
    """What stands above a drawing: the title, the facts, and what the colours mean."""
    chips = [f'<TD BGCOLOR="{fill}">{kind}</TD>' for kind, fill in FILLS.items() if kind in {*kinds} - {"other"}]
    if any_sums:
        chips.append(f'<TD><FONT COLOR="{BLUE}"><B>+</B> adds the input of the block</FONT></TD>')
    line = f'<TR><TD ALIGN="LEFT" COLSPAN="{max(len(chips), 1)}">'
    return (
        f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4" CELLPADDING="3" WIDTH="{width:.0f}">'
        f'{line}<FONT POINT-SIZE="20"><B>{escape(title)}</B></FONT></TD></TR>'
        f'{line}<FONT COLOR="{GREY}">{escape(", ".join(facts))}</FONT></TD></TR>'
        f"{'<TR>' + ''.join(chips) + '</TR>' if chips else ''}</TABLE>"
    )


def short(number: int) -> str:
    """``number`` with three digits: 864, 10.8 M."""
    if number < 1000:
        return str(number)
    scaled, unit = next(
        (number / of, unit) for of, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= 0.9995 * of
    )
    digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
    return f"{scaled:.{digits}f} {unit}"


def _spline(way: Sequence[Point]) -> str:
    """``way`` with rounded corners and an arrow head, as dot's ``pos`` of an edge."""
    tip = way[-1]
    ends = [*way[:-1], _towards(tip, way[-2], ARROW)]
    points = [ends[0]]
    for before, corner, after in zip(ends, ends[1:], ends[2:], strict=False):
        enter, leave = _towards(corner, before, CORNER), _towards(corner, after, CORNER)
        points += [
            *_straight(points[-1], enter),
            _towards(corner, enter, CORNER / 2),
            _towards(corner, leave, CORNER / 2),
            leave,
        ]
    points += _straight(points[-1], ends[-1])
    return " ".join((f"e,{_at(tip)}", *map(_at, points)))


def _straight(start: Point, end: Point) -> Iterator[Point]:
    """The control points of a straight piece after ``start``."""
    for part in (1 / 3, 2 / 3, 1.0):
        yield Point(start.x + (end.x - start.x) * part, start.y + (end.y - start.y) * part)


def _towards(start: Point, end: Point, distance: float) -> Point:
    """The point ``distance`` from ``start`` on the way to ``end``."""
    length = max(abs(end.x - start.x) + abs(end.y - start.y), 1e-9)  # the ways are level or upright
    part = min(distance / length, 1.0)
    return Point(start.x + (end.x - start.x) * part, start.y + (end.y - start.y) * part)


def _at(point: Point) -> str:
    return f"{point.x:.1f},{-point.y:.1f}"
