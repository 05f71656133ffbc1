"""Draw a network: its parts with their shapes and costs, as SVG, PNG, PDF or dot text."""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from litevision.cost.dot import dot_text
from litevision.cost.graph.inputs import InputShapes
from litevision.cost.graph_drawing import graph_dot_text
from litevision.cost.info import info
from litevision.cost.ledger import ledger
from litevision.cost.rows import Size, pair_of
from litevision.errors import BundleError, MissingExtraError, UsageError, WeightsError
from litevision.files import atomic_write
from litevision.models.centernet import CenterNet
from litevision.models.nanodet import NanoDet
from litevision.models.network import Network
from litevision.outputs import MARK, check_output, kind_named
from litevision.registry import ARCHITECTURES, DETECTORS
from litevision.weights.any_model import NetworkForm, open_any

if TYPE_CHECKING:
    from litevision.models.centernet import Neck
    from litevision.weights.trained import RunLike

SUFFIXES = (".svg", ".png", ".pdf", ".dot")
PNG_DPI = 144
_LAID_OUT = "graph [layout=dot,"  # a drawing whose positions Graphviz finds


@dataclass(frozen=True, slots=True)
class Drawing:
    """A network as a drawing; a notebook shows it by itself.

    Attributes:
        dot: the text in Graphviz' language, with every position given.
    """

    dot: str

    def svg(self) -> str:
        """Render it as SVG.

        Raises:
            MissingExtraError: pygraphviz is not installed.
        """
        return render(self.dot, "svg").decode()

    def save(self, path: str | Path) -> None:
        """Write it atomically, in the format that the suffix names.

        Args:
            path: ends with .svg, .png, .pdf or .dot.

        Raises:
            UsageError: another suffix, no such folder, or a file there that is no drawing of litevision.
            MissingExtraError: pygraphviz is not installed; .dot works without it.
        """
        path = _checked(path)
        check_output(path, kind_named("drawing", path))
        form = path.suffix.lower()[1:]
        drawing = self.dot.encode() if form == "dot" else render(self.dot, form)
        with atomic_write(path) as partial:
            partial.write_bytes(drawing)

    def _repr_svg_(self) -> str:
        return self.svg()


def draw(
    model: "str | os.PathLike[str] | nn.Module | RunLike",
    output: str | Path | None = None,
    *,
    width: float = 1.0,
    size: Size | None = None,
    shapes: InputShapes | None = None,
    classes: int | None = None,
    dialect: str | None = None,
    output_stride: int = 32,
    rows: Iterable[Any] | str | None = None,
    backbone: str | None = None,
    neck: "Neck | None" = None,
) -> Drawing:
    """Draw a network: a box for each of its parts, with shapes, parameters and multiply-adds.

    Args:
        model: as for `litevision.info`; a network is neither run nor changed.
        output: a .svg, .png, .pdf or .dot file to write.
        width: the paper's width multiplier; this and what follows ``shapes`` as for `litevision.info`.
        size: of the input in pixels, as one side or (height, width); by default 224, unless a file fixes it.
        shapes: of a file's inputs by name, for what else it leaves open.
        classes: 0 for a network without a classifier.
        dialect: whose form of the network; the name's own by default.
        output_stride: 8, 16 or 32: later strides become dilation.
        rows: rows of the family's table to use instead.
        backbone: of ``centernet``: the network whose backbone it takes.
        neck: of ``centernet``: light, dlaup or reshape.

    Raises:
        UnknownNameError: no such network.
        UsageError: a size that the network cannot take, a graph of too many parts, or a file that cannot be written.
        MissingExtraError: pygraphviz is not installed, which all formats but .dot need.

    Example:
        >>> draw("mobilenet_v2").dot[:7]
        'digraph'
    """
    if output is not None:
        output = _checked(output)
        check_output(output, kind_named("drawing", output))
    form = NetworkForm(
        width=width,
        classes=classes,
        dialect=dialect,
        output_stride=output_stride,
        rows=rows,
        backbone=backbone,
        neck=neck,
    )
    found = open_any(model, form, device="meta")
    network = _network_in(found) if isinstance(found, Path) else found
    if isinstance(network, Network):
        drawing = Drawing(dot_text(network, ledger(network, pair_of(size) or _size_of(network))))
    elif network is None:
        costs = info(str(found), size=size, shapes=shapes)
        drawing = Drawing(graph_dot_text(str(model), costs))
    else:
        drawing = Drawing(graph_dot_text(_title(network), ledger(network, pair_of(size) or _size_of(network))))
    if output is not None:
        drawing.save(output)
    return drawing


def _size_of(network: nn.Module) -> tuple[int, int]:
    """The size of the input that its weights were made for."""
    pretrained = getattr(network, "pretrained", None)
    return pretrained.preprocess.size_hw if pretrained else (224, 224)


def _title(network: nn.Module) -> str:
    if isinstance(network, CenterNet):
        config = network.config
        return f"CenterNet on {ARCHITECTURES[config.backbone.architecture].title}, neck {config.neck}"
    if isinstance(network, NanoDet):
        return f"{DETECTORS[network.config.architecture].title} on {ARCHITECTURES[network.config.form.backbone].title}"
    return type(network).__name__


def _network_in(path: Path) -> nn.Module | None:
    """The network in a bundle; None in an ONNX file of another's making, or one that was rewritten since."""
    from litevision.weights.load import load_network

    try:
        return load_network(path)
    except (BundleError, WeightsError):
        return None


def _checked(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        *most, last = SUFFIXES
        raise UsageError(f"a drawing's file must end with {', '.join(most)} or {last}, got {path.name!r}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {str(path.parent)!r} for the drawing. Make it first")
    return path


def render(text: str, form: str) -> bytes:
    """Render the dot ``text`` in the format ``form``: svg, png or pdf.

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
        drawing: bytes = graph.draw(format=form, prog="dot" if _LAID_OUT in text else "nop2")
    return _marked(drawing, form)


def _marked(drawing: bytes, form: str) -> bytes:
    """Write into a PNG or PDF who made it, so that a later drawing may replace it."""
    if form == "pdf":
        return drawing + b"%" + MARK + b"\n"  # a comment behind the end
    if form != "png":
        return drawing
    end_of_header = 33  # the signature's 8 bytes, and the first chunk
    text = b"tEXtSoftware\0" + MARK
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return drawing[:end_of_header] + chunk + drawing[end_of_header:]


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
