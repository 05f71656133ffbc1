"""onnxruntime-web: its files for one thread, from a folder or, once, by the user's own npm."""

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

from litevision.console import note
from litevision.errors import DownloadError, FileMissingError, HashMismatchError, without_secrets
from litevision.files import atomic_write, cache_folder, folder_beside

VERSION = "1.30.0"
MODULE, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
_SHA256 = {
    MODULE: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
_SHA512 = (  # of the package, as registries state it
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
_PACKAGE = f"onnxruntime-web@{VERSION}"
_LIMIT_S = 600
_BY_HAND = (
    f"Run 'npm pack {_PACKAGE}' where npm is, unpack the file, and give its folder behind --runtime: package/dist."
)
_VERSION_LINE = re.compile(rb"ONNX Runtime Web v([\w.-]+)")


class Runtime(NamedTuple):
    """The files of onnxruntime-web that a page needs.

    Attributes:
        module: its JavaScript.
        wasm: what that loads, which computes.
    """

    module: bytes
    wasm: bytes


def read_runtime(folder: Path | None = None) -> Runtime:
    """Read the files, fetching them by npm into the cache where they are not there yet.

    Args:
        folder: ``dist`` of the package, or a folder that holds it; None for those of `VERSION`.

    Raises:
        FileMissingError: a folder without the files.
        DownloadError: no npm, or it cannot fetch the package.
        HashMismatchError: npm fetched something else.
    """
    if folder is None:
        return _cached()
    for place in (folder, folder / "dist", folder / "package" / "dist"):
        if (place / MODULE).is_file() and (place / WASM).is_file():
            found = Runtime((place / MODULE).read_bytes(), (place / WASM).read_bytes())
            version = _VERSION_LINE.search(found.module[:1000])
            if version is not None and version[1].decode() != VERSION:
                note(f"onnxruntime-web {version[1].decode()} of {place}: pages are tested with {VERSION}.")
            return found
    raise FileMissingError(
        f"{folder}: {MODULE} and {WASM} are not both there; expected the folder dist of onnxruntime-web. {_BY_HAND}"
    )


def _cached() -> Runtime:
    folder = cache_folder() / "onnxruntime-web" / VERSION
    files = {name: folder / name for name in _SHA256}
    if all(path.is_file() for path in files.values()):
        found = {name: path.read_bytes() for name, path in files.items()}
        if all(hashlib.sha256(found[name]).hexdigest() == digest for name, digest in _SHA256.items()):
            return Runtime(found[MODULE], found[WASM])
    with tarfile.open(fileobj=io.BytesIO(_fetch(folder))) as package:
        for name, path in files.items():
            member = package.extractfile(f"package/dist/{name}")
            assert member is not None  # the digest of the package says so
            with atomic_write(path) as partial:
                partial.write_bytes(member.read())
    return Runtime(files[MODULE].read_bytes(), files[WASM].read_bytes())


def _fetch(folder: Path) -> bytes:
    """Fetch the package by npm, from wherever the user's npm is set to."""
    from litevision.weights.download import offline_by_environment

    npm = shutil.which("npm")
    if npm is None or offline_by_environment():
        why = "npm is not installed" if npm is None else "offline mode is on"
        raise DownloadError(f"{_PACKAGE}: not in the cache, and {why}. {_BY_HAND}")
    note(f"fetching {_PACKAGE} by npm (33 MB, once)")
    folder.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder / "package") as temporary:
        command = [npm, "pack", _PACKAGE, "--pack-destination", str(temporary), "--ignore-scripts", "--loglevel=error"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
            said = done.stderr
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        packages = list(temporary.glob("*.tgz"))
        if len(packages) != 1:
            why = without_secrets(next(iter(said.strip().splitlines()), "no file came"))
            raise DownloadError(f"{_PACKAGE}: npm cannot fetch it ({why}). {_BY_HAND}")
        data = packages[0].read_bytes()
    if (digest := hashlib.sha512(data).hexdigest()) != _SHA512:
        raise HashMismatchError(
            f"{_PACKAGE}: npm fetched a file with the sha512 {digest[:16]}..., expected {_SHA512[:16]}.... Nothing was "
            f"kept. Check what npm is set to (npm config get registry), or give --runtime."
        )
    return data
