"""Batches made of requests that arrive together, computed by one pool of threads for all models.

Each worker does whatever is most urgent: it runs the network on a batch that is full or has waited long enough, else it
decodes an image. So no core is idle while there is work, as in `litevision.runtime.pipeline`, and a batch is made of
images of any requests. Nothing waits in vain: where no image is left to decode, a batch goes at once.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from litevision.serving.errors import OverloadedError

WORKER_NAME = "litevision-serve"
_LAST_WAIT_S = 0.05  # at the end, other workers may finish what this one waits for


class Observer(Protocol):
    """What is told of the work, from the threads that do it."""

    def stage(self, model: str, stage: str, seconds: float) -> None:
        """One image or batch spent so long in ``decode``, ``queue`` or ``infer``."""

    def batch(self, model: str, size: int) -> None:
        """So many images were computed at once."""


@dataclass(eq=False)
class Lane:
    """One kind of work, whose images may be computed together.

    Attributes:
        model: the name of the model, for metrics.
        decode: makes the network's input of what was submitted; what it raises is that image's outcome.
        infer: computes several inputs at once, in order; None where decoding is all there is to do.
        ready: what is decoded and not yet computed, the oldest first.
        decoding: how many images are being decoded or wait for it.
    """

    model: str
    decode: Callable[[Any], Any]
    infer: Callable[[Sequence[Any]], Sequence[Any]] | None
    ready: "deque[_Item]" = field(default_factory=deque)
    decoding: int = 0


class Outcome:
    """What became of one image: ``value`` and the milliseconds that it took, or ``error``."""

    __slots__ = ("error", "ms", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.error: Exception | None = None
        self.ms = 0.0


class _Item(Outcome):
    __slots__ = ("job", "lane", "since")

    def __init__(self, lane: Lane, job: "_Job", source: Any, since: float) -> None:
        super().__init__()
        self.lane, self.job, self.value, self.since = lane, job, source, since


class _Job:
    """The images of one request."""

    __slots__ = ("future", "is_cancelled", "left", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, images: int) -> None:
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()
        self.left = images
        self.is_cancelled = False

    def wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Batcher:
    """The pool of workers, and what waits for them.

    Args:
        workers: how many threads; the engines compute each batch on one thread.
        max_batch: the most images of a batch.
        max_wait_s: how long a decoded image waits for others that are still being decoded.
        max_queue: the most images that wait to be decoded or computed, of all models.
        observer: is told of stages and batches.
    """

    def __init__(self, *, workers: int, max_batch: int, max_wait_s: float, max_queue: int, observer: Observer) -> None:
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._max_queue = max_queue
        self._observer = observer
        self._undecoded: deque[_Item] = deque()
        self._waiting = 0  # images that no network has begun to compute
        self._busy: list[Lane] = []  # those with decoded images
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{WORKER_NAME}_{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many images wait."""
        return self._waiting

    def is_full_for(self, images: int = 1) -> bool:
        """Whether so many more images would be refused."""
        return self._waiting + images > self._max_queue

    async def run(self, lane: Lane, sources: Sequence[Any]) -> list[Outcome]:
        """Decode and compute what one request brought; gives an outcome for each of ``sources``, in order.

        Where the caller is cancelled, what has not begun is left out.

        Raises:
            OverloadedError: more images would wait than may.
        """
        if not sources:
            return []
        job = _Job(asyncio.get_running_loop(), len(sources))
        now = time.perf_counter()
        items = [_Item(lane, job, source, now) for source in sources]
        with self._changed:
            if self._closed or self.is_full_for(len(items)):
                raise OverloadedError(self._waiting)
            self._waiting += len(items)
            lane.decoding += len(items)
            self._undecoded.extend(items)
            self._changed.notify(len(items))
        try:
            await job.future
        except asyncio.CancelledError:
            job.is_cancelled = True
            raise
        return list(items)

    def close(self, timeout_s: float) -> None:
        """Let the workers finish what waits, and wait for them so long."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while (task := self._next()) is not None:
            lane, items = task
            if lane is None:
                self._decode(items[0])
            else:
                self._infer(lane, items)
            del task, lane, items  # nothing is kept while there is nothing to do

    def _next(self) -> tuple[Lane | None, list[_Item]] | None:
        """Wait for the most urgent work: a lane with a batch of it, or an image to decode; None at the end."""
        with self._changed:
            while True:
                now = time.perf_counter()
                lane, wait_s = self._due(now)
                if lane is not None:
                    count = min(len(lane.ready), self._max_batch)
                    batch = [lane.ready.popleft() for _ in range(count)]
                    if not lane.ready:
                        self._busy.remove(lane)
                    self._waiting -= count
                    return lane, batch
                if self._undecoded:
                    return None, [self._undecoded.popleft()]
                if self._closed and not self._waiting:
                    return None
                self._changed.wait(_LAST_WAIT_S if self._closed else wait_s)

    def _due(self, now: float) -> tuple[Lane | None, float | None]:
        """The lane whose images should be computed now, or after how many seconds there may be one."""
        wait_s: float | None = None
        for lane in self._busy:
            left_s = self._max_wait_s - (now - lane.ready[0].since)
            if len(lane.ready) >= self._max_batch or not lane.decoding or left_s <= 0:
                return lane, None
            wait_s = left_s if wait_s is None else min(wait_s, left_s)
        return None, wait_s

    def _decode(self, item: _Item) -> None:
        lane, start = item.lane, time.perf_counter()
        self._observer.stage(lane.model, "queue", start - item.since)
        if not item.job.is_cancelled:
            try:
                item.value = lane.decode(item.value)
            except Exception as error:
                item.value, item.error = None, error
        item.since = time.perf_counter()
        item.ms = 1e3 * (item.since - start)
        self._observer.stage(lane.model, "decode", item.since - start)
        goes_on = item.error is None and lane.infer is not None and not item.job.is_cancelled
        with self._changed:
            lane.decoding -= 1
            if goes_on:
                if not lane.ready:
                    self._busy.append(lane)
                lane.ready.append(item)
            else:
                self._waiting -= 1
            self._changed.notify()
        if not goes_on:
            self._finish([item])

    def _infer(self, lane: Lane, items: list[_Item]) -> None:
        start = time.perf_counter()
        for item in items:
            self._observer.stage(lane.model, "queue", start - item.since)
        wanted = [item for item in items if not item.job.is_cancelled]
        self._compute(lane, wanted)
        seconds = time.perf_counter() - start
        if wanted:
            self._observer.stage(lane.model, "infer", seconds)
            self._observer.batch(lane.model, len(wanted))
        for item in wanted:
            item.ms += 1e3 * seconds / len(wanted)
        self._finish(items)

    def _compute(self, lane: Lane, items: list[_Item]) -> None:
        """Compute a batch; where that fails, each alone, so that one image's fault is not that of the others."""
        if lane.infer is None or not items:
            return
        try:
            for item, value in zip(items, lane.infer([item.value for item in items]), strict=True):
                item.value = value
        except Exception as error:
            if len(items) == 1:
                items[0].value, items[0].error = None, error
                return
            for item in items:
                self._compute(lane, [item])

    def _finish(self, items: list[_Item]) -> None:
        done: list[_Job] = []
        with self._changed:
            for item in items:
                item.job.left -= 1
                if not item.job.left:
                    done.append(item.job)
        for job in done:
            try:
                job.loop.call_soon_threadsafe(job.wake)
            except RuntimeError:  # the loop has ended, and with it whoever asked
                return
