"""Many pictures to answers, in order, with every core at work and memory bounded.

Each worker decodes a chunk of pictures and then runs the network on them itself, on one thread. Decoding and inference
so never wait for each other, no core idles while there is a chunk left, and the rate comes near to what decoding and
inference, measured alone, allow together: 1 / (1 / decode + 1 / inference). Both leave Python's lock alone while they
work (Pillow and the engines release it), so threads are enough.
"""

import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from litevision.errors import LitevisionError, UsageError
from litevision.image import Source
from litevision.runtime.classifier import Classifier, Prediction

CHUNK = 16  # pictures: larger ones gain under 2 % a picture and wait longer for the first answer


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one picture.

    Attributes:
        source: the picture as it was given.
        predictions: the likeliest classes, best first; empty where ``error`` is set.
        error: why it could not be read.
        ms: milliseconds of decoding it plus its share of its chunk's inference, on one thread.
    """

    source: Source
    predictions: tuple[Prediction, ...]
    error: LitevisionError | None
    ms: float


def classify_stream(
    classifier: Classifier,
    sources: Iterable[Source],
    *,
    workers: int,
    top: int = 5,
    chunk: int = CHUNK,
) -> Iterator[Answer]:
    """The answer to each of ``sources``, in their order, as soon as it is there.

    Never more than 2 chunks a worker are under way, however many pictures there are: ``sources`` is read as it is used.

    Args:
        classifier: its bundle opened with one thread and ``workers`` streams.
        workers: how many chunks are computed at once.
        top: how many classes of each; all where the model has fewer.
        chunk: how many pictures the network sees at once.

    Raises:
        UsageError: a count below 1.
    """
    if min(workers, top, chunk) < 1:
        raise UsageError(f"workers {workers}, top {top} and chunk {chunk}; expected at least 1 of each.")
    return _stream(classifier, iter(sources), workers, top, chunk)


def _stream(classifier: Classifier, sources: Iterator[Source], workers: int, top: int, chunk: int) -> Iterator[Answer]:
    executor = ThreadPoolExecutor(workers, thread_name_prefix="litevision")
    pending: deque[Future[list[Answer]]] = deque()
    try:
        for size in _chunk_sizes(chunk):
            part = list(itertools.islice(sources, size))
            if part:
                pending.append(executor.submit(_answer, classifier, part, top))
            if not pending:
                return
            # Once the window is full, or the sources have ended, the oldest chunk is due.
            if len(pending) >= 2 * workers or len(part) < size:
                yield from pending.popleft().result()
    finally:
        # Whoever stops early, by an error or Ctrl-C, waits for the chunks at work alone.
        executor.shutdown(wait=True, cancel_futures=True)


def _chunk_sizes(chunk: int) -> Iterator[int]:
    """1, 2, 4, ... up to ``chunk``, then ``chunk`` for ever: a first answer comes soon, and the workers fall out of
    step, so that they do not all decode at one time and all compute at another.
    """
    size = 1
    while True:
        yield min(size, chunk)
        size = min(2 * size, chunk)


def _answer(classifier: Classifier, sources: Sequence[Source], top: int) -> list[Answer]:
    size_hw = classifier.preprocess.size_hw
    batch_u8_nhwc = np.empty((len(sources), *size_hw, 3), np.uint8)
    decode_ms: list[float] = []
    errors: list[LitevisionError | None] = []
    readable = 0
    for source in sources:
        start = time.perf_counter()
        try:
            batch_u8_nhwc[readable] = classifier.preprocess(source)
            readable += 1
            errors.append(None)
        except LitevisionError as error:
            errors.append(error)
        decode_ms.append(1e3 * (time.perf_counter() - start))
    start = time.perf_counter()
    found = iter(classifier.best(batch_u8_nhwc[:readable], top) if readable else ())
    share_ms = 1e3 * (time.perf_counter() - start) / max(1, readable)
    return [
        Answer(source, (), error, ms) if error else Answer(source, tuple(next(found)), None, ms + share_ms)
        for source, error, ms in zip(sources, errors, decode_ms, strict=True)
    ]
