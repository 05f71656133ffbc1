"""A folder of class folders, alone or below split folders."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from litevision.data.issues import Issue
from litevision.data.listing import Entry, Listing, split_named
from litevision.data.records import SPLITS, Split
from litevision.errors import DataError
from litevision.image import IMAGE_SUFFIXES

# What systems and tools leave in folders: nobody put them there, and nobody has to hear of them.
_LEFT_BEHIND = ("thumbs.db", "desktop.ini", "icon\r", "@eadir", "lost+found", "$recycle.bin")
_EXPECTED = (
    "expected one folder for each class with its images inside, or train, validation and test folders that hold those"
)


def list_folder(root: Path) -> Listing:
    """The images in the class folders of ``root``.

    Raises:
        DataError: no class folders, no images, or two folders for one split.
    """
    content = _content(root)
    if not content.folders and not content.files:
        raise DataError(f"{root}: an empty folder; {_EXPECTED}.")
    by_split = _split_folders(root, content.folders)
    found = _Found(root)
    if by_split:
        found.unused([folder for folder in content.folders if folder not in by_split.values()])
        found.outside(content)
        for split in SPLITS:
            if split in by_split:
                found.classes_in(by_split[split], split)
    else:
        found.classes_in(root, None)
    return found.listing()


@dataclass(frozen=True, slots=True)
class _Content:
    """What lies in a folder, sorted, without hidden things."""

    folders: list[Path]
    files: list[Path]

    @property
    def images(self) -> list[Path]:
        return [path for path in self.files if _is_image(path.name)]


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


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


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


@dataclass(slots=True)
class _Found:
    """Gathers what is found folder by folder."""

    root: Path
    classes: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    faults: list[Issue] = field(default_factory=list)
    class_folders: dict[tuple[Split | None, str], Path] = field(default_factory=dict)

    def classes_in(self, folder: Path, split: Split | None) -> None:
        """Takes every folder in ``folder`` as a class."""
        content = _content(folder)
        if split is None and not content.folders:
            raise DataError(
                f"{self.root}: {_counted(len(content.images))} but no class folders; {_EXPECTED}. "
                "Or list images and labels in a CSV file."
            )
        self.outside(content)
        for class_folder in content.folders:
            self._class(class_folder, split)

    def _class(self, folder: Path, split: Split | None) -> None:
        label = folder.name
        self.classes.add(label)
        self.class_folders[split, label] = folder
        content = _content(folder)
        for path in content.files:
            if _is_image(path.name):
                self.entries.append(Entry(path, path.relative_to(self.root).as_posix(), label, split))
            else:
                suffix = path.suffix or "no suffix"
                self.faults.append(Issue.of("unsupported-extension", path, f"{suffix}, in class {label!r}"))
        for nested in content.folders:
            count = sum(_is_image(name) for _, _, names in os.walk(nested) for name in names if name[0] != ".")
            if count:
                self.faults.append(Issue.of("nested-folder", nested, f"{_counted(count)} below class {label!r}"))

    def unused(self, folders: list[Path]) -> None:
        """Tells of folders that are neither splits nor classes."""
        self.faults += [Issue.of("unused-folder", path, "no split's name") for path in folders]

    def outside(self, content: _Content) -> None:
        """Tells of the images that lie where class folders are expected."""
        self.faults += [Issue.of("outside-class", path, "not in a class folder") for path in content.images]

    def listing(self) -> Listing:
        """All of it.

        Raises:
            DataError: there are no images.
        """
        if not self.entries:
            looked_for = " ".join(IMAGE_SUFFIXES)
            raise DataError(f"{self.root}: no images in its class folders; looked for {looked_for}.")
        return Listing(
            self.root, tuple(sorted(self.classes)), tuple(self.entries), tuple(self.faults), self.class_folders
        )


def _counted(images: int) -> str:
    return f"{images:,} image{'' if images == 1 else 's'}"
