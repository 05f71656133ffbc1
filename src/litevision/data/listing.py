"""Images and labels as a label format writes them, before any image is opened and any split is made."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from litevision.data.dataset import Split
from litevision.data.issues import Issue
from litevision.errors import DataError
from litevision.image import IMAGE_SUFFIXES

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
EXPECTED_SPLITS = "expected train, validation (or val, valid) or test (or testing)"
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class ListedBox:
    """One box as a label file gives it.

    Attributes:
        label: the name of its class.
        xyxy: its corners, in px, or as fractions of the image's size where its listing is ``relative``.
        text: what is written, for messages.
        file: the label file.
        line: its line there, where it has one.
        ignored: marked as difficult or as a crowd.
        area: of the object itself, px²; None where that is its box's.
    """

    label: str
    xyxy: tuple[float, float, float, float]
    text: str
    file: Path
    line: int | None = None
    ignored: bool = False
    area: float | None = None


@dataclass(slots=True)
class ListedImage:
    """One image as its labels list it.

    Attributes:
        name: its path from the data's root, with ``/``.
        split: the split that it came with.
        label: the name of its class; empty where boxes are labelled.
        line: its line in the file that lists it, where it has one.
        labels_file: where its boxes stand; None where it has none.
        size_hw: height and width as the labels state them, px; None where they do not.
        boxes: its boxes, as they are written.
    """

    path: Path
    name: str
    split: Split | None
    label: str = ""
    line: int | None = None
    labels_file: Path | None = None
    size_hw: tuple[int, int] | None = None
    boxes: list[ListedBox] = field(default_factory=list)


@dataclass(slots=True)
class Listing:
    """Everything that a format's reader found.

    Attributes:
        root: the folder or the file that was read.
        classes: the class names in the order of their labels, those without images or boxes too.
        images: the images, in any order.
        issues: what is wrong with the labels, or was skipped.
        relative: whether boxes are given as fractions of the image's size.
        class_folders: the folder of a class in a split; the split is None where the data has no splits.
    """

    root: Path
    classes: list[str] = field(default_factory=list)
    images: list[ListedImage] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    relative: bool = False
    class_folders: dict[tuple[Split | None, str], Path] = field(default_factory=dict)

    def report(self, rule: str, path: Path | None, detail: str, line: int | None = None) -> None:
        """Adds an issue."""
        self.issues.append(Issue.of(rule, path, detail, line))

    def name_of(self, path: Path) -> str:
        """The path from the data's folder, with ``/``, where it lies in it."""
        return relative_name(self.root, path)


def relative_name(root: Path, path: Path) -> str:
    """The path from the data's folder, with ``/``, where it lies in it; ``root`` may be a file of that folder."""
    folder = root if root.is_dir() else root.parent
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def split_named(name: str) -> Split | None:
    """The split that people mean by ``name``, in any case; None where it means none."""
    return _SPLIT_NAMES.get(name.strip().lower())


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders down to four below ``root``, each with the sorted names of its files, without hidden ones.

    Raises:
        DataError: ``root`` cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror or error}). Check who may read it.")

    for parent, folders, names in os.walk(root, onerror=refuse):
        here = Path(parent)
        deeper = len(here.relative_to(root).parts) < _MAX_DEPTH
        folders[:] = sorted(name for name in folders if deeper and not name.startswith((".", "__")))
        yield here, sorted(name for name in names if not name.startswith("."))


def is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    return name.lower().endswith(IMAGE_SUFFIXES)
