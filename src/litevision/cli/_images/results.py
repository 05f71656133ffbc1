"""Answers as rows and documents, written as they come: whole lines only, flushed once for each batch of answers."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from litevision.runtime.results import Result


class Writer(Protocol):
    """Takes answers; ``finish`` makes what was written complete, whether or not more was to come."""

    def write(self, answers: Sequence[Result[Any]]) -> None:
        """Writes the answers."""

    def finish(self) -> None:
        """Writes what stands at the end."""


class Form(NamedTuple):
    """How the answers of a task are written.

    Attributes:
        columns: the table's: what stands above each, and its format, such as ">6".
        cells: an answer as rows of the table.
        csv_header: above the rows of a CSV file.
        csv_rows: an answer as such rows.
        plain: an answer as a JSON object.
    """

    columns: tuple[tuple[str, str], ...]
    cells: Callable[[Result[Any]], Iterable[tuple[str, ...]]]
    csv_header: tuple[str, ...]
    csv_rows: Callable[[Result[Any]], Iterable[tuple[object, ...]]]
    plain: Callable[[Result[Any]], dict[str, Any]]


class Table:
    """Aligned columns for people; an image that could not be read has no rows.

    Args:
        stream: where they go.
        form: what the answers are.
        widths: characters of the longest cell of the columns whose names these are; None for what the rows themselves
            make of it, which are then written at the end.
    """

    def __init__(self, stream: TextIO, form: Form, widths: dict[str, int] | None) -> None:
        self._stream = stream
        self._form = form
        self._widths = widths
        self._rows: list[tuple[str, ...]] = []
        self._headed = False

    def write(self, answers: Sequence[Result[Any]]) -> None:
        self._rows += [row for answer in answers if answer.error is None for row in self._form.cells(answer)]
        if self._widths:
            self._print(self._widths)

    def finish(self) -> None:
        if self._rows:
            names = [name for name, _ in self._form.columns]
            self._print({name: max(map(len, cells)) for name, *cells in zip(names, *self._rows, strict=True)})

    def _print(self, widths: dict[str, int]) -> None:
        header = tuple(name for name, _ in self._form.columns)
        rows = self._rows if self._headed else [header, *self._rows]
        forms = [f"{form[0]}{max(int(form[1:]), widths.get(name, 0))}" for name, form in self._form.columns]
        lines = ("  ".join(map(format, row, forms)).rstrip() + "\n" for row in rows)
        self._stream.write("".join(lines))
        self._stream.flush()
        self._headed, self._rows = True, []


class JsonDocument:
    """One document, ``{"model": ..., "results": [...]}``: a line for each image, all of it on one line for one."""

    def __init__(self, stream: TextIO, form: Form, model: str) -> None:
        import json

        self._stream = stream
        self._form = form
        self._text = json.dumps
        self._before = f'{{"model": {json.dumps(model)}, "results": ['

    def write(self, answers: Sequence[Result[Any]]) -> None:
        for answer in answers:
            self._stream.write(self._before + self._text(_plain(self._form, answer)))
            self._before = ",\n"
        self._stream.flush()

    def finish(self) -> None:
        self._stream.write("]}\n" if self._before == ",\n" else f"{self._before}]}}\n")
        self._stream.flush()


class JsonLines:
    """One object a line for each image, whether or not it could be read."""

    def __init__(self, stream: TextIO, form: Form) -> None:
        import json

        self._stream = stream
        self._form = form
        self._text = json.dumps

    def write(self, answers: Sequence[Result[Any]]) -> None:
        self._stream.write("".join(f"{self._text(_plain(self._form, answer))}\n" for answer in answers))
        self._stream.flush()

    def finish(self) -> None:
        pass


class CsvRows:
    """One row for each class or object that is named; an image that could not be read has none."""

    def __init__(self, stream: TextIO, form: Form) -> None:
        import csv

        self._stream = stream
        self._form = form
        self._writer = csv.writer(stream, lineterminator="\n")
        self._headed = False

    def write(self, answers: Sequence[Result[Any]]) -> None:
        if not self._headed:
            self._writer.writerow(self._form.csv_header)
            self._headed = True
        for answer in answers:
            self._writer.writerows(self._form.csv_rows(answer))
        self._stream.flush()

    def finish(self) -> None:
        self.write(())


def printable(text: str) -> str:
    """The text with line breaks, terminal codes and undecodable bytes escaped."""
    return text if text.isprintable() else repr(text)[1:-1]


@contextmanager
def output_stream(target: str, option: str = "--csv") -> Iterator[TextIO]:
    """Where what is written to ``target`` goes: "-" is standard output; a file stays what it was if there is an error.

    Raises:
        UsageError: a file that cannot be written, before the work rather than after it; ``option`` named it.
    """
    from litevision.cli._shared.outputs import check_writable

    options: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    path = Path(target)
    if target == "-":
        yield sys.stdout
    elif path.exists() and not path.is_file() and not path.is_dir():  # a pipe or a device
        with path.open("w", **options) as stream:
            yield stream
    else:
        from litevision.files import atomic_write

        check_writable(path, option)
        # Resolved, because a link is to stay one.
        with atomic_write(path.resolve()) as partial, partial.open("w", **options) as stream:
            yield stream


def _plain(form: Form, answer: Result[Any]) -> dict[str, Any]:
    if answer.error is not None:
        return {"path": answer.name, "error": str(answer.error)}
    return {"path": answer.name, **form.plain(answer), "ms": round(answer.ms, 3)}
