"""What a reader of labels finds before any image is opened: the boxes as they are written."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from litevision.data.detection.records import Kind
from litevision.data.issues import Issue
from litevision.data.records import Split
from litevision.errors import DataError
from litevision.image import IMAGE_SUFFIXES

_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class WrittenBox:
    """One box as a label file gives it.

    Attributes:
        label: its class.
        xyxy: its corners, in px, or in parts of the image's size where its listing is ``relative``.
        said: what is written, for messages.
        file: the label file.
        line: its line there, where it has one.
        ignored: marked as difficult or as a crowd.
        area: of the object itself, px²; None where that is its box's.
    """

    label: str
    xyxy: tuple[float, float, float, float]
    said: str
    file: Path
    line: int | None = None
    ignored: bool = False
    area: float | None = None


@dataclass(slots=True)
class WrittenImage:
    """One image as it was listed.

    Attributes:
        name: its path from the data's root, with ``/``.
        labels_file: where its labels stand; None where it has none.
        size_hw: as the labels state it, px; None where they do not.
        split: the split that it came with.
    """

    path: Path
    name: str
    labels_file: Path | None
    split: Split | None
    size_hw: tuple[int, int] | None = None
    boxes: list[WrittenBox] = field(default_factory=list)


@dataclass(slots=True)
class BoxListing:
    """All that a reader found.

    Attributes:
        classes: the class names, in the order of their labels.
        relative: whether boxes are in parts of the image's size.
    """

    root: Path
    kind: Kind
    classes: list[str] = field(default_factory=list)
    images: list[WrittenImage] = field(default_factory=list)
    faults: list[Issue] = field(default_factory=list)
    relative: bool = False

    def fault(self, rule: str, path: Path | None, detail: str, line: int | None = None) -> None:
        """Notes a fault."""
        self.faults.append(Issue.of(rule, path, detail, line))

    def name_of(self, path: Path) -> str:
        """The path from the data's folder, where it lies in it."""
        folder = self.root if self.root.is_dir() else self.root.parent
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders down to four below ``root``, each with the names of its files, sorted, without hidden ones.

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
