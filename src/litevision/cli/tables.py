"""Results as text, CSV and JSON: tables for people, and writers that put out results as they come.

A writer writes whole lines only and flushes once for each batch of results.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TextIO

from litevision import console
from litevision.tables import Align, Table, display_width, escape, escape_lines, pad, pluralise

if TYPE_CHECKING:
    from litevision.image import PassedOver
    from litevision.runtime.results import Result


def print_report(sections: Iterable[str | Table]) -> None:
    """Print lines and tables in order."""
    for section in sections:
        if isinstance(section, str):
            print(escape_lines(section))
        else:
            print_table(section.columns, section.rows)


def print_table(columns: Mapping[str, Align], rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows`` under the titles of ``columns``, drawn on a terminal and as plain text elsewhere."""
    if _is_terminal():
        _draw(columns, rows)
    else:
        print(Table(columns, rows))


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _draw(columns: Mapping[str, Align], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(box=SIMPLE, pad_edge=False)
    for i, (title, align) in enumerate(columns.items()):
        table.add_column(Text(escape(title)), justify=align, no_wrap=i == 0 or align == "right")
    for row in rows:
        table.add_row(*(Text(escape(cell)) for cell in row))
    Console().print(table)


def write_records(file: Path, records: Sequence[Mapping[str, object]]) -> None:
    """Write a CSV file with a row for each of ``records``, whose keys are all the same, and note that it is there."""
    from litevision.files import write_csv

    write_csv(file, list(records[0]), [list(record.values()) for record in records])
    console.note(f"wrote {file}: {pluralise(len(records), 'row')}")


class Writer(Protocol):
    """Write results as they come; ``finish`` makes what was written complete, whether or not more was to come."""

    def write(self, results: "Sequence[Result[Any]]") -> None:
        """Write the results."""

    def finish(self) -> None:
        """Write what stands at the end."""


class OutputFormat(NamedTuple):
    """How the results of a task are written.

    Attributes:
        columns: the table's: what stands above each, and its format, such as ">6".
        cells: a result as rows of the table.
        csv_header: above the rows of a CSV file.
        csv_rows: a result as such rows.
        to_dict: a result as a JSON object.
        line: what sums up a result, below its rows of the table.
        totals: what stands at the end of a JSON document, of all results.
    """

    columns: tuple[tuple[str, str], ...]
    cells: "Callable[[Result[Any]], Iterable[tuple[str, ...]]]"
    csv_header: tuple[str, ...]
    csv_rows: "Callable[[Result[Any]], Iterable[tuple[object, ...]]]"
    to_dict: "Callable[[Result[Any]], dict[str, Any]]"
    line: "Callable[[Result[Any]], str]" = lambda result: ""
    totals: "Callable[[], dict[str, Any]]" = dict


class TableWriter:
    """Aligned columns for people; an image that could not be read has no rows.

    Args:
        stream: where they go.
        form: what the results are.
        widths: places on the screen of the longest cell of the columns whose names these are; None for what the rows
            themselves make of it, which are then written at the end.
    """

    def __init__(self, stream: TextIO, form: OutputFormat, widths: dict[str, int] | None) -> None:
        self._stream = stream
        self._form = form
        self._widths = widths
        self._rows: list[tuple[str, ...]] = []
        self._headed = False

    def write(self, results: "Sequence[Result[Any]]") -> None:
        for result in results:
            if result.error is None:
                self._rows += self._form.cells(result)
                if line := self._form.line(result):
                    self._rows.append((escape(result.name), line))
        if self._widths and self._rows:
            self._print(self._widths)

    def finish(self) -> None:
        if self._rows:
            names = [name for name, _ in self._form.columns]
            rows = [row for row in self._rows if len(row) == len(names)]  # others end the line, however long it is
            self._print({name: max(map(display_width, cells)) for name, *cells in zip(names, *rows, strict=True)})

    def _print(self, widths: dict[str, int]) -> None:
        header = tuple(name for name, _ in self._form.columns)
        rows = self._rows if self._headed else [header, *self._rows]
        columns = [max(int(form[1:]), widths.get(name, 0)) for name, form in self._form.columns]
        aligns: list[Align] = ["right" if form[0] == ">" else "left" for _, form in self._form.columns]
        lines = ("  ".join(pad(*it) for it in zip(row, columns, aligns, strict=False)).rstrip() + "\n" for row in rows)
        self._stream.write("".join(lines))
        self._stream.flush()
        self._headed, self._rows = True, []


class JsonWriter:
    """One document, ``{"model": ..., "results": [...], "passed_over": {...}}``: a line for each image.

    For one image, all of it stands on one line.

    Args:
        stream: where it goes.
        form: what the results are.
        model: as it was asked for.
        made_by: as for `JsonLinesWriter`.
        passed_over: counts, by kind, the files of folders that were not taken.
    """

    def __init__(
        self,
        stream: TextIO,
        form: OutputFormat,
        model: str,
        made_by: Mapping[str, object],
        passed_over: "PassedOver",
    ) -> None:
        import json

        self._stream = stream
        self._form = form
        self._text = json.dumps
        self._passed_over = passed_over
        self._before = f'{json.dumps({"model": model, **made_by})[:-1]}, "results": ['

    def write(self, results: "Sequence[Result[Any]]") -> None:
        for result in results:
            self._stream.write(self._before + self._text(_to_dict(self._form, result)))
            self._before = ",\n"
        self._stream.flush()

    def finish(self) -> None:
        start = "" if self._before == ",\n" else self._before
        end = self._text({**self._form.totals(), "passed_over": self._passed_over.to_dict()})
        self._stream.write(f"{start}], {end[1:]}\n")
        self._stream.flush()


class JsonLinesWriter:
    """One object a line for each image, whether or not it could be read.

    Args:
        stream: where they go.
        form: what the results are.
        made_by: what each line says of the model and the engine.
    """

    def __init__(self, stream: TextIO, form: OutputFormat, made_by: Mapping[str, object]) -> None:
        import json

        self._stream = stream
        self._form = form
        self._made_by = made_by
        self._text = json.dumps

    def write(self, results: "Sequence[Result[Any]]") -> None:
        rows = ({**_to_dict(self._form, result), **self._made_by} for result in results)
        self._stream.write("".join(f"{self._text(row)}\n" for row in rows))
        self._stream.flush()

    def finish(self) -> None:
        pass


class CsvWriter:
    """One row for each class or object that is named, and one with the error of an image that could not be read."""

    def __init__(self, stream: TextIO, form: OutputFormat) -> None:
        import csv

        self._stream = stream
        self._form = form
        self._writer = csv.writer(stream, lineterminator="\n")
        self._headed = False

    def write(self, results: "Sequence[Result[Any]]") -> None:
        if not self._headed:
            self._writer.writerow(self._form.csv_header)
            self._headed = True
        for result in results:
            if result.error is None:
                self._writer.writerows(self._form.csv_rows(result))
            else:
                blanks = [""] * (len(self._form.csv_header) - 2)
                self._writer.writerow([result.name, *blanks, str(result.error)])
        self._stream.flush()

    def finish(self) -> None:
        self.write(())


@contextmanager
def output_stream(target: str) -> Iterator[TextIO]:
    r"""Where what is written to ``target`` goes: "-" is standard output; a file stays what it was if there is an error.

    It is UTF-8 whatever the locale; bytes of a name that are none stand as ``\udce9``, so that the file can be read.
    """
    options: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    path = Path(target)
    if target == "-":
        yield sys.stdout
    elif path.exists() and not path.is_file() and not path.is_dir():  # a pipe or a device
        with path.open("w", **options) as stream:
            yield stream
    else:
        from litevision.files import atomic_write

        # Resolved, because a link is to stay one.
        with atomic_write(path.resolve()) as partial, partial.open("w", **options) as stream:
            yield stream


def _to_dict(form: OutputFormat, result: "Result[Any]") -> dict[str, Any]:
    row: dict[str, Any] = {"path": result.name}
    if result.file != result.name:  # a frame
        row |= {"file": result.file}
        row |= {key: value for key in ("time_s", "frame") if (value := getattr(result, key)) is not None}
    if result.error is not None:
        return {**row, "error": str(result.error)}
    return {**row, **form.to_dict(result), "ms": round(result.ms, 3)}
