"""Streaming inference: many images to results, in order, on every core, in bounded memory.

Each worker decodes a batch of images and then runs the network on them itself, on one thread. Decoding and inference
so never wait for each other, no core idles while there is a batch left, and the rate comes near to what decoding and
inference, measured alone, allow together: 1 / (1 / decode + 1 / inference). Both leave Python's lock alone while they
work (Pillow and the engines release it), so threads are enough.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from litevision.errors import UsageError
from litevision.image import ImageLike
from litevision.runtime.predictor import BATCH_SIZE, Found
from litevision.runtime.results import PreprocessedImage, Result

__all__ = ["BATCH_SIZE", "Source", "Work", "stream_batches"]

Done = TypeVar("Done")

WORKER_NAME = "litevision"
"""How the names of the threads begin that compute batches."""

_GRACE_S = 5.0  # after which a worker that still waits for a pipe, or a disk that is gone, is left behind

Source = ImageLike | PreprocessedImage[Any] | None
"""An image; None says that there is none to read at this moment, so that what there is should be computed."""

Work = Callable[[Iterable[ImageLike | PreprocessedImage[Any]]], list[Result[Found]]]
"""What a worker does with a batch of images: `litevision.runtime.predictor.Inference.run`, or that and more."""


def stream_batches(
    work: Work[Found],
    sources: Iterable[Source],
    *,
    workers: int,
    batch_size: int = BATCH_SIZE,
    first_batch_size: int = 1,
) -> Generator[list[Result[Found]]]:
    """Run ``work`` on batches of ``sources`` in threads; yields the results in order, up to ``batch_size`` at a time.

    Never more than 2 batches a worker are under way, however many images there are: ``sources`` is read as it is used.

    Args:
        work: computes a batch of images, on one thread.
        sources: the images. A slow source (a camera, a list that grows) yields None where it would wait.
        workers: how many batches are computed at once.
        batch_size: how many images the network sees at once.
        first_batch_size: the same for the first batch; the next ones are twice as large each, up to ``batch_size``.

    Raises:
        UsageError: a count below 1.
    """
    if min(workers, batch_size) < 1:
        raise UsageError(f"workers {workers} and batch_size {batch_size}; expected at least 1 of each.")
    return _stream(work, sources, workers, batch_size, first_batch_size)


def _stream(
    work: Work[Found], sources: Iterable[Source], workers: int, batch_size: int, first_batch_size: int
) -> Generator[list[Result[Found]]]:
    pool: _Pool[list[Result[Found]]] = _Pool(workers)
    stop = threading.Event()
    pending: deque[Future[list[Result[Found]]]] = deque()
    part: list[ImageLike | PreprocessedImage[Any]] = []
    # 1, 2, 4, ...: a first result comes soon, and the workers fall out of step, so that they do not all decode at one
    # time and all compute at another.
    size = first_batch_size
    try:
        for source in sources:
            if source is not None:
                part.append(source)
            if part and (source is None or len(part) == size):
                pending.append(pool.submit(partial(work, _until(stop, part))))
                part, size = [], min(2 * size, batch_size)
            while pending and (len(pending) >= 2 * workers or (source is None and pending[0].done())):
                yield pending.popleft().result()
        if part:
            pending.append(pool.submit(partial(work, _until(stop, part))))
        while pending:
            yield pending.popleft().result()
    finally:
        # Whoever stops early, by an error or Ctrl-C, waits for the images at work alone, and for those only so long.
        stop.set()
        for future in pending:
            future.cancel()
        pool.close()


class _Pool(Generic[Done]):
    """Threads that compute one thing after another; none of them keeps the process from ending."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._threads: list[threading.Thread] = []
        self._tasks: SimpleQueue[tuple[Future[Done], Callable[[], Done]] | None] = SimpleQueue()

    def submit(self, task: Callable[[], Done]) -> Future[Done]:
        future: Future[Done] = Future()
        self._tasks.put((future, task))
        if len(self._threads) < self._workers:
            name = f"{WORKER_NAME}_{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
            self._threads[-1].start()
        return future

    def close(self) -> None:
        """Wait for the threads, but not for ever: one may wait itself, in a system call that nothing ends."""
        for _ in self._threads:
            self._tasks.put(None)
        until = time.monotonic() + _GRACE_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while item := self._tasks.get():
            future, task = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(task())
                except BaseException as error:
                    future.set_exception(error)
            del item, future, task  # results are not kept while there is nothing to do


def _until(
    stop: threading.Event, sources: Sequence[ImageLike | PreprocessedImage[Any]]
) -> Iterator[ImageLike | PreprocessedImage[Any]]:
    for source in sources:
        if stop.is_set():
            raise CancelledError
        yield source
