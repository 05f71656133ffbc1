"""Download published weight files once, check them, and keep them in a cache.

    cache_folder()/weights/<weight set>/<file>             a file of a weight set
    cache_folder()/weights/<16 digits of the address>/<file>  a file by its address
    .../<file>.sha256                                      its full hash at the first use, as ``sha256sum -c`` reads it
    .../<file>.part, <file>.part.json, <file>.lock         a download under way

A file gets its name only when its size and every published hash agree. Its own full sha256 is then recorded and checked
at the first use in every later process, so that a file that changes on disk is noticed even where its publisher gives
no hash. A file that a person put at its place by hand is checked in the same way.
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
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from litevision.console import note
from litevision.errors import DownloadError, HashMismatchError, LitevisionError, UsageError
from litevision.files import cache_folder
from litevision.registry.weight_sets import WeightSet, find_weight_set, published_prefix
from litevision.weights.http_transfer import Retry, check_url, discard, progress_display, transfer

MAX_BYTES = 1_000_000_000
LOCK_POLL_S = 0.1

Algorithm = Literal["sha256", "md5"]


def offline_by_environment() -> bool:
    """Whether ``$LITEVISION_OFFLINE`` forbids the network (1, true, yes or on)."""
    return os.environ.get("LITEVISION_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on")


def cache_path(source: WeightSet | str) -> Path:
    """The place in the cache of a weight set's file, or of the file at an address; it need not exist."""
    return _candidates(source, None)[0].path


def fetch(
    source: WeightSet | str,
    *,
    sha256: str | None = None,
    offline: bool | None = None,
    progress: bool = True,
    max_bytes: int = MAX_BYTES,
    retry: Retry | None = None,
) -> Path:
    """Returns the path of a published weight file, downloading it on first use.

    Args:
        source: a weight set, its name, or an ``https`` address.
        sha256: the 64 digits that the file must have, beside what its publisher gives.
        offline: use the cache alone; by default as ``$LITEVISION_OFFLINE`` says.
        progress: report a download on stderr.
        max_bytes: refuse a larger file.
        retry: how to retry transient errors.

    Raises:
        DownloadError: no file in the cache and none to be had; the message gives the steps by hand.
        HashMismatchError: the file is not the published one. A wrong download is removed; a file in the cache stays.
        UnknownNameError: no weight set of that name.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"sha256 must be 64 hexadecimal digits, got {sha256!r}")
    if max_bytes < 1:
        raise UsageError(f"max_bytes must be 1 or more, got {max_bytes}")
    candidates = _candidates(source, sha256)
    for candidate in candidates:
        if candidate.path.is_file():
            _check_cached(candidate)
            return candidate.path
    if offline_by_environment() if offline is None else offline:
        raise _no_file(candidates[0], "offline mode is on and the file is not in the cache")
    reasons = []
    for candidate in candidates:
        try:
            return _download(candidate, max_bytes, retry or Retry(), progress)
        except DownloadError as error:
            reasons.append(str(error))
    also = [f"{candidate.url}: {reason}" for candidate, reason in zip(candidates[1:], reasons[1:], strict=True)]
    reason = reasons[0] + (f" (and from {'; '.join(also)})" if also else "")
    raise _no_file(candidates[0], reason)


@dataclass(frozen=True)
class _Candidate:
    """One address of the wanted file, where it goes, and what must hold of it."""

    label: str
    url: str
    path: Path
    hashes: tuple[tuple[Algorithm, str], ...]  # the second is the full hash or its leading digits
    num_bytes: range | None = None

    def sizes(self, max_bytes: int) -> range:
        """The sizes that are accepted."""
        if self.num_bytes is None:
            return range(1, max_bytes + 1)
        return range(self.num_bytes.start, min(self.num_bytes.stop, max_bytes + 1))


def _candidates(source: WeightSet | str, sha256: str | None) -> list[_Candidate]:
    """Every address of ``source``, the publisher's first; at least one."""
    asked: tuple[tuple[Algorithm, str], ...] = (("sha256", sha256.lower()),) if sha256 else ()
    if isinstance(source, str) and "://" in source:
        check_url(source)
        folder = hashlib.sha256(source.encode()).hexdigest()[:16]
        file_name = _file_name(source)
        return [_Candidate(file_name, source, cache_folder() / "weights" / folder / file_name, asked)]
    row = find_weight_set(source) if isinstance(source, str) else source
    hashes: tuple[tuple[Algorithm, str], ...] = (
        *asked,
        *((("sha256", row.sha256),) if row.sha256 else ()),
        *((("sha256", row.hash_prefix),) if row.hash_prefix else ()),
        *((("md5", row.md5),) if row.md5 else ()),
    )
    num_bytes = None
    if row.num_bytes is not None:
        num_bytes = range(row.num_bytes - row.num_bytes_tolerance, row.num_bytes + row.num_bytes_tolerance + 1)
    found = []
    for url in (row.url, *row.mirrors):
        path = cache_folder() / "weights" / row.name / _file_name(url)
        prefix = published_prefix(url)
        if _file_name(url) == _file_name(row.url):
            found.append(_Candidate(row.name, url, path, hashes, num_bytes))
        elif prefix and not asked:  # the same tensors in another container, of which nobody asked for a hash
            found.append(_Candidate(row.name, url, path, (("sha256", prefix),)))
    return found


def _file_name(url: str) -> str:
    name = urllib.parse.unquote(urllib.parse.urlsplit(url).path).rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".") or "download"


def _no_file(candidate: _Candidate, reason: str) -> DownloadError:
    return DownloadError(
        f"cannot download {candidate.url}: {reason}; download it with a browser, put it at {candidate.path}, then run "
        "again (or give a local weight file in place of the name)"
    )


def _download(candidate: _Candidate, max_bytes: int, retry: Retry, progress: bool) -> Path:
    path = candidate.path
    sizes = candidate.sizes(max_bytes)
    if not sizes:
        raise DownloadError(f"the file is larger than max_bytes {max_bytes:,}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path, candidate.label, progress):
            if path.is_file():  # another process was quicker
                _check_cached(candidate)
                return path
            part = path.with_name(path.name + ".part")
            host = urllib.parse.urlsplit(candidate.url).hostname
            with progress_display(f"{candidate.label} from {host}", show=progress) as on_progress:
                transfer(candidate.url, part, sizes, retry=retry, on_progress=on_progress)
            _check_download(candidate, part)
            digest = _digest(part, "sha256")
            part.replace(path)
            discard(part)
            _record(path, digest)
    except LitevisionError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{path.parent} cannot be used ({error}), set LITEVISION_CACHE to another folder"
        ) from error
    if progress:
        note(f"saved {path}")
    return path


def _check_download(candidate: _Candidate, part: Path) -> None:
    for algorithm, expected in candidate.hashes:
        got = _digest(part, algorithm)
        if not got.startswith(expected):
            discard(part)
            raise HashMismatchError(
                f"{candidate.url} has the wrong {algorithm}: got {got}, expected {expected}; the download was removed, "
                "run again, and if it stays so do not use that source"
            )


def _check_cached(candidate: _Candidate) -> None:
    """Raises unless the file in the cache is what it should be; records its hash if nobody has yet."""
    path = candidate.path
    size = path.stat().st_size
    advice = "delete it and run again"
    if candidate.num_bytes is not None and size not in candidate.num_bytes:
        raise HashMismatchError(f"{path} has {size:,} bytes, expected {candidate.num_bytes.start:,}; {advice}")
    recorded = _recorded(path)
    expectations = (*candidate.hashes, *((("sha256", recorded),) if recorded else ()))
    for algorithm, expected in expectations:
        got = _digest(path, algorithm)
        if not got.startswith(expected):
            raise HashMismatchError(f"{path} has the wrong {algorithm}: got {got}, expected {expected}; {advice}")
    if recorded is None:
        with contextlib.suppress(OSError):  # a cache that cannot be written still serves
            _record(path, _digest(path, "sha256"))


def _digest(path: Path, algorithm: Algorithm) -> str:
    stat = path.stat()
    return _digest_once(path, algorithm, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _digest_once(path: Path, algorithm: Algorithm, size: int, mtime_ns: int) -> str:
    """The file's hash; once per process as long as size and time stay, which the arguments are there to tell."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _record(path: Path, digest: str) -> None:
    record = _record_path(path)
    unfinished = record.with_name(f"{record.name}.{os.getpid()}")
    unfinished.write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    unfinished.replace(record)


def _recorded(path: Path) -> str | None:
    try:
        found = re.match(r"[0-9a-f]{64}\b", _record_path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found.group() if found else None


@contextlib.contextmanager
def _lock(path: Path, label: str, progress: bool) -> Iterator[None]:
    """Holds the download of ``path`` for one process or thread; the system frees it when its holder dies."""
    with path.with_name(path.name + ".lock").open("a") as handle:
        waiting = False
        while not _try_lock(handle):
            if progress and not waiting:
                note(f"waiting for another download of {label}")
            waiting = True
            time.sleep(LOCK_POLL_S)
        yield


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
