"""Text for people: counts in words, and reports with aligned tables, which a terminal may draw its own way."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

Align = Literal["left", "right"]


_INVISIBLE = frozenset("\u200c\u200d\xa0\u202f\u205f\u3000") | set(map(chr, range(0x2000, 0x200B)))
"""Joiners, which Persian, Indic scripts and emoji need, and spaces: not printable to Python, yet harmless."""


def escape(text: str) -> str:
    """Escape line breaks, terminal codes, codes that turn text around, and undecodable bytes; twice is as once."""
    if text.isprintable():
        return text
    codes = {it for it in text if not it.isprintable()} - _INVISIBLE
    return "".join(repr(it)[1:-1] if it in codes or it == "\\" else it for it in text) if codes else text


def display_width(text: str) -> int:
    """Count the columns that a terminal takes for ``text``: two for a Chinese letter, none for a mark above another."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # here: a cold start prints ASCII alone

    return cell_len(text)


def pad(text: str, width: int, align: Align = "left") -> str:
    """Fill ``text`` with blanks up to ``width`` columns of a terminal."""
    blanks = " " * (width - display_width(text))
    return blanks + text if align == "right" else text + blanks


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
        widths = [max(map(display_width, cells)) for cells in zip(*rows, strict=True)]
        aligns = self.columns.values()
        return "\n".join("  ".join(map(pad, row, widths, aligns)).rstrip() for row in rows)


class Report:
    """A result that is read as text: ``print`` it, or go through its ``sections``."""

    def sections(self) -> Iterator[str | Table]:
        """Yield lines and tables in the order in which they are read."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(escape_lines(it) if isinstance(it, str) else str(it) for it in self.sections())


def align_totals(lines: Sequence[tuple[str, str, str]]) -> list[str]:
    """Align lines of a name, a number and a note."""
    left, middle = (max(display_width(line[i]) for line in lines) for i in (0, 1))
    return [f"{pad(name, left)}  {pad(number, middle, 'right')}  {note}".rstrip() for name, number, note in lines]
