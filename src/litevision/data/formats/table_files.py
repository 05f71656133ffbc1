"""Read tables of labels: CSV with any separator, in the encodings that spreadsheets write."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from litevision.data.formats.label_files import MAX_BYTES_OF_A_SET, UnreadableLabels, head_of, read_bytes
from litevision.errors import reason_of

TABLE_SUFFIXES = (".csv", ".tsv")
IMAGE_TITLES = (
    *("path", "filepath", "file_path", "image_path", "img_path", "filename", "file_name", "image_name", "img_name"),
    *("image", "img", "file", "image_file", "image_filename", "image_file_name", "image_id", "imageid", "img_id"),
    *("id", "name"),
)
CLASS_TITLES = (
    *("class_name", "label_name", "labelname", "category_name", "label", "class", "category", "target", "object"),
    *("class_id", "label_id", "category_id"),
)
SPLIT_TITLES = ("split", "set", "subset")
_HEAD_BYTES = 4096
_SEPARATORS = ",;\t|"
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f]")
_CONTROLLED = 4096
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of labels.

    Attributes:
        titles: the columns' titles, in lower case and with ``_`` for spaces.
        rows: the cells of each row that is not empty, stripped, with its line.
        encoding: what its bytes were read as.
    """

    titles: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str]]]
    encoding: str

    def place(self, titles: Iterable[str]) -> int | None:
        """The column of the first of ``titles`` that it has."""
        return next((self.titles.index(title) for title in titles if title in self.titles), None)

    def dicts(self, wanted: Mapping[str, Iterable[str]]) -> list[tuple[int, dict[str, str]]]:
        """Each row's cells under the names of ``wanted``, which lists the titles that each may have, best first."""
        places = {name: place for name, titles in wanted.items() if (place := self.place(titles)) is not None}
        return [
            (line, {name: cells[place] if place < len(cells) else "" for name, place in places.items()})
            for line, cells in self.rows
        ]


def read_table(file: Path) -> Table:
    """The table in a file.

    Raises:
        UnreadableLabels: it cannot be read, or holds no text.
    """
    data = read_bytes(file, MAX_BYTES_OF_A_SET)
    encoding = "utf-16" if data.startswith(_UTF_16) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        encoding = "cp1252"  # what Excel writes where no Unicode is chosen
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            raise UnreadableLabels(f"no text in UTF-8 (byte {error.start:,})") from None
    first, _, rest = text.partition("\n")
    if _CONTROL.search(text[:_CONTROLLED] if encoding == "cp1252" else first):
        raise UnreadableLabels("no text in UTF-8" if encoding == "cp1252" else "no CSV file")
    skipped = 0
    if re.fullmatch("sep=.", first.strip()):  # for Excel
        text, skipped = rest, 1
        first = rest.partition("\n")[0]
    rows = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(first))
        titles = [_title(cell) for cell in next(reader, [])]
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                rows.append((reader.line_num + skipped, cells))
    except csv.Error as error:
        raise UnreadableLabels(f"no CSV file ({reason_of(error)})") from None
    return Table(titles, rows, encoding)


def titles_of(path: Path) -> list[str]:
    """The titles in the first line of a table; empty for another file."""
    if path.suffix.lower() not in TABLE_SUFFIXES:
        return []
    head = head_of(path, _HEAD_BYTES)
    lines = head.decode("utf-16" if head.startswith(_UTF_16) else "utf-8-sig", "replace").splitlines()
    if lines and re.fullmatch("sep=.", lines[0].strip()):
        del lines[0]
    try:
        return (
            [_title(cell) for cell in next(csv.reader(lines[:1], delimiter=_separator(lines[0])), [])] if lines else []
        )
    except csv.Error:
        return []


def _title(cell: str) -> str:
    return re.sub(r"[\s-]+", "_", cell.strip().lower())


def _separator(line: str) -> str:
    return max(_SEPARATORS, key=line.count)
