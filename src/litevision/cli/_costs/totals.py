"""The lines under a table of costs."""

from collections.abc import Sequence


def print_totals(lines: Sequence[tuple[str, str, str]]) -> None:
    """Prints each line's name, number and note in columns."""
    left, middle = (max(len(line[i]) for line in lines) for i in (0, 1))
    for name, number, note in lines:
        print(f"{name:<{left}}  {number:>{middle}}  {note}".rstrip())
