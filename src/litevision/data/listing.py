"""What a reader finds before anything is split: named images, and what it passed over."""

from dataclasses import dataclass, field
from pathlib import Path

from litevision.data.issues import Issue
from litevision.data.records import Split

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
EXPECTED_SPLITS = "expected train, validation (or val, valid) or test (or testing)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One image as it was found.

    Attributes:
        name: its path from the data's root, with ``/``.
        label: the name of its class.
        split: the split that it came with.
        line: its line in the CSV file.
    """

    path: Path
    name: str
    label: str
    split: Split | None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """All that a reader found.

    Attributes:
        root: the folder or the CSV file.
        classes: the class names, sorted; a class whose folder is empty is among them.
        entries: the images.
        faults: what was passed over.
        class_folders: the folder of a class in a split; the split is None where the data has no splits.
    """

    root: Path
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    faults: tuple[Issue, ...] = ()
    class_folders: dict[tuple[Split | None, str], Path] = field(default_factory=dict)


def split_named(name: str) -> Split | None:
    """The split that people mean by ``name``, in any case; None where it means none."""
    return _SPLIT_NAMES.get(name.strip().lower())
