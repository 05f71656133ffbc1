"""A job at work: from a listing of images to parts that are whole, each image in one of them."""

import hashlib
import re
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litevision.errors import (
    DownloadError,
    FileMissingError,
    ImageError,
    ImageTooLargeError,
    LitevisionError,
    UsageError,
)
from litevision.image.decode import DEFAULT_LIMITS
from litevision.jobs.parts import FORMATS, ROW_TYPES, Part, Row, finished_parts, write_part
from litevision.jobs.stored import Source, StoredImage, name_of
from litevision.runtime.results import Result

_KINDS: tuple[tuple[type[LitevisionError], str], ...] = (
    (FileMissingError, "missing"),
    (DownloadError, "unreachable"),
    (ImageTooLargeError, "too large"),
    (ImageError, "unreadable"),
    (LitevisionError, "other"),
)
_MS = {"ms": "float"}

Compute = Callable[[Iterable[Source | None]], Generator[list[Result[Any]]]]
"""What computes images in their order, in batches of one size that end where None stands: the threads of
`litevision.runtime.pipeline.stream_batches`, or `litevision.jobs.cluster.Cluster`."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` shards of a job, counted from 1: every ``count``-th part is its own."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``3/16``.

        Raises:
            UsageError: not two numbers, or a shard that is not one of them.
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
        shard = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.count:
            raise UsageError(f"--shard {text}: expected a shard and how many there are, from 1/16 to 16/16.")
        return shard

    def has(self, part: int) -> bool:
        """Whether the part of this number, from 0, is its own."""
        return part % self.count == self.number - 1


@dataclass
class Summary:
    """What became of a job's images, or of a shard's.

    Attributes:
        images: how many there are, those of earlier runs among them.
        earlier: how many of them earlier runs had done.
        errors: how many could not be read, by the kind of the error.
        listed: images of all shards.
        parts: files of results.
    """

    images: int = 0
    earlier: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    listed: int = 0
    parts: int = 0

    @property
    def bad(self) -> int:
        """How many images could not be read."""
        return self.errors.total()


@dataclass
class Job:
    """Results of a listing, written into the parts of a folder that are not there yet.

    Attributes:
        folder: of the parts.
        form: of the parts, a key of `litevision.jobs.parts.FORMATS`.
        rows: images a part.
        shard: which parts are computed.
        types: the columns of the task, with their types.
        has_ms: whether rows say how long an image took.
        summary: what became of the images so far.
    """

    folder: Path
    form: str
    rows: int
    shard: Shard
    types: Mapping[str, str]
    has_ms: bool = False
    summary: Summary = field(default_factory=Summary)

    def run(self, compute: Compute, listing: Iterable[Source]) -> Generator[list[Result[Any]]]:
        """Compute what is missing; yields the results as they come, some of them before their part is written.

        A part begins with a batch of its own and its batches are of one size: it is the same whatever ran before it.

        Raises:
            UsageError: the listing is another one than that of the parts that are there.
        """
        begun: deque[Part] = deque()
        rows: list[Row] = []
        columns = {**ROW_TYPES, **self.types, **(_MS if self.has_ms else {})}
        batches = compute(self._missing(listing, begun))
        try:
            for results in batches:
                rows += [self._row(result, columns) for result in results]
                while begun and len(rows) >= begun[0].rows:
                    self._finish(begun.popleft(), rows, columns)
                yield results
        finally:
            batches.close()

    def count_missing(self, listing: Iterable[Source]) -> int:
        """Count the images of a listing that are still to be computed when it is asked; nothing is read of them."""
        finished = finished_parts(self.folder, self.form)
        missing = 0
        for index, _ in enumerate(listing):
            part = index // self.rows
            missing += self.shard.has(part) and part * self.rows not in finished
        return missing

    def _finish(self, part: Part, rows: list[Row], columns: dict[str, str]) -> None:
        mine = [{**row, "index": part.first + place} for place, row in enumerate(rows[: part.rows])]
        write_part(self.folder, part, mine, columns, self.form)
        del rows[: part.rows]
        self.summary.parts += 1

    def _missing(self, listing: Iterable[Source], begun: "deque[Part]") -> Iterator[Source | None]:
        """The images of this shard's missing parts; None behind each part, which is then in ``begun``."""
        finished = finished_parts(self.folder, self.form)
        digest, first, end = hashlib.sha256(), 0, 0
        is_mine, there = False, finished.get(0)
        for source in listing:
            if end == first:
                is_mine, there = self.shard.has(first // self.rows), finished.get(first)
                digest = hashlib.sha256()
            if is_mine:
                digest.update(name_of(source).encode("utf-8", "surrogatepass") + b"\0")
                if there is None:
                    if isinstance(source, StoredImage) and source.is_stream:
                        source.hold(DEFAULT_LIMITS.max_bytes)
                    yield source
            end += 1
            if end - first == self.rows:
                yield from self._end(Part(first, end, digest.hexdigest()[:16]), there, begun, is_mine=is_mine)
                first = end
        if end > first:
            yield from self._end(Part(first, end, digest.hexdigest()[:16]), there, begun, is_mine=is_mine)
        self.summary.listed = end
        if behind := [part for part in finished.values() if part.end > end]:
            raise self._changed(behind[0], f"now there are {end:,}")

    def _end(self, part: Part, there: Part | None, begun: "deque[Part]", *, is_mine: bool) -> Iterator[None]:
        if not is_mine:
            return
        self.summary.images += part.rows
        if there is None:
            begun.append(part)
            yield None
            return
        if there != part:
            raise self._changed(there, "now there are others")
        self.summary.earlier += part.rows
        self.summary.parts += 1
        self.summary.errors.update(FORMATS[self.form].error_kinds(self.folder / there.file_name(self.form)))

    def _changed(self, part: Part, how: str) -> UsageError:
        return UsageError(
            f"{self.folder}: holds results of images {part.first:,} to {part.end - 1:,} of other inputs; {how}. "
            "The inputs have changed since the job began: give -o a new folder."
        )

    def _row(self, result: Result[Any], columns: dict[str, str]) -> Row:
        row: Row = dict.fromkeys(columns)
        row["path"] = name_of(result.source)  # type: ignore[arg-type]  # as `_missing` gave it
        if result.error is not None:
            row["error"], row["error_kind"] = str(result.error), kind_of(result.error)
            self.summary.errors[row["error_kind"]] += 1
            return row
        found = result.predictions
        row["height"], row["width"] = found.image_hw
        row.update(found.to_row())
        if self.has_ms:
            row["ms"] = round(result.ms, 3)
        return row


def kind_of(error: LitevisionError) -> str:
    """The kind of an image's error, in a word or two."""
    return next(word for kind, word in _KINDS if isinstance(error, kind))
