"""Names in their order, in bounded memory however many there are: what exceeds a page waits in temporary files."""

import heapq
import os
from collections.abc import Iterable, Iterator
from typing import IO

_PAGE = 100_000  # names kept in memory: some 10 MB
_BLOCK_BYTES = 65_536


class SortedNames(Iterable[str]):
    """Collect names, then iterate over them in the order of their code points.

    Each full page is sorted and written to a temporary file of its own; iterating merges the files and the last page.
    A name that ends in ``/`` is that of a folder, and has its place by what stands before.

    Example:
        >>> names = SortedNames()
        >>> for name in ("b", "a-c", "a/"):
        ...     names.add(name)
        >>> list(names)
        ['a/', 'a-c', 'b']
    """

    def __init__(self) -> None:
        self._page: list[str] = []
        self._runs: list[IO[bytes]] = []

    def add(self, name: str) -> None:
        """Add a name, which has no NUL in it."""
        self._page.append(name)
        if len(self._page) == _PAGE:
            self._store_page()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, once: the temporary files are read to their ends and closed."""
        self._page.sort(key=_key)
        if not self._runs:
            yield from self._page
            return
        try:
            yield from heapq.merge(*map(_read, self._runs), self._page, key=_key)
        finally:
            for run in self._runs:
                run.close()

    def _store_page(self) -> None:
        import tempfile  # here: few folders hold so many

        self._page.sort(key=_key)
        run = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it is read
        run.write(b"".join(os.fsencode(name) + b"\0" for name in self._page))
        run.seek(0)
        self._runs.append(run)
        self._page.clear()


def _key(name: str) -> str:
    return name.removesuffix("/")


def _read(run: IO[bytes]) -> Iterator[str]:
    rest = b""
    while block := run.read(_BLOCK_BYTES):
        *names, rest = (rest + block).split(b"\0")
        yield from map(os.fsdecode, names)
