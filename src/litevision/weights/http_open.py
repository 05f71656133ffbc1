"""Open an address over HTTP: where a request may go, how long it may take, and which faults may pass.

Only ``https``, and ``http`` from this machine itself (for tests and local servers). A redirect may not leave that.
"""

import contextlib
import http.client
import queue
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from litevision.errors import DownloadError, reason_of

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_RETRY_AFTER_S = 30.0


@dataclass(frozen=True)
class Retry:
    """How often a transient error (a 5xx, a timeout, a broken connection) is retried, and how slow a server may be.

    Attributes:
        attempts: the first try included.
        first_wait_s: the wait after the first fault; it doubles each time.
        timeout_s: the longest silence of the server.
        least_bytes_per_s: what it must send on average, once ``patience_s`` have passed.
        patience_s: how long it may be slower, and how long it may take up to the end of its headers.
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


def open_in_time(request: urllib.request.Request, retry: Retry) -> http.client.HTTPResponse:
    """Opens an address within ``patience_s``: a limit of silence lets headers come a byte at a time for ever."""
    done: queue.SimpleQueue[http.client.HTTPResponse | BaseException] = queue.SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            outcome = _opener().open(request, timeout=retry.timeout_s)
        except BaseException as error:
            outcome = error
        done.put(outcome)
        if given_up.is_set() and not isinstance(outcome, BaseException):
            outcome.close()

    threading.Thread(target=work, daemon=True).start()
    try:
        outcome = done.get(timeout=max(retry.patience_s, retry.timeout_s))
    except queue.Empty:
        given_up.set()
        raise TransientError("the server is too slow: its headers did not end") from None
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


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
            raise DownloadError(f"the server redirects to a place that is not followed: {reason_of(error)}") from None
        if req.type == "https" and not newurl.lower().startswith("https:"):
            fp.close()
            raise DownloadError(f"the server redirects from https to {newurl!r}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def network_error(error: Exception) -> DownloadError:
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


def retry_after_s(error: urllib.error.HTTPError) -> float:
    """The wait that the server asks for, in seconds."""
    text = error.headers.get("Retry-After", "")
    return min(float(text), MAX_RETRY_AFTER_S) if text.isdecimal() else 0.0
