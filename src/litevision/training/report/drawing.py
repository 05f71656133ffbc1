"""Matplotlib figures as SVG that stands inside a page and takes its colours and its font."""

import io
import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

# Okabe and Ito's colours, which people with any colour vision tell apart. In the page they are variables, because each
# needs another lightness on a dark ground.
BLUE, ORANGE = "#0072b2", "#d55e00"
INK, FAINT = "#010203", "#040506"
_IN_PAGE = {INK: "currentColor", FAINT: "var(--rule)", BLUE: "var(--blue)", ORANGE: "var(--orange)"}

_STYLE: dict[Any, Any] = {  # matplotlib's stubs list every key
    "svg.fonttype": "none",  # text stays text: it can be found, copied and read aloud
    "svg.hashsalt": "litevision",  # the same results give the same file
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.color": FAINT,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,  # a class may be named $5
    "xtick.color": INK,
    "ytick.color": INK,
}
_LONGEST_NAME = 28


@contextmanager
def drawing() -> Iterator[None]:
    """Figures made and rendered inside look as the page wants them."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The browser has the glyphs of every script; matplotlib's font is only measured.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        yield


def svg(figure: Figure, name: str, title: str) -> Markup:
    """``figure`` as an ``<svg>`` element.

    Args:
        name: sets its ids apart from those of the page's other drawings.
        title: what is read to those who cannot see it.
    """
    out = io.StringIO()
    none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(out, format="svg", bbox_inches="tight", pad_inches=0.05, metadata=none)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)  # HTML knows what <svg> is
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for colour, in_page in _IN_PAGE.items():
        text = text.replace(colour, in_page)
    return Markup(text.replace("<svg", Markup('<svg role="img" aria-label="{}"').format(title), 1))


def short_name(name: str) -> str:
    """A class name as a label: what cannot be drawn replaced, and cut where it is long."""
    name = "".join("\ufffd" if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in name)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
