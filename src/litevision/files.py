"""Atomic writes, the cache folder, JSON caches in it, CSV files and SHA-256 digests."""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litevision.errors import UnsafeFileError


def cache_folder() -> Path:
    """Return ``$LITEVISION_CACHE``, or the user's cache folder of this system."""
    import platformdirs  # here: most of what writes files needs no cache

    return Path(os.environ.get("LITEVISION_CACHE") or platformdirs.user_cache_dir("litevision")).expanduser()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to; rename it to ``path`` on success, delete it on an error."""
    # A name may be as long as the system allows, and this one has to be no longer: four bytes a letter at most.
    partial = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class JsonCache:
    """One JSON value in the cache folder, valid only for exactly the key that it was stored under.

    Attributes:
        path: the file; its name is a digest of the key.
    """

    def __init__(self, folder: str, key: Mapping[str, Any]) -> None:
        """Locate the file.

        Args:
            folder: a folder's name inside the cache folder.
            key: everything that the value depends on, as JSON values (lists, not tuples).
        """
        import hashlib  # here: a cold start caches nothing
        import json

        self._key = dict(key)
        digest = hashlib.sha256(json.dumps(self._key).encode()).hexdigest()
        self.path = cache_folder() / folder / f"{digest[:16]}.json"

    def load(self) -> Any:
        """Return the stored value; None where nothing valid is stored, whatever is wrong with the file."""
        import json

        try:
            stored = json.loads(self.path.read_text("utf-8"))
            return stored["value"] if stored["key"] == self._key else None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def store(self, value: Any) -> None:
        """Write ``value``, which is made of JSON values.

        Raises:
            OSError: the cache folder cannot be written.
        """
        import json

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path) as partial:
            partial.write_text(json.dumps({"key": self._key, "value": value}, indent=1), "utf-8")


def refuse_links(folder: Path) -> None:
    """Refuses a folder in which a name leads elsewhere, at any depth: whoever packed it chose where to.

    ``folder`` itself may be a link, which is its user's own.

    Raises:
        UnsafeFileError: it holds a symbolic or hard link, or what is neither a file nor a folder.
    """
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    pending.append(Path(entry.path))
                elif what := _no_plain_file(found):
                    raise UnsafeFileError(
                        f"{entry.path}: {what}; a run holds plain files alone. Remove it, or copy what it leads to."
                    )


def _no_plain_file(found: os.stat_result) -> str | None:
    if stat.S_ISLNK(found.st_mode):
        return "a symbolic link"
    if not stat.S_ISREG(found.st_mode):
        return "neither a file nor a folder"
    return "a hard link to a file with another name" if found.st_nlink > 1 else None


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    r"""Write a CSV file in UTF-8 atomically: until every row is written, ``path`` stays what it was.

    Bytes of a file's name that are no UTF-8 stand as ``\udce9``, so that every program can read the file.
    """
    import csv  # here: a cold start writes none

    with (
        atomic_write(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out,
    ):
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 digest of a file, in hexadecimal."""
    import hashlib  # here: likewise

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
