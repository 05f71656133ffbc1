"""A run's results as CSV files."""

from pathlib import Path

from litevision.files import write_csv
from litevision.training.report.facts import Results

_PER_CLASS = ("count", "precision", "recall", "f1")
_AT = ("threshold", "precision", "recall", "f1")


def write_epochs_csv(path: Path, results: Results) -> None:
    """Writes one row for each epoch, with everything that the results say of it; what one lacks stays empty."""
    epochs = results["epochs"]
    header = list(dict.fromkeys(key for epoch in epochs for key in epoch)) or ["epoch"]
    write_csv(path, header, ([epoch.get(key) for key in header] for epoch in epochs))


def write_per_class_csv(path: Path, results: Results, split: str) -> None:
    """Writes one row for each class: its images, precision, recall and F1, an undefined one left empty.

    A split without a score gives the header alone.
    """
    scores = results["scores"].get(split)
    rows = scores["per_class"] if scores else ()
    write_csv(path, ("split", "class", *_PER_CLASS), ((split, row["name"], *map(row.get, _PER_CLASS)) for row in rows))


def write_box_classes_csv(path: Path, results: Results, split: str) -> None:
    """Writes one row for each class of a detector: its boxes, AP, and what comes of its threshold."""
    scores = results["scores"].get(split)
    pairs = zip(scores["per_class"], results["at_thresholds"], strict=True) if scores else ()
    rows = ((split, row["name"], row["count"], row["ap"], row["ap50"], *map(at.get, _AT)) for row, at in pairs)
    write_csv(path, ("split", "class", "boxes", "ap", "ap50", *_AT), rows)
