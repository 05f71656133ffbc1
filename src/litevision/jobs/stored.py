"""Images of a job that are no files of their own: members of archives, cells of tables, objects behind addresses."""

import io
from collections.abc import Callable
from typing import IO, Any

from litevision.image.sources import read_file
from litevision.runtime.results import PreprocessedImage

_HELD_BYTES = 4 * 2**20  # of an image that waits for its turn; what is larger waits in a temporary file


class StoredImage:
    """An image that is read when its turn comes; a `litevision.image.BinaryFile`.

    A pickle of it holds what was taken of it, or else how to read it.

    Args:
        name: what rows and messages call it.
        read: gives up to so many bytes of it.
        is_stream: whether it can be read only before the next image of the listing is asked for.
        file: the path of the file that it is read from, where there is one on this machine's disks.

    Attributes:
        held_bytes: how much of it was taken.
    """

    def __init__(self, name: str, read: Callable[[int], bytes], *, is_stream: bool = False, file: str = "") -> None:
        self.name = name
        self.is_stream = is_stream
        self.file = file
        self.held_bytes = 0
        self._read: Callable[[int], bytes] | None = read
        self._held: IO[bytes] | None = None
        self._fault: Exception | None = None

    def hold(self, max_bytes: int) -> None:
        """Take what there is now, up to ``max_bytes`` and one, so that `read` needs nothing else."""
        if self._read is None:
            return
        import tempfile

        read, self._read = self._read, None
        try:
            data = read(max_bytes + 1)
        except Exception as error:  # of this image, which is told when its turn comes
            self._fault = error
            return
        self._held = tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES)  # noqa: SIM115 - closed once it is read
        self._held.write(data)
        self._held.seek(0)
        self.held_bytes = len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Read the image, once."""
        if self._held is not None:
            with self._held as file:
                return file.read(size)
        if self._fault is not None:
            raise self._fault
        if self._read is None:
            raise ValueError("read twice")
        return self._read(size)

    def __del__(self) -> None:
        if self._held is not None:  # of a job that was stopped, or that another process has read
            self._held.close()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self._held is not None:
            state["_held"] = self._held.read()
            self._held.seek(0)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._held, bytes):
            self._held = io.BytesIO(self._held)


Source = str | StoredImage | PreprocessedImage[Any]
"""An image of a job: a path, one that is stored elsewhere, or the error in the place of one."""


def name_of(source: Source) -> str:
    """What rows and messages call an image."""
    return source if isinstance(source, str) else source.name


def file_of(source: Source) -> str:
    """The path of the file that an image is read from, when its turn comes; empty for what is no file here."""
    if isinstance(source, StoredImage):
        return source.file
    return source if isinstance(source, str) else ""


def held_here(source: Source, max_bytes: int) -> Source:
    """The image with what its file holds, up to ``max_bytes``, for a machine that does not see the file."""
    if isinstance(source, str):
        path = source
        source = StoredImage(path, lambda most: read_file(path, most - 1))
    if isinstance(source, StoredImage):
        source.hold(max_bytes)
    return source
