"""Addresses (``s3://``, ``gs://``, ``https://`` and so on) that fsspec reads and writes, and what goes wrong with them.

What may be secret in one, a password or a query, is in no message.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from litevision.errors import (
    DownloadError,
    FileMissingError,
    LitevisionError,
    MissingExtraError,
    UsageError,
    reason_of,
    without_secrets,
)

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(text: str) -> str | None:
    """The scheme of an address, in lower case; None for a path."""
    found = _ADDRESS.match(text)
    return found[1].lower() if found else None


def local_path(address: str) -> str:
    """The path that a ``file://`` address names."""
    return unquote(urlsplit(address).path) if scheme_of(address) == "file" else address


def require_remote(address: str) -> None:
    """Return if what reads and writes such addresses is installed.

    Raises:
        MissingExtraError: fsspec is not.
        UsageError: an unknown scheme, or one whose own package is missing.
    """
    from importlib.util import find_spec

    if find_spec("fsspec") is None:
        raise MissingExtraError.of(f"{without_secrets(address)}: reading addresses", "remote")
    import fsspec

    try:
        fsspec.get_filesystem_class(scheme_of(address))
    except (ImportError, ValueError) as error:
        raise UsageError(f"{without_secrets(address)}: cannot be read ({without_secrets(reason_of(error))}).") from None


class TransientError(DownloadError):
    """What may succeed when it is tried again."""


@contextmanager
def told(name: str, *, done: str = "fetched", use: str = "read") -> Iterator[None]:
    """Turn what fsspec and its file systems raise into errors of ours, without a secret.

    Args:
        name: what messages call the object.
        done: what was to be done to it, and could not be.
        use: what there may be no permission to do.

    Raises:
        LitevisionError: in place of whatever was raised.
    """
    try:
        yield
    except LitevisionError:
        raise
    except Exception as raised:
        raise _error_of(name, raised, done, use) from None


def _error_of(name: str, error: BaseException, done: str, use: str) -> LitevisionError:
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and _is_of_the_web(cause):
        error = cause  # fsspec takes every fault of a web server for a missing file
    if isinstance(error, (FileNotFoundError, IsADirectoryError)):
        return FileMissingError(f"{name}: no such object. Check the address.")
    if isinstance(error, PermissionError):
        return DownloadError(f"{name}: no permission to {use} it. Check the credentials.")
    status = getattr(error, "status", None)
    text = " ".join(without_secrets(str(getattr(error, "message", "") or error)).split())[:200]
    reason = f"HTTP {status}" if status else f"{type(error).__name__}: {text}".removesuffix(": ")
    kind = DownloadError if status and 400 <= status < 500 and status != 429 else TransientError
    return kind(f"{name}: could not be {done} ({reason}). Check the address and the network.")


def _is_of_the_web(error: Exception) -> bool:
    is_of_the_client = type(error).__module__.startswith("aiohttp") or isinstance(error, TimeoutError)
    return is_of_the_client and getattr(error, "status", None) not in (404, 410)
