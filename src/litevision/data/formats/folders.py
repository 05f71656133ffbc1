"""Read a folder of class folders, alone or below split folders."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from litevision.data.dataset import SPLITS, Split
from litevision.data.formats.find import Folder
from litevision.data.listing import ListedImage, Listing, is_image, split_named
from litevision.errors import DataError
from litevision.image import IMAGE_SUFFIXES

# Left in folders by systems and tools: no person put them there, so they are not worth an issue.
_LEFT_BEHIND = ("thumbs.db", "desktop.ini", "icon\r", "@eadir", "lost+found", "$recycle.bin")
_EXPECTED = (
    "expected one folder for each class with its images inside, or train, validation and test folders that hold those"
)


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
    listing = Listing(root)
    by_split = _split_folders(root, content.folders)
    if by_split:
        for folder in content.folders:
            if folder not in by_split.values():
                listing.report("unused-folder", folder, "no split's name")
        _report_outside(content, listing)
        for split in SPLITS:
            if split in by_split:
                _add_classes(by_split[split], split, listing)
    else:
        _add_classes(root, None, listing)
    if not listing.images:
        looked_for = " ".join(IMAGE_SUFFIXES)
        raise DataError(f"{root}: no images in its class folders; looked for {looked_for}.")
    listing.classes = sorted({name for _, name in listing.class_folders})
    return listing


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
    try:
        with os.scandir(folder) as items:
            for item in sorted(items, key=lambda item: item.name):
                if item.name.startswith((".", "__")) or item.name.lower() in _LEFT_BEHIND:
                    continue
                (content.folders if item.is_dir() else content.files).append(folder / item.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror or error}). Check who may read it.") from None
    return content


def _split_folders(root: Path, folders: list[Path]) -> dict[Split, Path]:
    """The folder of each split; none where ``folders`` are class folders, one of which may be for trains."""
    found: dict[Split, Path] = {}
    for folder in folders:
        split = split_named(folder.name)
        if split is None or not _holds_classes(folder):
            continue
        if split in found:
            names = f"{found[split].name} and {folder.name}"
            raise DataError(f"{root}: {names} are both folders of the {split} split; expected one. Join them.")
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
            f"{listing.root}: {_counted(len(content.images))} but no class folders; {_EXPECTED}. "
            "Or list images and labels in a CSV file."
        )
    _report_outside(content, listing)
    for class_folder in content.folders:
        _add_class(class_folder, split, listing)


def _add_class(folder: Path, split: Split | None, listing: Listing) -> None:
    label = folder.name
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
            listing.report("nested-folder", nested, f"{_counted(count)} below class {label!r}")


def _report_outside(content: _Content, listing: Listing) -> None:
    """Reports the images that lie where class folders are expected."""
    for path in content.images:
        listing.report("outside-class", path, "not in a class folder")


def _counted(images: int) -> str:
    return f"{images:,} image{'' if images == 1 else 's'}"
