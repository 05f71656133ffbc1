"""Answers as rows and documents, written as they come: whole lines only, flushed once for each batch of answers."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from litevision.runtime.answers import Answer
from litevision.runtime.classifier import Prediction

_HEADER = ("path", "rank", "label", "score")


class Writer(Protocol):
    """Takes answers; ``finish`` makes what was written complete, whether or not more was to come."""

    def write(self, answers: Sequence[Answer]) -> None:
        """Writes the answers."""

    def finish(self) -> None:
        """Writes what stands at the end."""


class Table:
    """Aligned columns for people; a picture that could not be read has no rows.

    Args:
        stream: where they go.
        widths: characters of the longest path and label; None for what the rows themselves make of it, which are then
            written at the end.
    """

    def __init__(self, stream: TextIO, widths: tuple[int, int] | None) -> None:
        self._stream = stream
        self._widths = widths
        self._rows: list[tuple[str, ...]] = []
        self._headed = False

    def write(self, answers: Sequence[Answer]) -> None:
        self._rows += [
            (printable(name), str(rank), printable(it.label), f"{it.score:.4f}")
            for name, rank, it, _ in _ranked(answers)
        ]
        if self._widths:
            self._print(*self._widths)

    def finish(self) -> None:
        if self._rows:
            shown = (_HEADER, *self._rows)
            self._print(max(len(row[0]) for row in shown), max(len(row[2]) for row in shown))

    def _print(self, path_width: int, label_width: int) -> None:
        rows = self._rows if self._headed else [_HEADER, *self._rows]
        lines = (
            f"{path:<{path_width}}  {rank:>4}  {label:<{label_width}}  {it:>6}\n" for path, rank, label, it in rows
        )
        self._stream.write("".join(lines))
        self._stream.flush()
        self._headed, self._rows = True, []


class JsonDocument:
    """One document, ``{"model": ..., "results": [...]}``: a line for each picture, all of it on one line for one."""

    def __init__(self, stream: TextIO, model: str) -> None:
        import json

        self._stream = stream
        self._text = json.dumps
        self._before = f'{{"model": {json.dumps(model)}, "results": ['

    def write(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            self._stream.write(self._before + self._text(_plain(answer)))
            self._before = ",\n"
        self._stream.flush()

    def finish(self) -> None:
        self._stream.write("]}\n" if self._before == ",\n" else f"{self._before}]}}\n")
        self._stream.flush()


class JsonLines:
    """One object a line for each picture, whether or not it could be read."""

    def __init__(self, stream: TextIO) -> None:
        import json

        self._stream = stream
        self._text = json.dumps

    def write(self, answers: Sequence[Answer]) -> None:
        self._stream.write("".join(f"{self._text(_plain(answer))}\n" for answer in answers))
        self._stream.flush()

    def finish(self) -> None:
        pass


class CsvRows:
    """One row for each class that is named; a picture that could not be read has none."""

    def __init__(self, stream: TextIO) -> None:
        import csv

        self._stream = stream
        self._writer = csv.writer(stream, lineterminator="\n")
        self._headed = False

    def write(self, answers: Sequence[Answer]) -> None:
        if not self._headed:
            self._writer.writerow(("path", "rank", "index", "label", "score", "ms"))
            self._headed = True
        self._writer.writerows(
            (name, rank, it.index, it.label, it.score, ms) for name, rank, it, ms in _ranked(answers)
        )
        self._stream.flush()

    def finish(self) -> None:
        self.write(())


def printable(text: str) -> str:
    """The text with line breaks, terminal codes and undecodable bytes escaped."""
    return text if text.isprintable() else repr(text)[1:-1]


@contextmanager
def csv_stream(target: str) -> Iterator[TextIO]:
    """Where CSV rows for ``target`` go: "-" is standard output; a file stays what it was if there is an error.

    Raises:
        UsageError: a file that cannot be written, before the work rather than after it.
    """
    from litevision.cli._csv import check_writable

    options: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    path = Path(target)
    if target == "-":
        yield sys.stdout
    elif path.exists() and not path.is_file() and not path.is_dir():  # a pipe or a device
        with path.open("w", **options) as stream:
            yield stream
    else:
        from litevision.cache import replacing

        check_writable(path)
        # Resolved, because a link is to stay one.
        with replacing(path.resolve()) as partial, partial.open("w", **options) as stream:
            yield stream


def _ranked(answers: Sequence[Answer]) -> Iterator[tuple[str, int, Prediction, float]]:
    """Name, rank, prediction and milliseconds; what could not be read has none."""
    for answer in answers:
        for rank, prediction in enumerate(answer.predictions, start=1):
            yield answer.name, rank, prediction, round(answer.ms, 3)


def _plain(answer: Answer) -> dict[str, Any]:
    if answer.error is not None:
        return {"path": answer.name, "error": str(answer.error)}
    predictions = [{"label": it.label, "score": it.score, "index": it.index} for it in answer.predictions]
    return {"path": answer.name, "predictions": predictions, "ms": round(answer.ms, 3)}
