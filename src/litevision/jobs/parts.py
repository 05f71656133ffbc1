"""The parts of a job's output: a file for each range of images, named by the range and by the images in it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from litevision.errors import UsageError
from litevision.files import atomic_write
from litevision.jobs.tables import has_parquet, read_error_kinds, require_parquet, write_table

_NAME = re.compile(r"part-(\d{10,})-(\d{10,})-([0-9a-f]{16})\.(\w+)")
ROW_TYPES = {
    **{"index": "int64", "path": "string", "width": "int64", "height": "int64"},
    **{"error": "string", "error_kind": "string"},
}
"""The columns of every job, before those of its task, with their types as Arrow writes them."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A range of a job's images.

    Attributes:
        first: the index of its first image.
        end: the index behind its last one.
        digest: of the images' names.
    """

    first: int
    end: int
    digest: str

    def file_name(self, suffix: str) -> str:
        """The name of its file."""
        return f"part-{self.first:010}-{self.end - 1:010}-{self.digest}.{suffix}"

    @property
    def rows(self) -> int:
        """How many images it has."""
        return self.end - self.first


class PartFormat(NamedTuple):
    """A form in which parts are written.

    Attributes:
        write: writes rows into a file; takes the types of their columns.
        error_kinds: reads the kinds of the errors in a file, one for each image that has one.
    """

    write: Callable[[Path, Sequence[Row], Mapping[str, str]], None]
    error_kinds: Callable[[Path], Iterable[str]]


def finished_parts(folder: Path, suffix: str) -> dict[int, Part]:
    """The parts in a folder, by the index of their first image; what is being written has another name.

    Raises:
        UsageError: two parts that begin with the same image.
    """
    found: dict[int, Part] = {}
    for path in folder.iterdir():
        named = _NAME.fullmatch(path.name)
        if named is None or named[4] != suffix:
            continue
        part = Part(int(named[1]), int(named[2]) + 1, named[3])
        if part.first in found:
            raise UsageError(
                f"{folder}: two parts begin with image {part.first}, of two lists of images. "
                "Give -o a new folder, or delete one of them."
            )
        found[part.first] = part
    return found


def write_part(folder: Path, part: Part, rows: Sequence[Row], types: Mapping[str, str], form: str) -> Path:
    """Write a part whole or not at all, also where the machine stops; gives its path."""
    path = folder / part.file_name(form)
    with atomic_write(path, durable=True) as partial:
        FORMATS[form].write(partial, rows, types)
    return path


def _write_json_lines(partial: Path, rows: Sequence[Row], types: Mapping[str, str]) -> None:
    import json

    with partial.open("w", encoding="ascii") as file:
        file.writelines(f"{json.dumps(row, allow_nan=False)}\n" for row in rows)


_NO_ERROR = b'"error_kind": null'  # never inside of a text, where a quote has a backslash before it


def _json_error_kinds(path: Path) -> Iterator[str]:
    import json

    with path.open("rb") as file:
        for line in file:
            if _NO_ERROR not in line:
                yield json.loads(line)["error_kind"]


def require_format(form: str) -> None:
    """Return if parts can be written in this form.

    Raises:
        MissingExtraError: what writes it is not installed.
        UsageError: no such form.
    """
    if form not in FORMATS:
        raise UsageError(f"--format {form}: expected {' or '.join(FORMATS)}.")
    if form == "parquet":
        require_parquet("--format parquet")


def default_format() -> str:
    """The first form that can be written here."""
    return "parquet" if has_parquet() else "jsonl"


FORMATS = {
    "parquet": PartFormat(write_table, read_error_kinds),
    "jsonl": PartFormat(_write_json_lines, _json_error_kinds),
}
"""By the suffix of the files."""
