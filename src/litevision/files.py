"""Atomic writes, the cache folder, JSON caches in it, CSV and TOML files and SHA-256 digests."""

import errno
import math
import os
import re
import secrets
import shutil
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from litevision.errors import UnsafeFileError

_TOML_BYTES, _TOML_DOTS = 262_144, 200


def cache_folder() -> Path:
    """Return ``$LITEVISION_CACHE``, or the user's cache folder of this system."""
    import platformdirs  # here: most of what writes files needs no cache

    return Path(os.environ.get("LITEVISION_CACHE") or platformdirs.user_cache_dir("litevision")).expanduser()


@contextmanager
def atomic_write(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to; rename it to ``path`` on success, delete it on an error.

    What a killed process left behind of an earlier write to ``path`` is deleted first.

    Args:
        path: the file to write.
        durable: wait until it is on the disk, so that a power cut leaves the old file or the new one.
    """
    with _hold_temporary(path, is_folder=False) as partial:
        yield partial
        if durable:
            _sync(partial)
        partial.replace(path)
        if durable:
            _sync(path.parent)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``, which is deleted in the end; those of killed processes are, first."""
    with _hold_temporary(path, is_folder=True) as folder:
        yield folder


def files_below(path: Path) -> list[Path]:
    """The file at ``path``, or all files of the folder there and of those in it, sorted."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def sync_file(path: Path) -> None:
    """Wait until a file and its name are on the disk."""
    _sync(path)
    _sync(path.parent)


_TEMPORARY = re.compile(r"(\..*\.)[0-9a-f]{8}\.part", re.DOTALL)
_left_behind: dict[Path, dict[str, list[Path]]] = {}  # by folder and beginning, found once in each process


@contextmanager
def _hold_temporary(path: Path, *, is_folder: bool) -> Iterator[Path]:
    """Yield a temporary file or folder for ``path`` that this process holds, so that others leave it alone."""
    # A name may be as long as the system allows, and this one has to be no longer: four bytes a letter at most.
    beginning = f".{path.name[:50]}."
    for left in _found_left(path.parent).pop(beginning, ()):
        _remove_unheld(left)
    while True:
        temporary = path.with_name(f"{beginning}{secrets.token_hex(4)}.part")
        if is_folder:
            temporary.mkdir(0o700)
        else:
            temporary.touch(exist_ok=False)
        handle = _hold(temporary)
        if handle is not None:
            break
    try:
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            _remove(temporary)
        if handle >= 0:
            os.close(handle)


def _found_left(folder: Path) -> dict[str, list[Path]]:
    """What may be left behind in ``folder``, by the beginning of its name."""
    if folder not in _left_behind:
        found: dict[str, list[Path]] = {}
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if named := _TEMPORARY.fullmatch(entry.name):
                    found.setdefault(named[1], []).append(Path(entry.path))
        _left_behind[folder] = found
    return _left_behind[folder]


def _remove_unheld(temporary: Path) -> None:
    """Delete it, unless a process that lives holds it, or nobody can tell."""
    with suppress(OSError):
        handle = _hold(temporary)
        if handle is not None and handle >= 0:
            _remove(temporary)
            os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _sync(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # a file system that cannot
        pass
    finally:
        os.close(handle)


if sys.platform == "win32":

    def _hold(temporary: Path) -> int | None:
        return -1  # what is open cannot be deleted there

else:
    import fcntl

    def _lock_description(handle: int) -> None:
        """Lock a file by its description: flock would keep HDF5 from writing it, a lock of the process would be lost.

        Raises:
            OSError: another process has it, or this system knows no such lock.
        """
        command = getattr(fcntl, "F_OFD_SETLK", None)
        if command is None:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        fcntl.fcntl(handle, command, struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))

    def _hold(temporary: Path) -> int | None:
        """Lock it until the handle is closed; None where another process has it, or it is gone; -1 without locks."""
        is_folder = temporary.is_dir()
        try:
            handle = os.open(temporary, (os.O_RDONLY if is_folder else os.O_RDWR) | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            if is_folder:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                _lock_description(handle)
        except (BlockingIOError, PermissionError):
            os.close(handle)
            return None
        except OSError:  # a file system without locks
            os.close(handle)
            return -1
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), temporary.stat()):
                return handle
        os.close(handle)
        return None


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file from anybody; errors as for `parse_toml`, or an OSError."""
    if path.stat().st_size > _TOML_BYTES:
        raise ValueError(f"more than {_TOML_BYTES:,} bytes; a recipe has a few thousand")
    return parse_toml(path.read_text("utf-8"))


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML from anybody, within what a person writes.

    Raises:
        ValueError: no TOML, or keys or values that are too deep for a recipe.
    """
    import tomllib

    if any(line.count(".") > _TOML_DOTS for line in text.splitlines()):  # tomllib takes the square of a key's parts
        raise ValueError(f"a line with more than {_TOML_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("values too deep in each other") from None


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


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return ``value`` as JSON that every reader takes: what is NaN or infinite is null."""
    import json

    return json.dumps(_with_null(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _with_null(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _with_null(one) for key, one in value.items()}
    return [_with_null(one) for one in value] if isinstance(value, list | tuple) else value


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
