"""Many images to answers, in order, with every core at work and memory bounded.

Each worker decodes a chunk of images and then runs the network on them itself, on one thread. Decoding and inference
so never wait for each other, no core idles while there is a chunk left, and the rate comes near to what decoding and
inference, measured alone, allow together: 1 / (1 / decode + 1 / inference). Both leave Python's lock alone while they
work (Pillow and the engines release it), so threads are enough.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

from litevision.errors import UsageError
from litevision.image import ImageLike
from litevision.runtime.classifier import Classifier, Naming, Prediction
from litevision.runtime.results import Found, PreprocessedImage, Result, answer

__all__ = [
    "BATCH_SIZE",
    "Input",
    "PreprocessedImage",
    "Result",
    "Work",
    "answer_chunks",
    "classify_chunks",
    "classify_stream",
]

# On one thread, MobileNetV2 at 224 takes 5.1, 4.9, 5.5, 6.6 and 7.6 ms of CPU an image in batches of 1, 4, 8, 16 and
# 32 in onnxruntime, and openvino's fp32 and bf16 have their best there too: larger batches leave the CPU's cache.
BATCH_SIZE = 4

Input = ImageLike | PreprocessedImage[Any] | None
"""An image; None says that there is none to read at this moment, so that what there is should be answered."""

Work = Callable[[Iterable[ImageLike | PreprocessedImage[Any]]], list[Result[Found]]]
"""What a worker does with a chunk of images: ``partial(answer, task)``, or that and more."""


def classify_stream(
    classifier: Classifier,
    sources: Iterable[Input],
    *,
    workers: int,
    top: int = 5,
    chunk: int = BATCH_SIZE,
) -> Iterator[Result[Prediction]]:
    """The likeliest classes of each of ``sources``, in their order, as soon as they are there.

    Never more than 2 chunks a worker are under way, however many images there are: ``sources`` is read as it is used.

    Args:
        classifier: its bundle opened with one thread and ``workers`` streams.
        sources: the images. A slow source (a camera, a list that grows) yields None where it would wait.
        workers: how many chunks are computed at once.
        top: how many classes of each; all where the model has fewer.
        chunk: how many images the network sees at once.

    Raises:
        UsageError: a count below 1.
    """
    return _flat(classify_chunks(classifier, sources, workers=workers, top=top, chunk=chunk))


def classify_chunks(
    classifier: Classifier,
    sources: Iterable[Input],
    *,
    workers: int,
    top: int = 5,
    chunk: int = BATCH_SIZE,
) -> Generator[list[Result[Prediction]]]:
    """The same answers, up to ``chunk`` at a time; arguments and errors as for `classify_stream`."""
    if min(workers, top, chunk) < 1:
        raise UsageError(f"workers {workers}, top {top} and chunk {chunk}; expected at least 1 of each.")
    return answer_chunks(partial(answer, Naming(classifier, top)), sources, workers=workers, chunk=chunk)


def answer_chunks(
    work: Work[Found], sources: Iterable[Input], *, workers: int, chunk: int = BATCH_SIZE
) -> Generator[list[Result[Found]]]:
    """What ``work`` makes of ``sources``, in their order, up to ``chunk`` at a time; else as `classify_stream`."""
    if min(workers, chunk) < 1:
        raise UsageError(f"workers {workers} and chunk {chunk}; expected at least 1 of each.")
    return _chunks(work, sources, workers, chunk)


def _flat(chunks: Generator[list[Result[Found]]]) -> Iterator[Result[Found]]:
    with closing(chunks):
        for part in chunks:
            yield from part


def _chunks(work: Work[Found], sources: Iterable[Input], workers: int, chunk: int) -> Generator[list[Result[Found]]]:
    executor = ThreadPoolExecutor(workers, thread_name_prefix="litevision")
    stop = threading.Event()
    pending: deque[Future[list[Result[Found]]]] = deque()
    part: list[ImageLike | PreprocessedImage[Any]] = []
    # 1, 2, 4, ...: a first answer comes soon, and the workers fall out of step, so that they do not all decode at one
    # time and all compute at another.
    size = 1
    try:
        for source in sources:
            if source is not None:
                part.append(source)
            if part and (source is None or len(part) == size):
                pending.append(executor.submit(work, _until(stop, part)))
                part, size = [], min(2 * size, chunk)
            while pending and (len(pending) >= 2 * workers or (source is None and pending[0].done())):
                yield pending.popleft().result()
        if part:
            pending.append(executor.submit(work, _until(stop, part)))
        while pending:
            yield pending.popleft().result()
    finally:
        # Whoever stops early, by an error or Ctrl-C, waits for the images at work alone.
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)


def _until(
    stop: threading.Event, sources: Sequence[ImageLike | PreprocessedImage[Any]]
) -> Iterator[ImageLike | PreprocessedImage[Any]]:
    for source in sources:
        if stop.is_set():
            raise CancelledError
        yield source
