"""Download one file over HTTP into a ``.part`` file: resumed where the server allows it, retried on faults."""

import contextlib
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from litevision import console
from litevision.errors import DownloadError, reason_of
from litevision.weights.http_open import Retry, TransientError, check_url, network_error, open_in_time, retry_after_s

OnProgress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known

CHUNK_BYTES = 1 << 18
PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)


class PartState(NamedTuple):
    """What is known of a ``.part`` file: where it came from, and the server's name for that version of the file."""

    url: str
    validator: str | None
    total_bytes: int | None


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
    with _open(urllib.request.Request(url, headers=headers), retry, part) as response:
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


def _open(request: urllib.request.Request, retry: Retry, part: Path) -> http.client.HTTPResponse:
    try:
        return open_in_time(request, retry)
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"the server answered {error.code} {error.reason}"
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            discard(part)
            raise TransientError(reason) from error
        if error.code in PASSING_STATUS:
            raise TransientError(reason, retry_after_s(error)) from error
        raise DownloadError(reason) from error
    except DownloadError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise network_error(error) from error
    except ValueError as error:  # a redirect to what is no address
        raise DownloadError(f"the server's answer cannot be read ({reason_of(error)})") from error


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
            if done == 0 and _is_markup(chunk):
                raise DownloadError("the server sent a web page instead of the file (a login page of this network?)")
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


def _is_markup(start: bytes) -> bool:
    """Whether a file that starts so is HTML or XML, which no weights are: a "<" with nothing but text behind it."""
    text = start[:256].removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<") and not re.search(rb"[\x00-\x08\x0e-\x1f]", text)


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK_BYTES)  # what is there: a whole chunk of a slow server takes for ever
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a chunk of -5 bytes
        raise TransientError(f"the connection broke: {reason_of(error)}") from error


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
