"""Download one file over HTTP into a ``.part`` file: resumed where the server allows it, retried on transient errors.

Only ``https``, and ``http`` from this machine itself (for tests and local servers). A redirect may not leave that.
"""

import contextlib
import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from litevision import console
from litevision.errors import DownloadError

OnProgress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known

CHUNK_BYTES = 1 << 18
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
MAX_RETRY_AFTER_S = 30.0


@dataclass(frozen=True)
class Retry:
    """How often a transient error (a 5xx, a timeout, a broken connection) is retried.

    Attributes:
        attempts: the first try included.
        first_wait_s: the wait after the first fault; it doubles each time.
        timeout_s: the longest silence of the server.
        least_bytes_per_s: what it must send on average, once ``patience_s`` have passed.
        patience_s: how long it may be slower.
        sleep: what waits.
    """

    attempts: int = 4
    first_wait_s: float = 1.0
    timeout_s: float = 30.0
    least_bytes_per_s: float = 4096.0
    patience_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def waits_s(self) -> list[float]:
        """The wait after each attempt but the last."""
        return [self.first_wait_s * 2**index for index in range(self.attempts - 1)]


class TransientError(DownloadError):
    """A fault that may be gone at the next try."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class PartState(NamedTuple):
    """What is known of a ``.part`` file: where it came from, and the server's name for that version of the file."""

    url: str
    validator: str | None
    total_bytes: int | None


def check_url(url: str) -> None:
    """Raises ``DownloadError`` unless ``url`` may be fetched."""
    with contextlib.suppress(ValueError):  # of https://[, or a name of a host that is none
        parts = urllib.parse.urlsplit(url)
        (parts.hostname or "").encode("idna")
        if parts.scheme == "https" and parts.hostname:
            return
        if parts.scheme == "http" and parts.hostname in LOOPBACK:
            return
    raise DownloadError(f"only https addresses are fetched, got {url!r}")


def transfer(url: str, part: Path, sizes: range, *, retry: Retry, on_progress: OnProgress) -> None:
    """Writes the whole of ``url`` to ``part``, going on where an earlier try stopped.

    Args:
        url: an address that ``check_url`` lets pass.
        part: the file to write; what was known of it stands in a note beside it.
        sizes: the sizes in bytes that the file may have.
        retry: how to retry transient errors.
        on_progress: called with the bytes so far and the bytes in all, where the server says them.

    Raises:
        DownloadError: with the reason alone; the caller adds what to do. ``part`` stays for a later try, unless the
            server has moved on to another version or the size is wrong.
        OSError: the disk, not the network.
    """
    check_url(url)
    for wait_s in retry.waits_s():
        try:
            return _attempt(url, part, sizes, retry, on_progress)
        except TransientError as error:
            retry.sleep(max(wait_s, error.retry_after_s))
    return _attempt(url, part, sizes, retry, on_progress)


def discard(part: Path) -> None:
    """Removes a ``.part`` file with its note."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, sizes: range, retry: Retry, on_progress: OnProgress) -> None:
    state = _resumable(url, part)
    have_bytes = part.stat().st_size if state else 0
    if (
        state and have_bytes == state.total_bytes and have_bytes in sizes
    ):  # stopped between the last byte and the rename
        return
    headers = {"User-Agent": "litevision", "Accept-Encoding": "identity"}
    if state:
        headers["Range"] = f"bytes={have_bytes}-"
        if state.validator:
            headers["If-Range"] = state.validator
    with _open(urllib.request.Request(url, headers=headers), retry.timeout_s, part) as response:
        _check_kind(response)
        if state is None and response.status == http.HTTPStatus.PARTIAL_CONTENT:
            raise DownloadError("the server sent a part of the file, which nobody asked for")
        start = have_bytes if state and response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        total = _total_bytes(response, start, state, part)
        if total is not None and total not in sizes:
            discard(part)
            raise DownloadError(f"the server offers {total:,} bytes, expected {_sizes_text(sizes)}")
        _note(part).write_text(json.dumps(PartState(url, _validator(response), total)), encoding="utf-8")
        _copy(response, part, start, total, sizes, retry, on_progress)


def _resumable(url: str, part: Path) -> PartState | None:
    """The note of a ``.part`` file that can be continued; one that cannot is removed."""
    try:
        state = PartState(*json.loads(_note(part).read_text(encoding="utf-8")))
        have_bytes = part.stat().st_size
    except (OSError, ValueError, TypeError):
        state, have_bytes = None, 0
    # Without a name for the version, what is left may be another version's; a whole part is judged by its hash alone.
    if state and state.url == url and have_bytes and (state.validator or have_bytes == state.total_bytes):
        return state
    discard(part)
    return None


def _open(request: urllib.request.Request, timeout_s: float, part: Path) -> http.client.HTTPResponse:
    try:
        response: http.client.HTTPResponse = _opener().open(request, timeout=timeout_s)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"the server answered {error.code} {error.reason}"
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            discard(part)
            raise TransientError(reason) from error
        if error.code in PASSING_STATUS:
            raise TransientError(reason, _retry_after_s(error)) from error
        raise DownloadError(reason) from error
    except DownloadError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _network_error(error) from error
    except ValueError as error:  # a redirect to what is no address
        raise DownloadError(f"the server's answer cannot be read ({error})") from error


def _opener() -> urllib.request.OpenerDirector:
    """An opener that knows http and https alone, so that no redirect can reach a local file."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where a first request could go, and never from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            check_url(newurl)
        except DownloadError as error:
            fp.close()
            raise DownloadError(f"the server redirects to a place that is not followed: {error}") from None
        if req.type == "https" and not newurl.lower().startswith("https:"):
            fp.close()
            raise DownloadError(f"the server redirects from https to {newurl!r}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _network_error(error: Exception) -> DownloadError:
    """A fault of the connection in words, passing or not."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return TransientError("the server was silent for too long")
    reason = str(cause) or type(cause).__name__
    if isinstance(cause, ConnectionRefusedError | ssl.SSLCertVerificationError):
        return DownloadError(reason)
    if isinstance(cause, ConnectionError | http.client.HTTPException | ssl.SSLError):
        return TransientError(reason)
    return DownloadError(reason)


def _retry_after_s(error: urllib.error.HTTPError) -> float:
    text = error.headers.get("Retry-After", "")
    return min(float(text), MAX_RETRY_AFTER_S) if text.isdecimal() else 0.0


def _total_bytes(response: http.client.HTTPResponse, start: int, state: PartState | None, part: Path) -> int | None:
    """The size of the whole file, as the headers give it."""
    length = response.headers.get("Content-Length", "")
    size = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    if not start:
        return size
    found = re.fullmatch(
        r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", response.headers.get("Content-Range", "").strip()
    )
    if found is not None and state is not None:
        first, last = int(found[1]), int(found[2])
        total = None if found[3] == "*" else int(found[3])
        same_size = None in (total, state.total_bytes) or total == state.total_bytes
        whole = (total is None or last == total - 1) and size in (None, last - first + 1)
        if first == start and same_size and whole and _same_version(response, state):
            return total
    discard(part)
    raise TransientError("the server did not continue where the last try stopped")


def _same_version(response: http.client.HTTPResponse, state: PartState) -> bool:
    """Whether a part belongs to the version that was begun: only those may be joined (RFC 9110, 15.3.7.3)."""
    named = _validator(response)
    if state.validator is not None and state.validator.startswith('"'):  # an ETag, which a part has to repeat
        return named == state.validator
    return named in (None, state.validator)


def _check_kind(response: http.client.HTTPResponse) -> None:
    """Refuses an answer that cannot be the file: the login page of a network, or bytes packed once more."""
    if response.headers.get_content_type() == "text/html":
        raise DownloadError("the server sent a web page instead of the file (a login page of this network?)")
    packing = response.headers.get("Content-Encoding", "identity")
    if packing != "identity":
        raise DownloadError(f"the server sent the file packed with {packing}, which was not requested")


def _validator(response: http.client.HTTPResponse) -> str | None:
    """What names this version of the file in ``If-Range``; a weak ETag may not stand there (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _copy(
    response: http.client.HTTPResponse,
    part: Path,
    start: int,
    total: int | None,
    sizes: range,
    retry: Retry,
    on_progress: OnProgress,
) -> None:
    done, begun = start, time.monotonic()
    on_progress(done, total)
    with part.open("ab" if start else "wb") as out:
        while chunk := _read(response):
            done += len(chunk)
            if done >= sizes.stop:
                break
            out.write(chunk)
            on_progress(done, total)
            seconds = time.monotonic() - begun
            if seconds > retry.patience_s and done - start < retry.least_bytes_per_s * seconds:
                raise TransientError(f"the server sends less than {retry.least_bytes_per_s:,.0f} bytes a second")
    if total is not None and done < total:
        raise TransientError(f"the connection closed after {done:,} of {total:,} bytes")
    if done not in sizes:
        discard(part)
        raise DownloadError(f"the server sent {done:,} bytes or more, expected {_sizes_text(sizes)}")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK_BYTES)  # what is there: a whole chunk of a slow server takes for ever
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a chunk of -5 bytes
        raise TransientError(f"the connection broke: {str(error) or type(error).__name__}") from error


def _sizes_text(sizes: range) -> str:
    largest = sizes.stop - 1
    if sizes.start == largest:
        return f"{largest:,}"
    return f"{sizes.start:,} to {largest:,}"


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


@contextlib.contextmanager
def progress_display(label: str, *, show: bool) -> Iterator[OnProgress]:
    """Yields the callback that shows a download: a bar on a terminal, one line elsewhere, nothing if not ``show``."""
    if not show:
        yield lambda done, total: None
        return
    if not console.shows_progress():
        console.note(f"downloading {label}")
        yield lambda done, total: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
