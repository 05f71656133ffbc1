"""Read a folder of class folders, alone or below split folders."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from litevision.data.dataset import SPLITS, Split
from litevision.data.formats import expected_files
from litevision.data.formats.find import Folder
from litevision.data.formats.label_files import UnreadableLabels, is_file, read_lines
from litevision.data.listing import (
    ListedImage,
    Listing,
    is_image,
    is_own_output,
    scan,
    split_in,
    split_named,
    walk,
)
from litevision.errors import DataError
from litevision.image import IMAGE_SUFFIXES
from litevision.image.files import is_directory
from litevision.tables import pluralise

_EXPECTED = (
    "expected one folder for each class with its images inside, or train, validation and test folders that hold those"
)

# Folders that a data set of boxes has, and that are called after what they hold, not after a class.
_NO_CLASSES = re.compile(r"(jpeg)?ima?ge?s?|ann?ot(ation)?s?|xmls?|labels?(_?txt)?|jsons?", re.IGNORECASE)
_OF_LABELS = (".xml", ".txt", ".json", ".csv")
_SEVERAL = "_classes.csv"
_MAX_WRAPPING = 2
_EVALUATED = re.compile("eval", re.IGNORECASE)


def is_labels_file(path: Path) -> bool:
    """Never: here the folders are the labels."""
    return False


def find_labels(folder: Folder) -> Iterator[Path]:
    """The folder itself, whatever is in it."""
    yield folder.path


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images in the class folders of ``root``.

    Raises:
        DataError: no class folders, no images, or two folders for one split.
    """
    content = _content(root)
    if not content.folders and not content.files:
        raise DataError(f"{root}: an empty folder; {_EXPECTED}.")
    several = next(filter(is_file, (place / _SEVERAL for place in (root, *content.folders))), None)
    if several and _names_classes(several):
        raise DataError(
            f"{several}: Roboflow's labels of several classes for an image; expected one class for each. "
            "Export it as a folder structure, or write path,label into a CSV file."
        )
    listing = Listing(root)
    inner = _unwrapped(root)
    if inner != root:
        listing.report("wrapping-folder", inner, "holds all images")
        content = _content(inner)
    by_split = _split_folders(inner, content.folders)
    inside = {} if by_split else _splits_inside(content.folders)
    if inside:
        _report_outside(content, listing)
        for (split, label), folder in inside.items():
            _add_class(folder, split, listing, label)
    elif by_split:
        for folder in content.folders:
            if folder not in by_split.values():
                listing.report("unused-folder", folder, "no split's name")
        _report_outside(content, listing)
        for split in SPLITS:
            if split in by_split:
                _add_classes(_without_wrapping(by_split[split], listing), split, listing)
    else:
        _add_classes(inner, None, listing)
    if not listing.images:
        _refuse_without_images(listing)
    _refuse_labels(listing)
    listing.classes = sorted({name for _, name in listing.class_folders})
    return listing


def _names_classes(table: Path) -> bool:
    """Whether the columns of a table are classes; other programs list their ids in a file of the same name."""
    try:
        return read_lines(table)[0].lower().startswith("filename")
    except UnreadableLabels:
        return False


def _unwrapped(root: Path) -> Path:
    """The folder that holds the data: ``root``, or the only folder in it, as an archive is often unpacked."""
    folder = root
    for _ in range(_MAX_WRAPPING):
        content = _content(folder)
        if len(content.folders) != 1 or content.images or split_named(content.folders[0].name):
            break
        folder = content.folders[0]
        inner = _content(folder)
        if len(inner.folders) > 1 and not inner.images:
            return folder
    return root


def _without_wrapping(folder: Path, listing: Listing) -> Path:
    """The folder of a split, or the only one in it, as in seg_train/seg_train."""
    content = _content(folder)
    if len(content.folders) == 1 and not content.images:
        inner = content.folders[0]
        below = _content(inner)
        if len(below.folders) > 1 and not below.images:
            listing.report("wrapping-folder", inner, f"holds all images of {folder.name}")
            return inner
    return folder


def _splits_inside(folders: Sequence[Path]) -> dict[tuple[Split, str], Path]:
    """The folders of splits inside each class, as in cat/train and dog/train; empty where a class has others."""
    found: dict[tuple[Split, str], Path] = {}
    for folder in folders:
        content = _content(folder)
        if not content.folders or content.images:
            return {}
        for inner in content.folders:
            split = split_named(inner.name)
            if split is None or (split, folder.name) in found:
                return {}
            found[split, folder.name] = inner
    return found if len(folders) > 1 else {}


def _refuse_without_images(listing: Listing) -> NoReturn:
    """Says which folders were taken as classes, and where images lie."""
    classes = sorted({name for _, name in listing.class_folders})
    some = ", ".join(map(repr, classes[:3])) + (f" and {len(classes) - 3} more" if len(classes) > 3 else "")
    deeper = next((folder / name for folder, names in walk(listing.root) for name in names if is_image(name)), None)
    if deeper:
        raise DataError(
            f"{listing.root}: no images in its class folders {some}; they lie a level deeper, such as "
            f"{listing.name_of(deeper)}. Give the folder that holds the classes, or call those of splits train, "
            "validation and test."
        )
    looked_for = " ".join(IMAGE_SUFFIXES)
    _refuse_labels(listing)
    raise DataError(f"{listing.root}: no images in its class folders {some}; looked for {looked_for}.")


def _refuse_labels(listing: Listing) -> None:
    """Refuses what are labels of boxes in a form that no reader knows, or splits without classes.

    Raises:
        DataError: most files of a class are of a label's suffix, or its folder has no class's name.
    """
    images = Counter(image.path.parent for image in listing.images)
    others = Counter(
        issue.path.parent
        for issue in listing.issues
        if issue.rule == "unsupported-extension" and issue.path and issue.path.suffix.lower() in _OF_LABELS
    )
    expected = f"expected {expected_files('detection')}, or class folders"
    for (_, name), folder in listing.class_folders.items():
        if others[folder] > images[folder]:
            of_all = f"{others[folder]:,} of the {others[folder] + images[folder]:,} files in {name!r}"
            raise DataError(
                f"{listing.root}: {of_all} look like labels of boxes, but not in a format that is read; {expected}."
            )
    unsplit = ((name, folder) for (split, name), folder in listing.class_folders.items() if split is None)
    own = [name for name, folder in unsplit if images[folder]]
    splits = [name for name in own if split_named(name)]
    if len({split_named(name) for name in splits}) > 1 or (splits and len(own) == 1):
        raise DataError(
            f"{listing.root}: {' and '.join(map(repr, splits[:3]))} are called as splits are, and hold images but no "
            f"class folders; {expected}, one for each class inside each split."
        )
    unnamed = next((name for name in own if _NO_CLASSES.fullmatch(name)), None)
    if unnamed:
        raise DataError(
            f"{listing.root}: {unnamed!r} is what a folder of images or labels is called, and no class; no labels "
            f"that are read were found beside it. {expected[0].upper()}{expected[1:]}."
        )


@dataclass(frozen=True, slots=True)
class _Content:
    """What lies in a folder, sorted, without hidden things."""

    folders: list[Path]
    files: list[Path]

    @property
    def images(self) -> list[Path]:
        return [path for path in self.files if is_image(path.name)]


def _content(folder: Path) -> _Content:
    content = _Content([], [])
    for item in scan(folder):
        path = folder / item.name
        if not is_directory(item):
            content.files.append(path)
        elif not is_own_output(path):
            content.folders.append(path)
    return content


def _split_folders(root: Path, folders: list[Path]) -> dict[Split, Path]:
    """The folder of each split; none where ``folders`` are class folders, one of which may be for trains."""
    names = {folder: split_named(folder.name) for folder in folders}
    if not any(names.values()):  # chest_xray_train and chest_xray_test
        names = {folder: split_in(folder.name) for folder in folders}
        if not {"train"} < set(names.values()) - {None}:
            return {}
    found: dict[Split, Path] = {}
    for folder in folders:
        split = names[folder]
        if split is None or not _holds_classes(folder):
            continue
        if split in found and split == "validation" and "test" not in names.values():
            # Where both are there, what is developed with validates, and what is evaluated with tests.
            evaluated = next((one for one in (folder, found[split]) if _EVALUATED.search(one.name)), None)
            if evaluated:
                found["validation"] = folder if evaluated == found[split] else found[split]
                found["test"] = evaluated
                continue
        if split in found:
            names_of = f"{found[split].name} and {folder.name}"
            raise DataError(f"{root}: {names_of} are both folders of the {split} split; expected one. Join them.")
        found[split] = folder
    if "train" not in found and len(found) < len(folders):
        return {}
    return found


def _holds_classes(folder: Path) -> bool:
    content = _content(folder)
    return bool(content.folders) or not content.images


def _add_classes(folder: Path, split: Split | None, listing: Listing) -> None:
    """Adds every folder in ``folder`` as a class."""
    content = _content(folder)
    if split is None and not content.folders:
        raise DataError(
            f"{listing.root}: {pluralise(len(content.images))} but no class folders; {_EXPECTED}. "
            "Or list images and labels in a CSV file."
        )
    _report_outside(content, listing)
    for class_folder in content.folders:
        _add_class(class_folder, split, listing)


def _add_class(folder: Path, split: Split | None, listing: Listing, label: str = "") -> None:
    """Adds the images of one class, which is called as its folder is unless it has a ``label``."""
    label = label or folder.name
    listing.class_folders[split, label] = folder
    content = _content(folder)
    for path in content.files:
        if is_image(path.name):
            name = path.relative_to(listing.root).as_posix()
            listing.images.append(ListedImage(path, name, split, label))
        else:
            listing.report("unsupported-extension", path, f"{path.suffix or 'no suffix'}, in class {label!r}")
    for nested in content.folders:
        count = sum(is_image(name) for _, _, names in os.walk(nested) for name in names if name[0] != ".")
        if count:
            listing.report("nested-folder", nested, f"{pluralise(count)} below class {label!r}")


def _report_outside(content: _Content, listing: Listing) -> None:
    """Reports the images that lie where class folders are expected."""
    for path in content.images:
        listing.report("outside-class", path, "not in a class folder")
