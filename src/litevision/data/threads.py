"""The same work on many files, on several threads."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_CHUNK = 16  # enough that handing the work out costs nothing beside reading files
_MAX_WORKERS = 8  # each may hold a decoded image


def in_threads(function: Callable[[_In], _Out], items: Sequence[_In], *, workers: int | None = None) -> Iterator[_Out]:
    """``function`` of each of ``items``, in their order, with few of them under way at a time.

    Args:
        function: waits for files, or leaves Python's lock alone as Pillow does.
        items: what it is called with.
        workers: threads; by default one for each processor, up to 8.
    """
    workers = workers or min(_MAX_WORKERS, os.cpu_count() or 1)
    executor = ThreadPoolExecutor(workers, thread_name_prefix="litevision")
    pending: deque[Future[list[_Out]]] = deque()
    try:
        for start in range(0, len(items), _CHUNK):
            part = items[start : start + _CHUNK]
            pending.append(executor.submit(lambda part: [function(item) for item in part], part))
            if len(pending) >= 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
