"""The cache of weights and bundles: digests, what was recorded of a file, and the lock of who makes it.

A published file may also lie where another library has fetched it:

    $KERAS_HOME/models, ~/.keras/models                              <file>
    $TORCH_HOME/hub/checkpoints, ~/.cache/torch/hub/checkpoints      <file>
    $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub            models--<owner>--<name>/snapshots/<commit>/<file>

Those caches are read and never written: a file there belongs to somebody else.
"""

import contextlib
import functools
import hashlib
import os
import re
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

from litevision.console import note
from litevision.files import atomic_write

LOCK_POLL_S = 0.1
_HUB = re.compile(r"^/([\w.-]+)/([\w.-]+)/resolve/[^/]+/(.+)$")

Algorithm = Literal["sha256", "md5"]


def digest_of(path: Path, algorithm: Algorithm) -> str:
    """The file's hash; once per process as long as its size and time stay."""
    stat = path.stat()
    return _digest_once(path, algorithm, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _digest_once(path: Path, algorithm: Algorithm, size: int, mtime_ns: int) -> str:
    """The file's hash; once per process as long as size and time stay, which the arguments are there to tell."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def record_path(path: Path) -> Path:
    """Where the sha256 of ``path`` is recorded."""
    return path.with_name(path.name + ".sha256")


def record_digest(path: Path, digest: str) -> None:
    """Writes the sha256 of ``path`` beside it."""
    with atomic_write(record_path(path), durable=True) as partial:
        partial.write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def recorded_digest(path: Path) -> str | None:
    """The full sha256 that was recorded; None where there is no record, or one that cannot be read."""
    try:
        found = re.match(rb"[0-9a-f]{64}\b", record_path(path).read_bytes())
    except OSError:
        return None
    return found.group().decode() if found else None


@contextlib.contextmanager
def hold_lock(path: Path, waiting_for: str, progress: bool) -> Iterator[None]:
    """Holds the making of ``path`` for one process or thread; the system frees it when its holder dies."""
    with path.with_name(path.name + ".lock").open("a") as handle:
        waiting = False
        while not _try_lock(handle):
            if progress and not waiting:
                note(f"waiting for {waiting_for}")
            waiting = True
            time.sleep(LOCK_POLL_S)
        yield


def files_elsewhere(url: str) -> Iterator[Path]:
    """Yield the files in other libraries' caches that came from ``url``, by their names."""
    parts = urllib.parse.urlsplit(url)
    name = urllib.parse.unquote(parts.path).rpartition("/")[2]
    hub = _HUB.match(parts.path) if parts.hostname == "huggingface.co" else None
    found: list[Path] = []
    try:
        if hub:
            owner, repository, file = hub.groups()
            found = sorted(_hub_folder().glob(f"models--{owner}--{repository}/snapshots/*/{file}"))
        elif name:
            found = [_keras_folder() / name, _torch_folder() / name]
        yield from (path for path in found if path.is_file())
    except (OSError, RuntimeError):  # a folder that may not be read, or no home
        return


def _keras_folder() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "models")


def _torch_folder() -> Path:
    return Path(os.environ.get("TORCH_HOME") or _user_cache() / "torch", "hub", "checkpoints")


def _hub_folder() -> Path:
    given = os.environ.get("HF_HUB_CACHE")
    return Path(given) if given else Path(os.environ.get("HF_HOME") or _user_cache() / "huggingface", "hub")


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: IO[str]) -> bool:
        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: IO[str]) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
