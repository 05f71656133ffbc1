"""Images and labels as a label format writes them, before any image is opened and any split is made."""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from litevision.data.dataset import Split
from litevision.data.issues import Issue
from litevision.errors import DataError
from litevision.image import IMAGE_SUFFIXES
from litevision.image.files import PassedOver, is_directory, is_left_behind

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
}
# What people write beside a split's name, as in train_set, seg_train, val2017 or TestImages.
_SPLIT_WORD = re.compile(rf"({'|'.join(sorted(SPLIT_NAMES, key=len, reverse=True))})(set|data|images?|imgs?)?")
_BESIDE_SPLITS = {
    *("set", "sets", "data", "dataset", "image", "images", "img", "imgs"),
    *("folder", "dir", "seg", "pred", "split", "subset", "new"),
}
EXPECTED_SPLITS = "expected train, validation (or val, valid) or test (or testing)"
_MAX_DEPTH = 4
_MAX_RUNS = 1000


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
        is_incomplete: whether a box of it cannot be used, so that not all of what it shows is known.
    """

    path: Path
    name: str
    split: Split | None
    label: str = ""
    line: int | None = None
    labels_file: Path | None = None
    size_hw: tuple[int, int] | None = None
    boxes: list[ListedBox] = field(default_factory=list)
    is_incomplete: bool = False


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
        passed_over: what lies beside the images and is neither an image that is listed nor a file of labels.
    """

    root: Path
    classes: list[str] = field(default_factory=list)
    images: list[ListedImage] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    relative: bool = False
    class_folders: dict[tuple[Split | None, str], Path] = field(default_factory=dict)
    passed_over: PassedOver = field(default_factory=PassedOver)

    def report(self, rule: str, path: Path | None, detail: str, line: int | None = None) -> None:
        """Adds an issue."""
        self.issues.append(Issue.of(rule, path, detail, line))

    def refuse(self, image: ListedImage, rule: str, path: Path | None, detail: str, line: int | None = None) -> None:
        """Adds an issue of a box of ``image`` that cannot be used."""
        image.is_incomplete = True
        self.report(rule, path, detail, line)

    def count_passed_over(self, label_suffixes: Sequence[str]) -> None:
        """Counts what is passed over in the folders of the images and of the classes.

        Args:
            label_suffixes: of files that may be labels there.
        """
        listed: dict[Path, set[str]] = {folder: set() for folder in self.class_folders.values()}
        for image in self.images:
            listed.setdefault(image.path.parent, set()).add(image.path.name)
        told = {issue.path.stem for issue in self.issues if issue.path}  # by the name of its labels
        for folder, names in listed.items():
            try:
                with os.scandir(folder) as items:
                    others = [item for item in items if item.name not in names and not is_left_behind(item.name)]
            except (OSError, ValueError):  # of another machine, or a name that no folder can have
                continue
            for item in others:
                if is_directory(item) or item.name.lower().endswith(tuple(label_suffixes)):
                    continue
                if not is_image(item.name) or Path(item.name).stem not in told:
                    self.passed_over.add_file(item.name)

    def name_of(self, path: Path) -> str:
        """The path from the data's folder, with ``/``, where it lies in it."""
        return relative_name(self.root, path)


def relative_name(root: Path, path: Path) -> str:
    """The path from the data's folder, with ``/``, where it lies in it; ``root`` may be a file of that folder."""
    folder = root if root.is_dir() else root.parent
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def split_named(name: str) -> Split | None:
    """The split that people mean by a folder's ``name``, such as Training, val2017 or test_set; None for another."""
    split, others = _split_words(name)
    return split if others <= _BESIDE_SPLITS else None


def split_in(name: str) -> Split | None:
    """The one split that a word of ``name`` means, as in instances_val2017; None where none does, or two differ."""
    return _split_words(name)[0]


def _split_words(name: str) -> tuple[Split | None, set[str]]:
    """The split that the words of ``name`` mean, if it is one, and the other words."""
    words = re.findall("[a-z]+", re.sub("([a-z])(?=[A-Z])", r"\1 ", name).lower())
    found = {word: SPLIT_NAMES[match[1]] for word in words if (match := _SPLIT_WORD.fullmatch(word))}
    splits = set(found.values())
    return (splits.pop() if len(splits) == 1 else None), set(words) - set(found)


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders down to four below ``root``, each with the sorted names of its files, without hidden ones.

    Links are followed, but not into a folder that they lie in; folders of our own runs are passed over.

    Raises:
        DataError: ``root`` cannot be read.
    """
    yield from _walk(root, (os.path.realpath(root),))


def _walk(folder: Path, inside: tuple[str, ...]) -> Iterator[tuple[Path, list[str]]]:
    folders: list[str] = []
    names: list[str] = []
    for item in scan(folder):
        (folders if is_directory(item) else names).append(item.name)
    yield folder, names
    if len(inside) > _MAX_DEPTH:
        return
    for name in folders:
        real = os.path.realpath(folder / name)
        if real not in inside and not is_own_output(folder / name):
            yield from _walk(folder / name, (*inside, real))


def scan(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted by name, without what is hidden or left behind by systems.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with os.scandir(folder) as items:
            return sorted((item for item in items if not is_left_behind(item.name)), key=lambda item: item.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror or error}). Check who may read it.") from None


def is_own_output(folder: Path, depth: int = 2) -> bool:
    """Whether a folder is a run or a cache of ours, or holds nothing but such: it is never data."""
    names = ("plan.json", "recipe.toml")
    try:
        if all((folder / name).is_file() for name in names) or (folder / "CACHEDIR.TAG").is_file():
            return True
        if not depth:
            return False
        with os.scandir(folder) as items:
            first = list(itertools.islice(items, _MAX_RUNS))
        inner = [Path(item.path) for item in first if is_directory(item)]
        return (
            len(inner) > 0
            and not any(is_image(item.name) for item in first)
            and all(is_own_output(path, depth - 1) for path in inner)
        )
    except OSError:
        return False


def is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    return name.lower().endswith(IMAGE_SUFFIXES)
