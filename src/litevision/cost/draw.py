"""Draw a network: its parts with their shapes and costs, as SVG, PNG, PDF or dot text."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from litevision.cost.dot import dot_text
from litevision.cost.ledger import ledger
from litevision.cost.rows import Size, pair_of
from litevision.errors import BundleError, MissingExtraError, UsageError
from litevision.files import atomic_write
from litevision.models import build, configure
from litevision.models.network import Network
from litevision.outputs import MARK, check_output, kind_named
from litevision.registry import is_network
from litevision.registry.weight_sets import is_file_name

SUFFIXES = (".svg", ".png", ".pdf", ".dot")
PNG_DPI = 144


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
    model: str | Network,
    output: str | Path | None = None,
    *,
    width: float = 1.0,
    size: Size = 224,
    classes: int = 1000,
    dialect: str | None = None,
    output_stride: int = 32,
) -> Drawing:
    """Draw a network: a box for each of its parts, with shapes, parameters and multiply-adds.

    Args:
        model: an architecture's name or alias, a weight file, a bundle, the folder of a run, or a network, which is
            neither run nor changed; the options after ``size`` are those of a name.
        output: a .svg, .png, .pdf or .dot file to write.
        width: the paper's width multiplier.
        size: of the input in pixels, as one side or (height, width).
        classes: 0 for a network without a classifier.
        dialect: whose form of the network; the name's own by default.
        output_stride: 8, 16 or 32: later strides become dilation.

    Raises:
        UnknownNameError: no such network.
        UsageError: a size that the network cannot take, or a file that cannot be written.
        MissingExtraError: pygraphviz is not installed, which all formats but .dot need.

    Example:
        >>> draw("mobilenet_v2").dot[:7]
        'digraph'
    """
    if output is not None:
        output = _checked(output)
        check_output(output, kind_named("drawing", output))
    if isinstance(model, str) and not is_network(model) and (Path(model).exists() or is_file_name(model)):
        model = _network_in(model)
    if isinstance(model, str):
        config = configure(model, width_mult=width, num_classes=classes, dialect=dialect, output_stride=output_stride)
        model = build(config, device="meta")
    drawing = Drawing(dot_text(model, ledger(model, pair_of(size) or (224, 224))))
    if output is not None:
        drawing.save(output)
    return drawing


def _network_in(name: str) -> Network:
    """The network in a bundle, a weight file or the folder of a run.

    Raises:
        UsageError: an ONNX file of another's making, or a detector.
    """
    from litevision.weights.load import load_network

    try:
        network = load_network(name)
    except BundleError as error:
        raise UsageError(
            f"{name}: no bundle of litevision whose network could be drawn ({error}). "
            "'litevision info' lists the nodes of any ONNX file."
        ) from None
    if not isinstance(network, Network):
        raise UsageError(f"{name}: a detector, which has no drawing; 'litevision info' lists its layers.")
    return network


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
        drawing: bytes = graph.draw(format=form, prog="nop2")
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
