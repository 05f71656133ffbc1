"""The formats that models are exported to: one row of ``FORMATS`` for each, found by the output's file name ending.

A new format is one more row: a writer, and what the help says. The writer imports what it needs when it is called, so
that reading this table takes neither torch nor the format's own packages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from litevision.errors import UsageError

if TYPE_CHECKING:
    from litevision.models.kinds import AnyNetwork
    from litevision.models.pretrained import Pretrained
    from litevision.runtime import BundleMetadata

CheckImages = Sequence[str | Path | bytes]


@dataclass(frozen=True)
class ExportedModel:
    """What a writer is given.

    Attributes:
        network: the classifier or detector; a writer does not change it.
        labels: a name for each of its classes.
        facts: its preprocessing, normalisation, licence and origin.
        check_images: what to check the file with; None for the four images that come with the package.
    """

    network: "AnyNetwork"
    labels: tuple[str, ...]
    facts: "Pretrained"
    check_images: CheckImages | None = None


@dataclass(frozen=True)
class ExportFormat:
    """A row of ``FORMATS``.

    Attributes:
        suffix: what the output's name ends with.
        name: of the format, in a few words.
        help: what the file is for, in a sentence.
        extra: the pip extra that writing it needs.
        write: writes the file, whole or not at all, and gives what it says about itself and how it was checked.
    """

    suffix: str
    name: str
    help: str
    extra: str
    write: Callable[[ExportedModel, Path], "BundleMetadata"]


def _write_bundle(model: ExportedModel, path: Path) -> "BundleMetadata":
    from litevision.exporting.bundle import export_bundle

    facts = model.facts
    return export_bundle(
        model.network,
        path,
        labels=model.labels,
        preprocess=facts.preprocess,
        normalisation=facts.normalisation,
        weights=facts.weights,
        training_data=facts.training_data,
        score=facts.score,
        score_thresholds=facts.score_thresholds,
        calibration=facts.calibration,
        check_images=model.check_images,
        options={key: value for key in ("top_k", "activation") if (value := getattr(facts, key)) is not None},
    )


FORMATS = {
    row.name: row
    for row in (
        ExportFormat(
            suffix=".onnx",
            name="bundle",
            help="ONNX with the labels and the preprocessing inside, checked against the network in onnxruntime",
            extra="train",
            write=_write_bundle,
        ),
    )
}
"""Every format by name."""


def format_of(path: Path) -> ExportFormat:
    """Finds the export format for the name of ``path``.

    Raises:
        UsageError: no format has such names.
    """
    for row in FORMATS.values():
        if path.name.endswith(row.suffix):
            return row
    known = "; ".join(f"{row.suffix} ({row.name}: {row.help})" for row in FORMATS.values())
    raise UsageError(f"no export format is written to {path.name!r}; expected a name that ends with {known}")
