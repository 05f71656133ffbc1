"""CSV files that commands write."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from litevision.errors import UsageError


def check_writable(file: Path, option: str = "--csv") -> None:
    """Refuses what cannot be written, before the work rather than after it; ``option`` named it.

    Raises:
        UsageError: a folder, or a file in a folder that is not there or not ours.
    """
    import os

    if file.is_dir() or not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
        raise UsageError(f"{option} {file}: not a file that can be written. Give one in an existing folder.")


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes ``rows`` under ``header``; until all of them are written, ``file`` stays what it was."""
    import csv

    from litevision.cache import replacing

    with replacing(file) as partial, partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
