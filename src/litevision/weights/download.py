"""Download published weight files once, check them, and keep them in a cache.

    cache_folder()/weights/<weight set>/<file>             a file of a weight set
    cache_folder()/weights/<16 digits of the address>/<file>  a file by its address
    .../<file>.sha256                                      its full hash at the first use, as ``sha256sum -c`` reads it
    .../<file>.part, <file>.part.json, <file>.lock         a download under way

A file gets its name only when its size and every published hash agree. Its own full sha256 is then recorded and checked
at the first use in every later process, so that a file that changes on disk is noticed even where its publisher gives
no hash; it is then fetched anew, and must be what was recorded. A weight set whose full sha256 is not known here is
fetched only where that is asked for. Before a download, the caches of Keras, torch hub and the Hugging Face hub are
looked into for a file with the published hashes. A file that a person put at its place by hand is checked in the same
way.
"""

import contextlib
import contextvars
import hashlib
import os
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from litevision.console import note
from litevision.errors import DownloadError, HashMismatchError, LitevisionError, UsageError, reason_of
from litevision.files import cache_folder, sync_file
from litevision.registry.weight_sets import WeightSet, find_weight_set, published_prefix
from litevision.weights.http_open import Retry, check_url
from litevision.weights.http_transfer import discard, progress_display, transfer
from litevision.weights.weight_cache import (
    Algorithm,
    digest_of,
    files_elsewhere,
    hold_lock,
    record_digest,
    record_path,
    recorded_digest,
)

MAX_BYTES = 1_000_000_000

ONE_TRY = Retry(attempts=1, timeout_s=10.0)
"""For a file that something else can stand in for."""


def offline_by_environment() -> bool:
    """Whether ``$LITEVISION_OFFLINE`` forbids the network (1, true, yes or on)."""
    return _is_set("LITEVISION_OFFLINE")


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() in ("1", "true", "yes", "on")


_accepts_unchecked: contextvars.ContextVar[bool] = contextvars.ContextVar("accepts_unchecked", default=False)


@contextlib.contextmanager
def accept_unchecked(accepted: bool) -> Iterator[None]:
    """Inside, weight sets whose full sha256 is not known are fetched, if ``accepted``, as ``fetch(unchecked=True)``."""
    token = _accepts_unchecked.set(accepted or _accepts_unchecked.get())
    try:
        yield
    finally:
        _accepts_unchecked.reset(token)


def cache_path(source: WeightSet | str) -> Path:
    """The place in the cache of a weight set's file, or of the file at an address; it need not exist."""
    return _candidates(source, None)[0].path


def fetch(
    source: WeightSet | str,
    *,
    sha256: str | None = None,
    offline: bool | None = None,
    unchecked: bool | None = None,
    progress: bool = True,
    max_bytes: int = MAX_BYTES,
    retry: Retry | None = None,
) -> Path:
    """Returns the path of a published weight file, downloading it on first use.

    Args:
        source: a weight set, its name, or an ``https`` address.
        sha256: the 64 digits that the file must have, beside what its publisher gives.
        offline: use the cache alone; by default as ``$LITEVISION_OFFLINE`` says.
        unchecked: fetch a weight set though its full sha256 is not known; by default as ``$LITEVISION_UNCHECKED`` or
            `accept_unchecked` says.
        progress: report a download on stderr.
        max_bytes: refuse a larger file.
        retry: how to retry transient errors.

    Raises:
        DownloadError: no file in the cache and none to be had; the message gives the steps by hand. Or a weight set
            without a full sha256 that nobody asked for as ``unchecked``.
        HashMismatchError: the file is not the published one. A wrong download is removed; a wrong file in the cache
            is fetched anew, but stays where nothing can be fetched.
        UnknownNameError: no weight set of that name.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"sha256 must be 64 hexadecimal digits, got {sha256!r}")
    if max_bytes < 1:
        raise UsageError(f"max_bytes must be 1 or more, got {max_bytes}")
    candidates = _candidates(source, sha256)
    is_offline = offline_by_environment() if offline is None else offline
    wrong: HashMismatchError | None = None
    for candidate in candidates:
        if candidate.path.is_file():
            try:
                _check_cached(candidate)
                return candidate.path
            except HashMismatchError as error:
                wrong = error
                break
    if isinstance(source, WeightSet) or "://" not in source:
        elsewhere = _elsewhere(candidates, accepts_any=_accepted(unchecked))
        if elsewhere is not None:
            return elsewhere
    if is_offline:
        if wrong is not None:
            raise HashMismatchError(f"{wrong}; offline mode is on, so it cannot be fetched anew")
        raise _no_file(candidates[0], "offline mode is on and the file is not in the cache")
    if wrong is not None:
        note(f"{wrong}; fetching it anew")
    elif not (candidates[0].is_checked or _accepted(unchecked)):
        raise _unchecked(candidates[0])
    reasons = []
    for candidate in candidates:
        try:
            return _download(candidate, max_bytes, retry or Retry(), progress)
        except HashMismatchError:
            raise
        except DownloadError as error:
            reasons.append(str(error))
    if wrong is not None:
        raise HashMismatchError(f"{wrong}, and it cannot be fetched anew: {reasons[0]}")
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
    known: str | None = None  # of a weight set, what is known to check it by
    expects_full_hash: bool = False

    @property
    def is_checked(self) -> bool:
        """Whether it may be fetched unasked: its full sha256 is known, or a person gave the address."""
        return self.known is None or self.expects_full_hash

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
        path = cache_folder() / "weights" / folder / file_name
        return [_Candidate(file_name, source, path, asked, expects_full_hash=bool(asked))]
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
    found: list[_Candidate] = []
    full = row.is_checked or bool(asked)
    for url in (row.url, *row.mirrors):
        path = cache_folder() / "weights" / row.name / _file_name(url)
        prefix = published_prefix(url)
        if _file_name(url) == _file_name(row.url):
            found.append(_Candidate(row.name, url, path, hashes, num_bytes, row.check, full))
        elif prefix and not asked:  # the same tensors in another container, of which nobody asked for a hash
            found.append(_Candidate(row.name, url, path, (("sha256", prefix),), None, row.check))
    return found


def _accepted(unchecked: bool | None) -> bool:
    return _accepts_unchecked.get() or _is_set("LITEVISION_UNCHECKED") if unchecked is None else unchecked


def _elsewhere(candidates: Sequence[_Candidate], *, accepts_any: bool) -> Path | None:
    """The file in the cache of Keras, torch hub or the Hugging Face hub, if it is the published one by its hashes.

    Args:
        accepts_any: takes a file of which its publisher gives no hash, too.
    """
    for candidate in candidates:
        if not (candidate.hashes or accepts_any):
            continue
        for path in files_elsewhere(candidate.url):
            with contextlib.suppress(OSError):
                fault = _fault_of(candidate, path)
                note(f"note: {candidate.label} from {path}" if fault is None else f"note: not used: {fault}")
                if fault is None:
                    return path
    return None


def _fault_of(candidate: _Candidate, path: Path) -> str | None:
    """Says in what ``path`` differs from what is published of it."""
    size = path.stat().st_size
    if candidate.num_bytes is not None and size not in candidate.num_bytes:
        return f"{path} has {size:,} bytes, expected {candidate.num_bytes.start:,}"
    for algorithm, expected in candidate.hashes:
        got = digest_of(path, algorithm)
        if not got.startswith(expected):
            return f"{path} has the wrong {algorithm}: got {got}, expected {expected}"
    return None


_KNOWN_IN_WORDS = {
    "prefix": "only the first digits of its sha256 are known",
    "md5": "only its md5 is known",
    "size": "only its size is known",
    "nothing": "nothing of it is known",
}


def _unchecked(candidate: _Candidate) -> DownloadError:
    return DownloadError(
        f"{candidate.label} cannot be checked: {_KNOWN_IN_WORDS[candidate.known or 'nothing']}, so a file that "
        "somebody changed would be taken for it. Fetch it all the same with --unchecked (in Python unchecked=True, or "
        "LITEVISION_UNCHECKED=1); its sha256 is then recorded and kept to. 'litevision models' marks the checked sets"
    )


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
        with hold_lock(path, f"another download of {candidate.label}", progress):
            with contextlib.suppress(HashMismatchError):
                if path.is_file() and (recorded_digest(path) or candidate.hashes):  # another process was quicker
                    _check_cached(candidate)
                    return path
            part = path.with_name(path.name + ".part")
            host = urllib.parse.urlsplit(candidate.url).hostname
            with progress_display(f"{candidate.label} from {host}", show=progress) as on_progress:
                transfer(candidate.url, part, sizes, retry=retry, on_progress=on_progress)
            _check_download(candidate, part)
            digest = digest_of(part, "sha256")
            sync_file(part)
            part.replace(path)
            discard(part)
            record_digest(path, digest)
    except LitevisionError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{path.parent} cannot be used ({reason_of(error)}), set LITEVISION_CACHE to another folder"
        ) from error
    if progress:
        unchecked = f", unchecked: its full sha256 was not known; {digest} is recorded and kept to"
        note(f"saved {path}{'' if candidate.expects_full_hash else unchecked}")
    return path


def _check_download(candidate: _Candidate, part: Path) -> None:
    recorded = recorded_digest(candidate.path)
    for algorithm, expected in (*candidate.hashes, *((("sha256", recorded),) if recorded else ())):
        got = digest_of(part, algorithm)
        if not got.startswith(expected):
            discard(part)
            if expected == recorded:
                expected += f" as {record_path(candidate.path)} has it from its first download"
            raise HashMismatchError(
                f"{candidate.url} has the wrong {algorithm}: got {got}, expected {expected}; the download was removed, "
                "run again, and if it stays so do not use that source"
            )


def _check_cached(candidate: _Candidate) -> None:
    """Raises unless the file in the cache is what it should be; records its hash if nobody has yet."""
    path = candidate.path
    fault = _fault_of(candidate, path)
    if fault is not None:
        raise HashMismatchError(fault)
    recorded = recorded_digest(path)
    if recorded is None and record_path(path).exists() and not candidate.expects_full_hash:
        raise HashMismatchError(f"{record_path(path)} is damaged, so nobody can tell whether {path.name} is whole")
    if recorded is not None and (got := digest_of(path, "sha256")) != recorded:
        raise HashMismatchError(f"{path} has the wrong sha256: got {got}, expected {recorded}")
    if recorded is None:
        with contextlib.suppress(OSError):  # a cache that cannot be written still serves
            record_digest(path, digest_of(path, "sha256"))


def discard_unreadable(source: str) -> bool:
    """Removes the cached file of an address that turned out to be no weight file; gives whether there was one."""
    path = cache_path(source)
    there = path.is_file()
    for file in (path, record_path(path)):
        file.unlink(missing_ok=True)
    return there
