"""Budget of memory that all threads of the process share while they decode images."""

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SMALL_BYTES = 64 * 2**20
"""What takes less is of no account beside the budget."""


class MemoryBudget:
    """Bytes that threads take and give back; whoever asks for more than is left waits.

    - What is larger than the whole budget is let in alone among the large ones.
    - A thread that holds some already never waits: whoever it would wait for may be waiting for it.
    - Small amounts go past large ones that wait, so that a few huge images do not hold up a folder.

    Example:
        >>> budget = MemoryBudget(100)
        >>> with budget.reserve(70):
        ...     budget.held_bytes
        70
        >>> budget.held_bytes
        0
    """

    def __init__(self, limit_bytes: int, small_bytes: int = SMALL_BYTES) -> None:
        """Takes the budget, and what counts as small."""
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._small_bytes = small_bytes
        self._held_large = 0  # how many of them
        self._waiting: deque[object] = deque()  # large ones, in their order
        self._changed = threading.Condition()
        self._mine = threading.local()

    @contextmanager
    def reserve(self, size_bytes: int) -> Iterator[None]:
        """Hold ``size_bytes`` inside the with block; wait before until they are there."""
        is_large = size_bytes > self._small_bytes
        self._take(size_bytes, is_large)
        try:
            yield
        finally:
            self._give(size_bytes, is_large)

    def _take(self, size_bytes: int, is_large: bool) -> None:
        depth = getattr(self._mine, "depth", 0)
        with self._changed:
            if depth == 0 and is_large:
                turn = object()
                self._waiting.append(turn)
                try:
                    self._changed.wait_for(lambda: self._waiting[0] is turn and self._fits(size_bytes))
                finally:  # also where Ctrl-C ends the waiting
                    self._waiting.remove(turn)
                    self._changed.notify_all()
            elif depth == 0:
                self._changed.wait_for(lambda: self._fits(size_bytes))
            self.held_bytes += size_bytes
            self._held_large += is_large
        self._mine.depth = depth + 1

    def _give(self, size_bytes: int, is_large: bool) -> None:
        self._mine.depth -= 1
        if is_large:
            return_free_memory()
        with self._changed:
            self.held_bytes -= size_bytes
            self._held_large -= is_large
            self._changed.notify_all()

    def _fits(self, size_bytes: int) -> bool:
        if self.held_bytes + size_bytes <= self.limit_bytes:
            return True
        return self.held_bytes == 0 or (size_bytes > self.limit_bytes and self._held_large == 0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    import ctypes

    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc, which alone needs it
        return None
    return trim


def return_free_memory() -> None:
    """Give what was freed back to the system: glibc keeps some of it for each thread, which adds up."""
    trim = _malloc_trim()
    if trim:
        trim(0)


FILE_BYTES = MemoryBudget(256 * 2**20)
"""Of files that are read to be decoded at once. Whoever needs both asks for this one first."""
PIXELS = MemoryBudget(2**30)
"""Of decoded pixels, from the file to the network's input."""
