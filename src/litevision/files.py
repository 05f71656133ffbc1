"""The folder that keeps what was fetched, made or measured; files written whole or not at all, and told by digest."""

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """``$LITEVISION_CACHE``, or the user's cache folder of this system."""
    import platformdirs  # here: most of what writes files needs no cache

    return Path(os.environ.get("LITEVISION_CACHE") or platformdirs.user_cache_dir("litevision")).expanduser()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes its place in the end, or goes away if there was an error."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes ``rows`` under ``header``; until all of them are written, ``path`` stays what it was."""
    import csv  # here: a cold start writes none

    with (
        atomic_write(path) as partial,
        partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out,
    ):
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def sha256_of(path: Path) -> str:
    """The file's digest, in hexadecimal."""
    import hashlib  # here: likewise

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
