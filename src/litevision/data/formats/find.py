"""Find the label format of a path by its files, and name forms that are not read, so that none is taken for another."""

import itertools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from litevision.data import formats
from litevision.data.formats import Format, Task, expected_files
from litevision.data.formats.label_files import head_of, is_file
from litevision.data.formats.table_files import CLASS_TITLES, IMAGE_TITLES, titles_of
from litevision.data.listing import Listing, is_image, is_own_output, split_named
from litevision.errors import DataError
from litevision.image.files import is_directory, is_left_behind, mode_of

_MAX_DEPTH = 3
_LOOKED_AT = 256  # files of a folder, which may hold a million images
_HEAD_BYTES = 64 * 1024
_MOST_UNREAD = 20  # files of a folder
_EXPORTS = "COCO, Pascal VOC or YOLO"
_LABEL_SUFFIXES = (
    *(".xml", ".txt", ".json", ".csv", ".tsv", ".yaml", ".yml", ".names", ".data", ".labels"),
    *(".cache", ".md"),
)
_LABEL_FOLDER = re.compile(r"annotations?|annots?|xmls?|labels?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is looked into for labels.

    Attributes:
        root: the folder that the user named, in which it lies, or which it is.
        names: the files in it, sorted, without hidden ones.
        by_content: whether labels are to be told by their content, as nothing was found by names.
    """

    path: Path
    root: Path
    names: tuple[str, ...]
    by_content: bool = False


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
        if not stat.S_ISREG(mode) and any(row.is_fallback for row in rows):
            raise DataError(f"{path}: neither a folder nor a file. Give {expected}.")
        try:
            row = _file_format(path, rows)
        except LookupError:
            raise DataError(f"{path}: no file of labels of boxes; expected {expected}.") from None
        return row, _counted(row, row.reader.list_labels(path, [path]))
    try:
        found = list(_found_below(path, rows))
        if found and _LABEL_FOLDER.fullmatch(path.name) and not any(is_image(file.name) for file in path.iterdir()):
            path = path.parent  # its images lie beside it
            found = list(_found_below(path, rows))
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}). Check who may read it.") from None
    if not found:
        folder = Folder(path, path, ())
        found = [(row, file) for row in rows if row.is_fallback for file in row.reader.find_labels(folder)]
    if not found:
        raise DataError(f"{path}: no labels of boxes; expected {expected}.")
    row = found[0][0]
    if row.is_fallback:
        return row, _counted(row, _read_beside_unread(row, path, [file for _, file in found]))
    other = next((one for one in found if one[0] != row), None)
    if other:
        files = " and ".join(f"{each.name} ({file.relative_to(path)})" for each, file in (found[0], other))
        raise DataError(f"{path}: labels as {files}; expected one format. Name its file, or move the other away.")
    return row, _counted(row, row.reader.list_labels(path, [file for _, file in found]))


def _counted(row: Format, listing: Listing) -> Listing:
    """The listing, with what is passed over counted."""
    listing.count_passed_over(() if row.is_fallback else _LABEL_SUFFIXES)
    return listing


def _read_beside_unread(row: Format, path: Path, files: Sequence[Path]) -> Listing:
    """What no format of boxes recognises, which is told where it looks like labels of boxes all the same.

    Raises:
        DataError: as the reader of ``row`` does.
    """
    unread = next(filter(None, (_unread_labels(folder.path, folder.names) for folder in _folders(path))), None)
    if unread is None:
        try:
            return row.reader.list_labels(path, files)
        except DataError as error:
            table = next((one for one in sorted(path.glob("*.[ct]sv")) if _lists_classes(one)), None)
            named = f" {table.name} lists images and classes: give {table} if those are meant." if table else ""
            raise DataError(f"{error}{named}") from None
    file, form = unread
    name = file.relative_to(path).as_posix()
    told = f"looks like labels of boxes as {form}, which is not read"
    try:
        listing = row.reader.list_labels(path, files)
    except DataError as error:
        raise DataError(f"{error} {name} {told}: export it as {_EXPORTS}.") from None
    listing.report("unread-labels", file, f"{told}; the folders are taken as classes")
    return listing


def _lists_classes(table: Path) -> bool:
    titles = set(titles_of(table))
    return not titles.isdisjoint(IMAGE_TITLES) and not titles.isdisjoint(CLASS_TITLES)


def _file_format(path: Path, rows: Iterable[Format]) -> Format:
    """The row that reads a file; raises ``LookupError`` where none does."""
    ordered = sorted(rows, key=lambda row: row.is_fallback)
    found = next((row for row in ordered if row.reader.is_labels_file(path)), None)
    if found is None:
        raise LookupError(path)
    return found


def _found_below(root: Path, rows: Sequence[Format]) -> Iterator[tuple[Format, Path]]:
    """The files that show a format, those of ``root`` itself first.

    Folders of a known name are looked into at first, and only where nothing is found there, all of them. In those, a
    format is told by the content of its files, and the first row that has some is taken: what another program made of
    the same labels is worth no error.
    """
    rows = [row for row in rows if not row.is_fallback]
    if not rows:
        return
    known = re.compile("|".join(f"({row.folders})" for row in rows if row.folders) or "(?!)", re.IGNORECASE)
    is_found = False
    for folder in _folders(root, lambda name: known.fullmatch(name) is not None or split_named(name) is not None):
        for row in rows:
            for file in row.reader.find_labels(folder):
                is_found = True
                yield row, file
    if is_found:
        return
    folders = [replace(folder, by_content=True) for folder in _folders(root)]
    for row in rows:
        for folder in folders:
            for file in row.reader.find_labels(folder):
                is_found = True
                yield row, file
        if is_found:
            return


def _folders(root: Path, is_wanted: Callable[[str], bool] = lambda name: True) -> Iterator[Folder]:
    """``root`` and the wanted folders below it; of one that holds nothing but images, only the first few files."""
    waiting: list[tuple[Path, int, tuple[str, ...]]] = [(root, 0, (os.path.realpath(root),))]
    while waiting:
        path, depth, inside = waiting.pop(0)
        with os.scandir(path) as items:
            content = list(itertools.islice(items, _LOOKED_AT))
            if depth == 0 or any(not is_image(item.name) for item in content):
                content += items
        content.sort(key=lambda item: item.name)
        names = tuple(item.name for item in content if not item.name.startswith(".") and is_file(path / item.name))
        yield Folder(path, root, names)
        for item in content:
            if depth < _MAX_DEPTH and not is_left_behind(item.name) and is_directory(item) and is_wanted(item.name):
                real = os.path.realpath(item.path)
                if real not in inside and not is_own_output(path / item.name):
                    waiting.append((path / item.name, depth + 1, (*inside, real)))


class _Form(NamedTuple):
    """One form: its name in words, and regular expressions for a file's name and its beginning."""

    name: str
    file: re.Pattern[str]
    head: re.Pattern[bytes] | None


def _form(name: str, file: str, head: str | None = None) -> _Form:
    return _Form(name, re.compile(file, re.IGNORECASE), re.compile(head.encode(), re.DOTALL) if head else None)


_LINE = r"[^\n]*\n"
_FLOAT = r"-?\d+(\.\d+)?"
_FORMS = (
    _form("Supervisely's JSON", r"\.json$", r'"classTitle"'),
    _form("VoTT's JSON", r"\.(json|vott)$", r'"assets"\s*:\s*\{|"visitedFrameNames"|"sourceConnection"'),
    _form("Labelbox's JSON", r"\.(nd)?json$", r'"data_row"|"Labeled Data"'),
    _form("V7 Darwin's JSON", r"\.json$", r'"bounding_box"'),
    _form("Datumaro's JSON", r"\.json$", r'"dm_format_version"|"items"\s*:\s*\[.*"label_id"'),
    _form("SageMaker's manifest", r"\.(manifest|jsonl)$", r'"source-ref"'),
    _form("JSON of another form", r"\.json$", r'"(bounding_boxes|bboxes?|boxes)"\s*:'),
    _form("BDD100K's JSON", r"\.json$", r'"box2d"'),
    _form("COCO's JSON without annotations", r"\.json$", r'"images"\s*:\s*\[.*"file_name"'),
    _form("CVAT's XML of a video", r"\.xml$", r"<track\s"),
    _form("a table of another form", r"\.(csv|tsv)$", r"(?i)\A[^\n]*(bbox|bounding_?box|polygon|xmin|x_min)"),
    _form("DOTA's turned boxes", r"\.txt$", rf"\A(imagesource{_LINE}gsd{_LINE})?({_FLOAT}[ ,]){{8}}[A-Za-z][\w-]* \d"),
    _form("KITTI's text", r"\.txt$", rf"\A[A-Za-z_]+( {_FLOAT}){{14}}\s"),
    _form("MOT's text", r"(^|/)(gt|det)\.txt$", rf"\A\d+,-?\d+,({_FLOAT},){{4}}"),
    _form("TFRecord", r"\.(tfrecords?|record)$"),
    _form("MATLAB's file", r"\.mat$"),
)


def _unread_labels(folder: Path, names: Iterable[str]) -> tuple[Path, str] | None:
    """The first file of a folder that looks like labels of boxes in a form that is not read, and that form."""
    looked_at = 0
    for name in names:
        if is_image(name):
            continue
        forms = [form for form in _FORMS if form.file.search(name)]
        if not forms:
            continue
        looked_at += 1
        if looked_at > _MOST_UNREAD:
            break
        path = folder / name
        head = head_of(path, _HEAD_BYTES)
        found = next((form.name for form in forms if head and (form.head is None or form.head.search(head))), None)
        if found:
            return path, found
    return None
