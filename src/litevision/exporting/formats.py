"""The formats that models are exported to: one row of ``FORMATS`` for each, found by the output's name or ``--format``.

Every format is made of a finished bundle, whose answers it must give: `litevision.exporting.convert` writes it, runs it
on real images beside the bundle, and moves it into place. A new format is one more row: a writer, and what opens the
result in its own runtime. Both import what they need when they are called, so that reading this table takes neither
torch nor the format's own packages.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from litevision.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from litevision.models.kinds import AnyNetwork
    from litevision.runtime import BundleMetadata, Engine

BUNDLE = "bundle"
"""The name of the format that all others are made of."""

INPUTS = ("float-nchw",)
"""What a graph may take in place of uint8 images."""

HALF_TOLERANCE = 0.02
"""Largest difference of a probability that weights in float16 explain."""

INT8_TOLERANCE = 0.1
"""The same for weights in 8 bits, and activations that are rounded as they come."""


@dataclass(frozen=True)
class FinishedBundle:
    """What a format is made of.

    Attributes:
        path: the bundle, a checked ``.onnx`` file.
        metadata: what it says about itself.
        network: what it was made of; None where the bundle itself was given
            (``litevision.weights.load.load_network(path)`` builds it, with torch).
    """

    path: Path
    metadata: "BundleMetadata"
    network: "AnyNetwork | None" = None


@dataclass(frozen=True)
class Variant:
    """How a file is to differ from its format's usual form; each row of ``FORMATS`` says which of these it takes.

    Attributes:
        half: layers in float16; what goes in and comes out stays as it is.
        opset: the version of ONNX's operators; by default the lowest that has the graph's nodes.
        batch: how many images are taken at a time, 1; by default any number.
        input: ``float-nchw`` for normalised images, float32 [N, 3, H, W], in place of uint8 [N, H, W, 3].
        raw_heads: a detector gives its maps, and no boxes.
        dynamic_int8: weights in 8 bits; activations are rounded image by image, so that nothing calibrates.
    """

    half: bool = False
    opset: int | None = None
    batch: int | None = None
    input: str | None = None
    raw_heads: bool = False
    dynamic_int8: bool = False


@dataclass(frozen=True)
class ExportFormat:
    """A row of ``FORMATS``.

    Attributes:
        name: of the format, as ``--format`` has it.
        suffixes: what an output's name ends with; the first is shown.
        help: what the file is for, in a few words that follow "for".
        extra: the pip extra that writing and checking it needs, where a finished bundle is given.
        write: writes the file, or fills the folder, at a path where nothing is yet. Returns how much a probability may
            differ from the bundle's by the arithmetic that was chosen, such as 1e-3 for float32; a larger difference is
            refused.
        open: opens what was written in the format's own runtime, as an engine that takes and gives what the bundle
            does: ``images``, uint8 [N, H, W, 3], and ``probabilities``, or ``boxes``, ``scores`` and ``classes``.
        is_folder: it is a folder of several files.
        mark: of a folder whose form others prescribe, the file by which it is known, so that it may be replaced. None
            where our own record lies in the folder, and is that.
        record: writes the outcome of the check into the file, where it carries metadata of its own.
        takes: the fields of `Variant` that its writer knows.
        leaves_suppression: a detector's file gives the boxes of all cells where the bundle suppresses those that
            overlap; its record says with what.
    """

    name: str
    suffixes: tuple[str, ...]
    help: str
    extra: str
    write: Callable[[FinishedBundle, Path, Variant], float]
    open: Callable[[Path, "BundleMetadata"], "Engine"]
    is_folder: bool = False
    mark: str | None = None
    record: Callable[[Path, "BundleMetadata"], None] | None = None
    takes: frozenset[str] = frozenset()
    leaves_suppression: bool = False

    @property
    def holds_record(self) -> bool:
        """Whether our own record lies in the folder."""
        return self.is_folder and self.mark is None

    def check(self, variant: Variant) -> None:
        """Refuses what this format has no choice of.

        Raises:
            UsageError: a field of ``variant`` that it does not take; the message says which formats do.
        """
        for field in dataclasses.fields(variant):
            if getattr(variant, field.name) == field.default or field.name in self.takes:
                continue
            able = [row.name for row in FORMATS.values() if field.name in row.takes]
            option = field.name.replace("_", "-")
            raise UsageError(f"the format {self.name} has no choice of {option}; expected {' or '.join(able)}")


def _write_bundle(bundle: FinishedBundle, path: Path, variant: Variant) -> float:
    from litevision.exporting.onnx_file import write_onnx

    return write_onnx(bundle, path, variant)


def _open_bundle(path: Path, metadata: "BundleMetadata") -> "Engine":
    from litevision.runtime import Bundle

    return Bundle.open(path).engine


def _write_openvino(bundle: FinishedBundle, folder: Path, variant: Variant) -> float:
    from litevision.runtime.engines import engine_choice
    from litevision.runtime.engines.openvino_engine import MODEL, OpenvinoEngine, import_openvino

    engine = OpenvinoEngine(bundle.path.read_bytes(), engine_choice("openvino"), name=str(bundle.path))
    import_openvino().save_model(engine.model, folder / MODEL, compress_to_fp16=variant.half)
    return HALF_TOLERANCE if variant.half else 1e-3


def _write_ncnn(bundle: FinishedBundle, folder: Path, variant: Variant) -> float:
    from litevision.exporting.ncnn import write_ncnn

    return write_ncnn(bundle, folder, half=variant.half)


def _opener(kind: str) -> Callable[[Path, "BundleMetadata"], "Engine"]:
    """What opens a folder of the format ``kind``."""

    def open_it(folder: Path, metadata: "BundleMetadata") -> "Engine":
        from litevision.runtime.bundle import adapted
        from litevision.runtime.engines import engine_choice, open_engine
        from litevision.runtime.model_folder import ModelFolder

        found = ModelFolder(folder, kind, metadata)
        return adapted(open_engine(found, engine_choice(kind), name=str(folder)), metadata)

    return open_it


def _write_litert(bundle: FinishedBundle, path: Path, variant: Variant) -> float:
    from litevision.exporting.litert.write import write_litert

    return write_litert(bundle, path, variant)


def _record_litert(path: Path, metadata: "BundleMetadata") -> None:
    from litevision.exporting.litert.task_metadata import record_check

    record_check(path, metadata)


def _open_litert(path: Path, metadata: "BundleMetadata") -> "Engine":
    from litevision.exporting.litert.write import open_litert

    return open_litert(path)


def _write_coreml(bundle: FinishedBundle, path: Path, variant: Variant) -> float:
    from litevision.exporting.coreml.write import write_coreml

    return write_coreml(bundle, path, variant)


def _record_coreml(path: Path, metadata: "BundleMetadata") -> None:
    from litevision.exporting.coreml.write import record_check

    record_check(path, metadata)


def _open_coreml(path: Path, metadata: "BundleMetadata") -> "Engine":
    from litevision.exporting.coreml.check import open_package
    from litevision.runtime.bundle import adapted

    return adapted(open_package(path), metadata)


FORMATS = {
    row.name: row
    for row in (
        ExportFormat(
            name=BUNDLE,
            suffixes=(".onnx",),
            help="ONNX with the labels and the preprocessing inside, checked against the network in onnxruntime",
            extra="onnx",
            write=_write_bundle,
            open=_open_bundle,
            takes=frozenset({"half", "opset", "batch", "input", "raw_heads"}),
        ),
        ExportFormat(
            name="openvino",
            suffixes=("_openvino", ".openvino"),
            help="a folder with OpenVINO's model.xml and model.bin",
            extra="openvino",
            write=_write_openvino,
            open=_opener("openvino"),
            is_folder=True,
            takes=frozenset({"half"}),
        ),
        ExportFormat(
            name="ncnn",
            suffixes=(".ncnn", "_ncnn"),
            help="a folder with ncnn's model.param and model.bin, for float images",
            extra="ncnn",
            write=_write_ncnn,
            open=_opener("ncnn"),
            is_folder=True,
            leaves_suppression=True,
            takes=frozenset({"half"}),
        ),
        ExportFormat(
            name="litert",
            suffixes=(".tflite",),
            help="LiteRT (TensorFlow Lite) on phones, with labels that MediaPipe reads",
            extra="litert",
            write=_write_litert,
            open=_open_litert,
            record=_record_litert,
            takes=frozenset({"half", "dynamic_int8"}),
        ),
        ExportFormat(
            name="coreml",
            suffixes=(".mlpackage",),
            help="Core ML on iOS and macOS, with labels that Vision reads",
            extra="coreml",
            write=_write_coreml,
            open=_open_coreml,
            is_folder=True,
            mark="Manifest.json",
            record=_record_coreml,
            leaves_suppression=True,
            takes=frozenset({"half"}),
        ),
    )
}
"""Every format by name."""


def format_of(path: Path, name: str | None = None) -> ExportFormat:
    """Finds the export format for the name of ``path``, or the one with ``name``.

    Raises:
        UnknownNameError: no format has that name.
        UsageError: no format has such names of files.
    """
    if name is not None:
        if name not in FORMATS:
            raise UnknownNameError.of("format", name, FORMATS)
        row = FORMATS[name]
        other = next((one for one in FORMATS.values() if path.name.endswith(one.suffixes)), row)
        if other is not row:
            raise UsageError(f"{path.name!r} is a name for the format {other.name}, not {name}; give one of the two")
        return row
    for row in FORMATS.values():
        if path.name.endswith(row.suffixes):
            return row
    known = "; ".join(f"{row.suffixes[0]} ({row.name}: {row.help})" for row in FORMATS.values())
    raise UsageError(f"no export format is written to {path.name!r}; expected a name that ends with {known}")
