"""A network drawn: its parts with their shapes and costs, as SVG, PNG, PDF or dot text."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litevision.cost.dot import dot_text
from litevision.cost.ledger import ledger
from litevision.errors import MissingExtraError, UsageError
from litevision.files import atomic_write
from litevision.models.network import Network

SUFFIXES = (".svg", ".png", ".pdf", ".dot")
PNG_DPI = 144


def draw(network: Network, path: Path | str, size_hw: tuple[int, int] = (224, 224)) -> None:
    """Draws ``network`` for an input of ``size_hw`` into ``path``, whose suffix says how.

    Args:
        network: neither run nor changed.
        path: ends with .svg, .png, .pdf or .dot; a file there is replaced, whole or not at all.
        size_hw: of the input, in pixels.

    Raises:
        UsageError: another suffix, no such folder, or a size that the network cannot take.
        MissingExtraError: pygraphviz is not installed; .dot works without it.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        *most, last = SUFFIXES
        raise UsageError(f"a drawing's file must end with {', '.join(most)} or {last}, got {path.name!r}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {str(path.parent)!r} for the drawing. Make it first")
    text = dot_text(network, ledger(network, size_hw))
    drawing = text.encode() if path.suffix.lower() == ".dot" else render(text, path.suffix.lower()[1:])
    with atomic_write(path) as partial:
        partial.write_bytes(drawing)


def render(text: str, form: str) -> bytes:
    """The drawing that the dot ``text`` describes, in the format ``form``: svg, png or pdf.

    Raises:
        MissingExtraError: pygraphviz is not installed.
    """
    try:
        import pygraphviz
    except ImportError:
        raise MissingExtraError.of("drawing a network", "train") from None
    graph = pygraphviz.AGraph(string=text)
    if form == "png":
        graph.graph_attr["dpi"] = PNG_DPI
    with _stderr_held():
        drawing: bytes = graph.draw(format=form, prog="nop2")
    return drawing


@contextmanager
def _stderr_held() -> Iterator[None]:
    """Drops what C code prints: the font library in pygraphviz' wheel warns about newer systems' settings."""
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
