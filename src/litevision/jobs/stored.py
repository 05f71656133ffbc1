"""Images of a job that are no files of their own: members of archives, cells of tables, objects behind addresses."""

from collections.abc import Callable
from typing import IO, Any

from litevision.runtime.results import PreprocessedImage

_HELD_BYTES = 4 * 2**20  # of an image that waits for its turn; what is larger waits in a temporary file


class StoredImage:
    """An image that is read when its turn comes; a `litevision.image.BinaryFile`.

    Args:
        name: what rows and messages call it.
        read: gives up to so many bytes of it.
        is_stream: whether it can be read only before the next image of the listing is asked for.
    """

    def __init__(self, name: str, read: Callable[[int], bytes], *, is_stream: bool = False) -> None:
        self.name = name
        self._read: Callable[[int], bytes] | None = read
        self._is_stream = is_stream
        self._held: IO[bytes] | None = None
        self._fault: Exception | None = None

    def hold(self, max_bytes: int) -> None:
        """Take what a stream gives now, up to ``max_bytes`` and one, so that `read` may be called later."""
        if not self._is_stream or self._read is None:
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


Source = str | StoredImage | PreprocessedImage[Any]
"""An image of a job: a path, one that is stored elsewhere, or the error in the place of one."""


def name_of(source: Source) -> str:
    """What rows and messages call an image."""
    return source if isinstance(source, str) else source.name
