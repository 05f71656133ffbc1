"""Addresses (``s3://``, ``gs://``, ``https://`` and so on) that fsspec reads and writes, and what goes wrong with them.

Folders there are fetched whole: a run to go on with, or data to train on, which the cache keeps.

What may be secret in one, a password or a query, is in no message.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from litevision import console
from litevision.errors import (
    DownloadError,
    FileMissingError,
    LitevisionError,
    MissingExtraError,
    UsageError,
    reason_of,
    without_secrets,
)
from litevision.files import cache_folder, folder_beside

_VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created")  # what tells an object from a later one
_SPARE_BYTES = 2**30  # that stay free on the disk
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


def local_data(data: str | os.PathLike[str]) -> Path:
    """The path of data; what lies at an address is fetched into the cache folder first, once for each state of it.

    Raises:
        FileMissingError: nothing lies at the address.
        UsageError: names that are none of files, or a disk without room.
        LitevisionError: it cannot be fetched.
    """
    address = os.fspath(data)
    if scheme_of(address) in (None, "file"):
        return Path(local_path(address))
    require_remote(address)
    shown = without_secrets(address).rstrip("/")
    files, root = file_system(address)
    with told(shown):
        is_file = bool(files.isfile(root))
        found: dict[str, Any] = {root: files.info(root)} if is_file else files.find(root, detail=True)
    if not found:
        raise FileMissingError(f"{shown}: no files there. Check the address.")
    parent = root.rpartition("/")[0] if is_file else root
    names = names_below(parent, found, shown)
    states = sorted(
        (name, info.get("size"), *(str(info.get(key)) for key in _VERSIONS if info.get(key)))
        for name, info in zip(names.values(), found.values(), strict=True)
    )
    digest = sha256(json.dumps([shown, states]).encode()).hexdigest()[:16]
    folder = cache_folder() / "data" / digest / (PurePosixPath(parent).name or "data")
    if not folder.exists():
        size = sum(info.get("size") or 0 for info in found.values())
        folder.parent.mkdir(parents=True, exist_ok=True)
        if size + _SPARE_BYTES > shutil.disk_usage(folder.parent).free:
            raise UsageError(
                f"{shown}: no room for {size / 1e9:.1f} GB in {cache_folder()}; make some, or set LITEVISION_CACHE to "
                "another folder"
            )
        console.note(f"fetching {shown}: {len(names):,} files, {size / 1e6:,.1f} MB")
        with folder_beside(folder) as partial:
            fetch(files, names, partial, shown)
            with suppress(OSError):  # another process was sooner, with the same
                partial.rename(folder)
    return folder / names[root] if is_file else folder


def file_system(address: str) -> tuple[Any, str]:
    """Fsspec's file system of an address, and the path in it; errors as of ``told``."""
    import fsspec

    with told(without_secrets(address)):
        files, root = fsspec.core.url_to_fs(address)
    return files, root.rstrip("/")


def names_below(root: str, found: Mapping[str, Any], shown: str) -> dict[str, str]:
    """The names that objects have below ``root``, by their paths.

    Raises:
        UsageError: one that leads somewhere else.
    """
    names = {path: path.removeprefix(root).lstrip("/") for path in found}
    for name in names.values():
        if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name:
            raise UsageError(f"{shown}: holds {name!r}, which is no name of a file; expected none such")
    return names


def fetch(files: Any, names: Mapping[str, str], folder: Path, shown: str) -> None:
    """Fetches objects into a folder, each under its name; errors as of ``told``."""
    for path, name in names.items():
        unfinished = folder / name
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        with told(f"{shown}/{name}"), files.open(path, "rb") as source, unfinished.open("wb") as copy:
            shutil.copyfileobj(source, copy, 2**20)


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
