"""A profile as one HTML page that needs nothing else: a roofline plot, bars whose widths are time, and the table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import atan2, ceil, degrees, floor, log10
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from litevision.files import atomic_write
from litevision.lab.profile.timings import LayerTime, Peaks, Profile
from litevision.plotting import BLUE, GREEN, GREY, ORANGE, PINK, SKY, YELLOW

COLOURS = {
    "pointwise_conv": ("1x1 convolution", BLUE),
    "depthwise_conv": ("depthwise convolution", ORANGE),
    "conv": ("other convolution", GREEN),
    "linear": ("linear", PINK),
    "reorder": ("change of layout", YELLOW),
    "between": ("between kernels", GREY),
    "": ("everything else", SKY),
}
_PLOT_WIDTH, _PLOT_HEIGHT = 840.0, 420.0
_LEFT, _BOTTOM, _TOP, _RIGHT = 56.0, 44.0, 14.0, 14.0
_BAR_WIDTH = 1000.0
_LETTER_PX = 6.4  # of the bars' text, at most
_MOST_RADIUS = 13.0
_MOST_TICKS = 14


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar; ``x`` and ``width`` in px."""

    label: str
    title: str
    x: float
    width: float
    colour: str

    @property
    def text(self) -> str:
        """What of the label there is room for."""
        letters = int((self.width - 6) / _LETTER_PX)
        if letters >= len(self.label):
            return self.label
        return f"{self.label[: letters - 1]}…" if letters > 3 else ""


@dataclass(frozen=True, slots=True)
class Dot:
    """A layer on the plot, in px."""

    title: str
    x: float
    y: float
    radius: float
    colour: str


class Roofline:
    """The plot's axes, both logarithmic: multiply-adds a byte, and 10^9 multiply-adds a second."""

    width, height = _PLOT_WIDTH, _PLOT_HEIGHT
    left, right, top, bottom = _LEFT, _PLOT_WIDTH - _RIGHT, _TOP, _PLOT_HEIGHT - _BOTTOM

    def __init__(self, profile: Profile) -> None:
        counted = (row for row in profile.rows if row.gmacs_per_s and row.moved_bytes)
        rows = sorted(counted, key=lambda row: row.time.ms, reverse=True)  # small dots are drawn over large ones
        intensities = [_intensity(row) for row in rows]
        rates = [row.gmacs_per_s or 0.0 for row in rows]
        peaks = profile.peaks
        fastest = max(rate for _, rate in peaks.bandwidths)
        ridges = [peaks.gmacs_per_s / rate for rate in (peaks.gb_per_s, fastest)]
        self._x = _around([*intensities, *ridges])
        self._y = _around([*rates, peaks.gmacs_per_s, peaks.gmacs_per_s / 10])
        most_ms = rows[0].time.ms if rows else 1.0
        self.dots = [
            Dot(
                f"{row.name}: {row.operation}, {row.time.ms:.3f} ms, {rate:.1f} GMAC/s, {intensity:.2f} MACs a byte",
                self.x(intensity),
                self.y(rate),
                max(2.5, _MOST_RADIUS * (row.time.ms / most_ms) ** 0.5),
                colour_of(row),
            )
            for row, intensity, rate in zip(rows, intensities, rates, strict=True)
        ]
        self.x_ticks = [(self.x(value), f"{value:g}") for value in _ticks(self._x)]
        self.y_ticks = [(self.y(value), f"{value:g}") for value in _ticks(self._y)]
        self.roof = self.y(peaks.gmacs_per_s)
        self.highest = max(rates, default=0.0)
        self.slopes = [
            (f"{rate:.0f} GB/s, {where}", *self._slope(peaks, rate))
            for rate, where in ((peaks.gb_per_s, "memory"), (fastest, "cache"))
        ]
        _, x1, y1, x2, y2 = self.slopes[0]
        self.angle = degrees(atan2(y2 - y1, x2 - x1))

    def x(self, intensity: float) -> float:
        """The px of so many multiply-adds a byte."""
        return _place(intensity, self._x, self.left, self.right)

    def y(self, rate: float) -> float:
        """The px of so many 10^9 multiply-adds a second."""
        return _place(rate, self._y, self.bottom, self.top)

    def _slope(self, peaks: Peaks, gb_per_s: float) -> tuple[float, float, float, float]:
        """The line of a bandwidth, from the plot's edge up to the roof."""
        start = max(self._x[0], self._y[0] / gb_per_s)
        end = peaks.gmacs_per_s / gb_per_s
        return self.x(start), self.y(start * gb_per_s), self.x(end), self.roof


def write_page(path: Path, profile: Profile) -> None:
    """Write the HTML page of ``profile`` atomically."""
    environment = Environment(
        loader=PackageLoader("litevision.lab.profile", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html").render(
        model=Path(profile.model).name,
        machine=profile.machine,
        profile=profile,
        plot=Roofline(profile),
        bars=bars(profile),
        bar_width=_BAR_WIDTH,
        legend=_legend(profile.rows),
        colour_of=colour_of,
    )
    with atomic_write(path) as partial:
        partial.write_text(html, encoding="utf-8", errors="backslashreplace")


def bars(profile: Profile) -> list[tuple[str, list[Part]]]:
    """Divide the run three times over: by the size of the map, by block and by layer."""
    size_px = _BAR_WIDTH / profile.sum_ms if profile.sum_ms else 0.0
    by: dict[str, Callable[[LayerTime], str]] = {
        "map": lambda row: row.size or row.name,
        "block": lambda row: row.block or row.name,
    }
    found = []
    for name, key in by.items():
        groups = [(label, list(rows)) for label, rows in groupby(profile.rows, key)]
        found.append((name, list(_parts(groups, size_px, profile.sum_ms, lambda rows: ""))))
    single = [(row.name.rpartition(".")[2], [row]) for row in profile.rows]
    found.append(("layer", list(_parts(single, size_px, profile.sum_ms, lambda rows: colour_of(rows[0])))))
    return found


def colour_of(row: LayerTime) -> str:
    """The colour of its category."""
    return COLOURS.get(row.category, COLOURS[""])[1]


def _parts(
    groups: Sequence[tuple[str, list[LayerTime]]],
    size_px: float,
    sum_ms: float,
    colour: Callable[[list[LayerTime]], str],
) -> Iterator[Part]:
    x = 0.0
    for label, rows in groups:
        ms = sum(row.time.ms for row in rows)
        what = f"{rows[0].name}, {rows[0].operation}".removesuffix(", ") if len(rows) == 1 else label
        yield Part(label, f"{what}: {ms:.3f} ms, {ms / sum_ms:.1%}", x, ms * size_px, colour(rows))
        x += ms * size_px


def _legend(rows: Sequence[LayerTime]) -> list[tuple[str, str]]:
    seen = {colour_of(row) for row in rows}
    return [(title, colour) for title, colour in COLOURS.values() if colour in seen]


def _intensity(row: LayerTime) -> float:
    return (row.macs or 0) / (row.moved_bytes or 1)


def _around(values: Sequence[float]) -> tuple[float, float]:
    """A range with some room below and above ``values``."""
    return min(values) / 1.5, max(values) * 1.5


def _ticks(ends: tuple[float, float]) -> list[float]:
    """1, 2 and 5 times the powers of ten between ``ends``; the powers alone where those are too many."""
    powers = range(floor(log10(ends[0])), ceil(log10(ends[1])) + 1)
    found = [step * 10.0**power for power in powers for step in (1, 2, 5) if ends[0] <= step * 10.0**power <= ends[1]]
    return found if len(found) <= _MOST_TICKS else [value for value in found if log10(value).is_integer()]


def _place(value: float, ends: tuple[float, float], start: float, end: float) -> float:
    """The px of ``value`` on a logarithmic axis."""
    return start + (end - start) * log10(value / ends[0]) / log10(ends[1] / ends[0])
