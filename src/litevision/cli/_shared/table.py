"""Tables on standard output: drawn on a terminal, plain aligned text in a pipe or file."""

import sys
from collections.abc import Mapping, Sequence
from typing import Literal

Align = Literal["left", "right"]


def print_table(columns: Mapping[str, Align], rows: Sequence[Sequence[str]]) -> None:
    """Prints ``rows`` under the titles of ``columns``."""
    if _is_terminal():
        _draw(columns, rows)
        return
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row in (tuple(columns), *rows):
        cells = [
            cell.rjust(width) if align == "right" else cell.ljust(width)
            for cell, width, align in zip(row, widths, columns.values(), strict=True)
        ]
        print("  ".join(cells).rstrip())


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _draw(columns: Mapping[str, Align], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False)
    for i, (title, align) in enumerate(columns.items()):
        table.add_column(title, justify=align, no_wrap=i == 0 or align == "right")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
