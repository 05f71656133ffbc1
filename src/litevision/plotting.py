"""Plots: one palette and one style, written as PNG or SVG without a window system."""

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litevision.files import atomic_write
from litevision.image.draw import PALETTE
from litevision.image.font_files import FOLDER, SHIPPED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

YELLOW, SKY, GREEN, _, BLUE, ORANGE, PINK = ("#{:02x}{:02x}{:02x}".format(*colour) for colour in PALETTE)
GREY, INK, RULE = "#999999", "#333333", "#dddddd"


@contextmanager
def plot_style(ink: str = INK, rule: str = RULE) -> Iterator[None]:
    """Give the figures that are made and saved inside one look.

    Args:
        ink: colour of text and ticks.
        rule: colour of grids and axes.
    """
    import matplotlib as mpl  # here: a page of HTML needs the palette alone

    style: dict[Any, Any] = {  # matplotlib's stubs list every key
        "svg.fonttype": "none",  # text stays text: it can be found, copied and read aloud
        "svg.hashsalt": "litevision",  # the same results give the same file
        "axes.axisbelow": True,
        "axes.edgecolor": rule,
        "axes.facecolor": "none",
        "axes.labelcolor": ink,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.family": _families(),
        "font.size": 10,
        "grid.color": rule,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "savefig.facecolor": "none",
        "text.color": ink,
        "text.parse_math": False,  # a class may be named $5
        "xtick.color": ink,
        "ytick.color": ink,
    }
    with mpl.rc_context(style), warnings.catch_warnings():
        # Of a letter that no font here has. In an SVG, the browser finds one; matplotlib's is only measured.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        yield


@functools.cache
def _families() -> list[str]:
    """The fonts of the package by name, for matplotlib to look for each letter in."""
    from matplotlib import font_manager

    for path in map(FOLDER.joinpath, SHIPPED):
        font_manager.fontManager.addfont(path)
    return [font_manager.get_font(FOLDER / name).family_name for name in SHIPPED]


def log_milliseconds(axes: "Axes") -> None:
    """Make the x axis, of milliseconds, logarithmic with ticks at 1, 2 and 5 times the powers of ten."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([digit * 10.0**power for power in range(-2, 5) for digit in (1, 2, 5)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def save_figure(figure: "Figure", path: Path, *, dpi: int = 130) -> None:
    """Write ``figure`` atomically, on a white ground, in the format that the suffix of ``path`` names."""
    with atomic_write(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=dpi, facecolor="white")
