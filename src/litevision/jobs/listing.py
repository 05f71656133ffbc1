"""What the inputs of a job stand for: a stream of images, in an order that is the same on every machine."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import IO

from litevision.errors import FileMissingError, LitevisionError, UsageError, without_secrets
from litevision.image import IMAGE_SUFFIXES, FoundImages, PassedOver
from litevision.image.files import MAX_LINE_BYTES, line_end
from litevision.image.found import Unlisted, is_pattern
from litevision.image.tar import ARCHIVE_SUFFIXES
from litevision.jobs.archives import archive_images, streamed_images
from litevision.jobs.remote import Remote
from litevision.jobs.stored import Source
from litevision.jobs.tables import COLUMN, TABLE_SUFFIX, require_parquet, split_column, table_images
from litevision.remote import local_path, require_remote, scheme_of
from litevision.runtime.results import PreprocessedImage

STDIN = "-"
LIST = "@"
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")
_MOST_EXPANDED = 1_000_000


@dataclass(frozen=True)
class Listing:
    """The images that inputs stand for; nothing is kept of those that were given.

    Attributes:
        inputs: folders, images, archives, columns of tables (``table.parquet::image``), quoted patterns, or lists of
            them: ``@list.txt``, or ``-`` for standard input.
        recursive: look into folders in folders.
        passed_over: counts what is not taken.
    """

    inputs: Sequence[str]
    recursive: bool = False
    passed_over: PassedOver = field(default_factory=PassedOver)

    def __iter__(self) -> Iterator[Source]:
        """Iterate over the images; in the place of what cannot be listed stands its error."""
        self.passed_over.counts.clear()
        for argument in self.inputs:
            yield from self._argument(argument)

    def check(self) -> None:
        """Look whether all that is named is there, before a model is opened.

        Raises:
            FileMissingError: a file, a folder or a list that is not.
            UsageError: a pattern of numbers without end.
        """
        for argument in self.inputs:
            if argument == STDIN:
                if sys.stdin is None:
                    raise UsageError("standard input is closed; expected paths on it, one a line.")
                continue
            for path in expand(argument):
                self._check(path)

    @property
    def can_be_read_twice(self) -> bool:
        """Whether somebody may count the images while others are computed, and at no cost."""
        return not any(it == STDIN or scheme_of(it.removeprefix(LIST)) for it in self.inputs)

    def _check(self, path: str) -> None:
        listed = _list_path(path)
        place = listed or path
        if scheme_of(place) and not os.path.lexists(place):
            require_remote(place)
            if scheme_of(place) != "file":
                return
            place = local_path(place)
        if not os.path.lexists(place) and (split := split_column(place)):
            place = split[0]
            require_parquet(place)
        if not os.path.lexists(place) and (listed or not is_pattern(place)):
            raise FileMissingError(f"{path}: No such file or directory. Check the path.")

    def _argument(self, argument: str) -> Iterator[Source]:
        if argument == STDIN:
            yield from self._lines(sys.stdin.buffer, "standard input")
            return
        for path in expand(argument):
            if listed := _list_path(path):
                listed = local_path(listed)
                with Remote(listed).open() if scheme_of(listed) else Path(listed).open("rb") as file:
                    yield from self._lines(file, without_secrets(listed))
            else:
                yield from self._at(path)

    def _lines(self, file: IO[bytes], name: str) -> Iterator[Source]:
        """What stands on the lines of a list; nothing there is a pattern or another list."""
        for line in _read_lines(file):
            if len(line) > MAX_LINE_BYTES:
                error = UsageError(f"{name}: a line of over {MAX_LINE_BYTES} bytes; expected paths, one a line.")
                yield PreprocessedImage(name, error)
                return
            path = os.fsdecode(line)
            if path.endswith(IMAGE_SUFFIXES) and not scheme_of(
                path
            ):  # nobody asks the file system whether it is a folder
                yield path
            else:
                yield from self._at(path, is_listed=True)

    def _at(self, path: str, *, is_listed: bool = False) -> Iterator[Source]:
        if scheme_of(path) and not os.path.lexists(path):
            path = local_path(path)
            if scheme_of(path):
                yield from self._remote(path)
                return
        if (split := split_column(path)) and not os.path.lexists(path):
            yield from table_images(*split, split[0])
            return
        found = FoundImages(path, recursive=self.recursive, passed_over=self.passed_over, patterns=not is_listed)
        for image in found.walk():
            if isinstance(image, Unlisted):
                yield PreprocessedImage(image.path, image.error)
            elif image.lower().endswith(ARCHIVE_SUFFIXES):
                yield from archive_images(image, self.passed_over)
            elif image.lower().endswith(TABLE_SUFFIX):
                yield from table_images(image, "", image)
            else:
                yield image

    def _remote(self, address: str) -> Iterator[Source]:
        """What an address stands for; the content of archives and tables is read while it is listed."""
        table, column = split_column(address) or (address, "")
        try:
            require_remote(address)
            remote = Remote(table)
            lowered = remote.name.lower()
            if remote.is_pattern:
                for found in remote.matching():
                    yield from self._remote(f"{found}{COLUMN}{column}" if column else found)
            elif lowered.endswith(ARCHIVE_SUFFIXES):
                with remote.open() as file:
                    yield from streamed_images(remote.name, file, self.passed_over)
            elif lowered.endswith(TABLE_SUFFIX):
                with remote.open() as file:
                    yield from table_images(remote.name, column, file)
            elif lowered.endswith(IMAGE_SUFFIXES):
                yield remote.image()
            else:
                yield from remote.images(recursive=self.recursive, passed_over=self.passed_over)
        except LitevisionError as error:
            yield PreprocessedImage(without_secrets(address), error)


def expand(argument: str) -> Iterator[str]:
    """The names that ``shards-{000..009}.tar`` or ``{train,test}/`` stands for; a file of just that name is itself.

    Raises:
        UsageError: a range that runs backwards, or more names than anybody means.
    """
    parts = _RANGE.split(argument)
    if len(parts) == 1 or os.path.lexists(argument):
        yield argument
        return
    choices: list[Sequence[str]] = []
    count = 1
    for place in range(0, len(parts), 4):
        choices.append(parts[place : place + 1])
        if place + 1 < len(parts):
            choices.append(_choices(argument, *parts[place + 1 : place + 4]))
            count *= len(choices[-1])
    if count > _MOST_EXPANDED:
        raise UsageError(
            f"{without_secrets(argument)}: stands for {count:,} names; expected at most {_MOST_EXPANDED:,}. "
            "Write a list of them."
        )
    yield from map("".join, product(*choices))


def _choices(argument: str, first: str | None, last: str | None, words: str | None) -> Sequence[str]:
    if first is None or last is None:
        return (words or "").split(",")
    start, end = int(first), int(last)
    if start > end or end - start >= _MOST_EXPANDED:
        raise UsageError(f"{argument}: the range {{{first}..{last}}}; expected one that grows, such as {{000..009}}.")
    return [f"{number:0{len(first)}}" for number in range(start, end + 1)]


def _list_path(argument: str) -> str | None:
    """The path of a list that is given as ``@list.txt``."""
    return argument[1:] if argument.startswith(LIST) and not os.path.lexists(argument) else None


def _read_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines without their ends, or what stands between NUL (``find -print0``); empty ones are left out.

    A line that is longer than the limit ends the list, cut short behind it.
    """
    import codecs

    rest, end = b"", None
    while block := file.read1(MAX_LINE_BYTES) if hasattr(file, "read1") else file.read(MAX_LINE_BYTES):
        rest = rest + block if end else (rest + block).removeprefix(codecs.BOM_UTF8)
        end = end or line_end(rest)
        if end:
            *lines, rest = rest.split(end)
            yield from filter(None, (line.removesuffix(b"\r") if end == b"\n" else line for line in lines))
        if len(rest) > MAX_LINE_BYTES:
            yield rest
            return
    if rest := rest.removesuffix(b"\r"):
        yield rest
