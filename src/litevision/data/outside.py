"""Tell images that lie outside the data's folder: labels may name any file of the machine that they are read on."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from litevision.data.issues import Issue
from litevision.tables import pluralise

_LABEL_FOLDERS = ("annotations", "labels")  # images lie beside such a folder, as in COCO
_MOST = 20  # folders that are named


class DataFolder:
    """The folder of a data set, links resolved."""

    def __init__(self, root: Path) -> None:
        """Takes the folder or the file of labels that was read."""
        folder = root if root.is_dir() else root.parent
        if not root.is_dir() and folder.name.lower() in _LABEL_FOLDERS:
            folder = folder.parent
        self._real = os.path.realpath(folder)
        self._real_parents: dict[Path, str] = {}

    def place_outside(self, path: Path) -> Path | None:
        """The folder in which an image really lies, where it lies outside of the data's; None where it is inside."""
        parent = self._real_parents.get(path.parent)
        try:
            if parent is None:
                parent = self._real_parents[path.parent] = os.path.realpath(path.parent)
            if path.is_symlink():
                parent = os.path.dirname(os.path.realpath(path))  # noqa: PTH120 - of a text, many times
        except (OSError, ValueError):  # a name that no file can have
            return None
        inside = parent == self._real or parent.startswith(self._real.rstrip(os.sep) + os.sep)
        return None if inside else Path(parent)


def outside_issues(root: Path, paths: Sequence[Path]) -> Iterator[Issue]:
    """An issue for each folder outside the data's that images are read from, those with most images first."""
    folder = DataFolder(root)
    found: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        place = folder.place_outside(path)
        if place:
            found[place].append(path)
    places = sorted(found, key=lambda place: (-len(found[place]), str(place)))
    for place in places[:_MOST]:
        yield Issue.of("outside-data", place, f"{pluralise(len(found[place]), 'image')}, such as {found[place][0]}")
    if len(places) > _MOST:
        rest = sum(len(found[place]) for place in places[_MOST:])
        detail = f"{pluralise(rest, 'image')} in {len(places) - _MOST:,} more folders"
        yield Issue.of("outside-data", None, detail)
