"""Images behind addresses (``s3://``, ``gs://``, ``https://`` and so on), by fsspec: listed and read as streams.

What may be secret in an address, a password or a query, is in no row, record or message.
"""

import time
from collections.abc import Callable, Iterator
from typing import IO, Any

from litevision.errors import FileMissingError, LitevisionError, UsageError, without_secrets
from litevision.image.files import FOLDER, IMAGE_SUFFIXES, PassedOver, is_left_behind
from litevision.image.sorted_names import SortedNames
from litevision.jobs.stored import Source, StoredImage
from litevision.remote import TransientError, scheme_of, told
from litevision.runtime.results import PreprocessedImage

_PAUSES_S = (0.5, 2.0)  # before a read is tried again
_BLOCK_BYTES = 4 * 2**20  # read ahead of what is listed in an archive


class Remote:
    """An object, a folder or a pattern behind an address.

    Args:
        address: with all that it takes to read it.
    """

    def __init__(self, address: str) -> None:
        import fsspec

        self.name = without_secrets(address)
        self._scheme = scheme_of(address)
        self._address = address
        with told(self.name):
            self._files, self._path = fsspec.core.url_to_fs(address)

    @property
    def is_web(self) -> bool:
        """Whether it stands for one object, as addresses of the web do."""
        return self._scheme in ("http", "https")

    def open(self) -> IO[bytes]:
        """The object as a file that is read from its beginning to its end, or anywhere where the server lets it.

        Raises:
            LitevisionError: it is not there, or cannot be reached.
        """
        with told(self.name):
            opened: IO[bytes] = self._files.open(self._path, "rb", block_size=_BLOCK_BYTES)
            return opened

    def image(self) -> StoredImage:
        """The object as an image, which is fetched when its turn comes."""
        return StoredImage(self.name, self._reader(self._path, self.name))

    @property
    def is_pattern(self) -> bool:
        """Whether a "*" in it stands for others."""
        return "*" in self._path and not self.is_web

    def matching(self) -> list[str]:
        """The addresses that the pattern fits, in their order.

        Raises:
            LitevisionError: none, or the server cannot be reached.
        """
        with told(self.name):
            found = sorted(self._files.glob(self._path))
        if not found:
            raise FileMissingError(f"{self.name}: no object has such a name. Check the pattern.")
        return list(map(self._address_of, found))

    def images(self, *, recursive: bool, passed_over: PassedOver) -> Iterator[Source]:
        """The images of a folder; an object stands for itself.

        Of one folder at a time the names are kept, as for folders of the disk.
        """
        try:
            with told(self.name):
                is_object = self.is_web or self._files.isfile(self._path)
                if not is_object and not self._files.isdir(self._path):
                    raise FileMissingError(f"{self.name}: no such object or folder. Check the address.")
        except LitevisionError as error:
            yield PreprocessedImage(self.name, error)
            return
        if is_object:
            yield self.image()
            return
        is_empty = True
        for it in self._walk(self._path.rstrip("/"), recursive=recursive, passed_over=passed_over):
            is_empty = False
            yield it
        if is_empty:
            kinds = f"; {passed_over}" if passed_over else ""
            yield PreprocessedImage(self.name, UsageError(f"{self.name}: no images in this folder{kinds}."))

    def _walk(self, folder: str, *, recursive: bool, passed_over: PassedOver) -> Iterator[Source]:
        names = SortedNames()
        try:
            with told(self._name_of(folder)):
                for path, is_folder in _entries(self._files, folder):
                    name = path.rstrip("/").rsplit("/", 1)[-1]
                    if is_left_behind(name):
                        continue
                    if is_folder:
                        if recursive:
                            names.add(f"{name}/")
                        else:
                            passed_over.add(FOLDER)
                    elif name.lower().endswith(IMAGE_SUFFIXES):
                        names.add(name)
                    else:
                        passed_over.add_file(name)
        except LitevisionError as error:
            yield PreprocessedImage(self._name_of(folder), error)
            return
        for name in names:
            path = f"{folder}/{name}"
            if name.endswith("/"):
                yield from self._walk(path[:-1], recursive=recursive, passed_over=passed_over)
            else:
                shown = self._name_of(path)
                yield StoredImage(shown, self._reader(path, shown))

    def _address_of(self, path: str) -> str:
        return path if scheme_of(path) else f"{self._scheme}://{path.lstrip('/')}"

    def _name_of(self, path: str) -> str:
        return without_secrets(self._address_of(path))

    def _reader(self, path: str, name: str) -> Callable[[int], bytes]:
        def read(most: int) -> bytes:
            with told(name):
                if not self.is_web:
                    data: bytes = self._files.cat_file(path, start=0, end=most)
                    return data
                with self._files.open(path, "rb", block_size=0) as file:  # one request, and no more than is asked for
                    blocks: list[bytes] = []
                    while (left := most - sum(map(len, blocks))) > 0 and (block := file.read(left)):
                        blocks.append(block)
                    return b"".join(blocks)

        return lambda most: _patiently(read, most)


def _patiently(read: Callable[[int], bytes], most: int) -> bytes:
    for pause_s in _PAUSES_S:
        try:
            return read(most)
        except TransientError:
            time.sleep(pause_s)
    return read(most)


def _entries(files: Any, folder: str) -> Iterator[tuple[str, bool]]:
    """What lies in a folder, and whether it is a folder; from S3 in pages, of which none is kept."""
    if not hasattr(files, "call_s3"):
        yield from ((it["name"], it["type"] == "directory") for it in files.ls(folder, detail=True))
        files.invalidate_cache(folder)
        return
    bucket, prefix, _ = files.split_path(f"{folder}/")
    page: dict[str, Any] = {}
    where = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/"}
    while True:
        page = files.call_s3("list_objects_v2", **where)
        yield from ((it["Prefix"], True) for it in page.get("CommonPrefixes", ()))
        yield from ((it["Key"], False) for it in page.get("Contents", ()) if it["Key"] != prefix)
        if not page.get("IsTruncated"):
            return
        where["ContinuationToken"] = page["NextContinuationToken"]
