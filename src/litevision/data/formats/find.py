"""Find the label format of a path by its files."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from litevision.data import formats
from litevision.data.formats import Format, Task, expected_files
from litevision.data.listing import Listing, split_named
from litevision.errors import DataError
from litevision.image.files import mode_of

_MAX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is looked into for labels.

    Attributes:
        root: the folder that the user named, in which it lies, or which it is.
        names: the files in it, sorted, without hidden ones.
    """

    path: Path
    root: Path
    names: tuple[str, ...]


def task_of(path: str | os.PathLike[str]) -> Task:
    """The task of the labels at ``path``: that of the format which recognises it. Reads little, and never raises.

    Where no format does, the fallback's task, so that reading the path says what is wrong there.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return _file_format(path, formats.FORMATS).task
        if stat.S_ISDIR(mode):
            return next((row.task for row, _ in _found_below(path, formats.FORMATS)), "classification")
    except (OSError, ValueError, LookupError):
        pass
    return "classification"


def list_labels(path: str | os.PathLike[str], task: Task | None = None) -> tuple[Format, Listing]:
    """The format of the labels at ``path``, and what its reader lists.

    Args:
        path: a folder, or a file of labels.
        task: considers the formats of one task alone.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labels there, labels in more than one format, or labels that cannot be read.
    """
    path = Path(path)
    mode = mode_of(path, "path of the data")
    rows = [row for row in formats.FORMATS if task in (None, row.task)]
    expected = expected_files(task or "classification")
    if not stat.S_ISDIR(mode):
        if task != "detection" and not stat.S_ISREG(mode):
            raise DataError(f"{path}: neither a folder nor a file. Give {expected}.")
        try:
            row = _file_format(path, rows)
        except LookupError:
            raise DataError(f"{path}: no file of labels of boxes; expected {expected}.") from None
        return row, row.reader.list_labels(path, [path])
    try:
        found = list(_found_below(path, rows))
        if found and path.name.lower() == "annotations":  # its images lie beside it
            path = path.parent
            found = list(_found_below(path, rows))
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}). Check who may read it.") from None
    if not found:
        folder = Folder(path, path, ())
        found = [(row, file) for row in rows if row.is_fallback for file in row.reader.find_labels(folder)]
    if not found:
        raise DataError(f"{path}: no labels of boxes; expected {expected}.")
    row = found[0][0]
    other = next((one for one in found if one[0] != row), None)
    if other:
        files = " and ".join(f"{each.name} ({file.relative_to(path)})" for each, file in (found[0], other))
        raise DataError(f"{path}: labels as {files}; expected one format. Name its file, or move the other away.")
    return row, row.reader.list_labels(path, [file for _, file in found])


def _file_format(path: Path, rows: Iterable[Format]) -> Format:
    """The row that reads a file; raises ``LookupError`` where none does."""
    ordered = sorted(rows, key=lambda row: row.is_fallback)
    found = next((row for row in ordered if row.reader.is_labels_file(path)), None)
    if found is None:
        raise LookupError(path)
    return found


def _found_below(root: Path, rows: Sequence[Format]) -> Iterator[tuple[Format, Path]]:
    """The files that show a format, those of ``root`` itself first."""
    rows = [row for row in rows if not row.is_fallback]
    if not rows:
        return
    known = re.compile(
        "|".join(f"({row.folders})" for row in rows if row.folders) or "(?!)", re.IGNORECASE
    )  # (?!) is no name
    waiting = [(root, 0)]
    while waiting:
        path, depth = waiting.pop(0)
        with os.scandir(path) as items:
            content = sorted(items, key=lambda item: item.name)
        names = tuple(item.name for item in content if not item.name.startswith(".") and item.is_file())
        folder = Folder(path, root, names)
        yield from ((row, file) for row in rows for file in row.reader.find_labels(folder))
        if depth < _MAX_DEPTH:
            waiting += [
                (path / item.name, depth + 1)
                for item in content
                if item.is_dir() and (known.fullmatch(item.name) or split_named(item.name))
            ]
