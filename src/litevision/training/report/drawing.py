"""Matplotlib figures as SVG that stands inside a page and takes its colours and its font."""

import io
import re
import unicodedata
from contextlib import AbstractContextManager

from markupsafe import Markup
from matplotlib.figure import Figure

from litevision.plotting import BLUE, ORANGE, plot_style

# Stand for the page's own colours, which need another lightness on a dark ground.
INK, FAINT = "#010203", "#040506"
_IN_PAGE = {INK: "currentColor", FAINT: "var(--rule)", BLUE: "var(--blue)", ORANGE: "var(--orange)"}

_LONGEST_NAME = 28


def drawing() -> AbstractContextManager[None]:
    """Give the figures that are made and rendered inside the page's look."""
    return plot_style(INK, FAINT)


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
