"""Text for people: counts in words, and reports with aligned tables, which a terminal may draw its own way."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

Align = Literal["left", "right"]


def escape(text: str) -> str:
    """Escape line breaks, terminal codes and undecodable bytes."""
    return text if text.isprintable() else repr(text)[1:-1]


def pluralise(count: int, thing: str = "image") -> str:
    """``1 image``, ``1,200 images``, ``2 boxes``."""
    many = f"{thing}es" if thing.endswith(("s", "x")) else f"{thing}s"
    return f"{count:,} {thing if count == 1 else many}"


def escape_lines(text: str) -> str:
    """Escape terminal codes and undecodable bytes in each line of a text."""
    return "\n".join(map(escape, text.split("\n")))


class Table(NamedTuple):
    """Rows of text under the titles of their columns.

    Attributes:
        columns: from the left, each with how its cells are aligned.
        rows: as many cells each as there are columns.
    """

    columns: Mapping[str, Align]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        rows = [tuple(self.columns), *(tuple(map(escape, row)) for row in self.rows)]
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [
                cell.rjust(width) if align == "right" else cell.ljust(width)
                for cell, width, align in zip(row, widths, self.columns.values(), strict=True)
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)


class Report:
    """A result that is read as text: ``print`` it, or go through its ``sections``."""

    def sections(self) -> Iterator[str | Table]:
        """Yield lines and tables in the order in which they are read."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(escape_lines(it) if isinstance(it, str) else str(it) for it in self.sections())


def align_totals(lines: Sequence[tuple[str, str, str]]) -> list[str]:
    """Align lines of a name, a number and a note."""
    left, middle = (max(len(line[i]) for line in lines) for i in (0, 1))
    return [f"{name:<{left}}  {number:>{middle}}  {note}".rstrip() for name, number, note in lines]
