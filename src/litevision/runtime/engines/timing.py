"""Timing of engines with interleaved calls, and comparison of their predictions."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import FileMissingError, ImageError
from litevision.image import ImageLike, Preprocess, shipped_images
from litevision.runtime.engines.base import Engine, Outputs

_TURNS = 5
# On images of clothes, for which ImageNet has few classes, bf16 changes 4 of 100 of MobileNetV2's answers: 4 images
# would show it in 15 of 100 cases, 64 in 93.
_MAX_SAMPLE = 64
_CHUNK = 8


def sample_images(preprocess: Preprocess, sources: Sequence[ImageLike] = ()) -> npt.NDArray[np.uint8]:
    """Preprocess up to 64 of ``sources``, or the images in the package, to ``uint8[N, H, W, 3]``.

    Those that cannot be read are passed over.
    """
    images = []
    for source in sources[:: max(1, math.ceil(len(sources) / _MAX_SAMPLE))]:
        try:
            images.append(preprocess(source))
        except (ImageError, FileMissingError):
            continue  # whoever wants its prediction will be told
    return np.stack(images) if images else preprocess.batch(shipped_images())


def count_changes(engine: Engine, reference: Engine, images_u8_nhwc: npt.NDArray[np.uint8]) -> int:
    """Count the images whose best class is another one than from ``reference``."""
    best, expected = (_best(each, images_u8_nhwc) for each in (engine, reference))
    return int((best != expected).sum())


def time_engines(
    engines: Sequence[Engine], batch_u8_nhwc: npt.NDArray[np.uint8], *, streams: int, seconds: float
) -> list[list[float]]:
    """Time how long each engine takes to run the batch in ``streams`` threads at once; returns seconds of each call.

    Args:
        engines: what to time.
        batch_u8_nhwc: what each call gets.
        streams: calls at once; a sample lasts until the last of them is done.
        seconds: measured time for each engine.
    """
    with ThreadPoolExecutor(streams) as pool:
        return interleaved([_work(engine, batch_u8_nhwc, streams, pool) for engine in engines], seconds)


def time_graphs(
    engines: Sequence[Engine], inputs: Mapping[str, npt.NDArray[Any]], *, streams: int, seconds: float
) -> list[list[float]]:
    """Time graphs of any inputs, given by name; else as `time_engines`."""
    with ThreadPoolExecutor(streams) as pool:

        def call(engine: Engine) -> Callable[[], object]:
            if streams == 1:
                return lambda: engine.run_named(inputs)
            return lambda: list(pool.map(engine.run_named, [inputs] * streams))

        return interleaved([call(engine) for engine in engines], seconds)


def interleaved(
    calls: Sequence[Callable[[], object]], seconds: float, *, clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Time each of ``calls`` over and over, for about ``seconds`` each; returns the seconds of each.

    Calls are interleaved, so that background load affects all of them equally. The first call of all makes threads and
    memory and is not counted, nor is the first of a short turn, which finds the caches full of the others' weights.
    """
    for call in calls:
        call()
    turn = seconds / _TURNS
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(_TURNS):
        for call, taken in zip(calls, samples, strict=True):
            if not taken or taken[-1] < turn:
                call()
            start = now = clock()
            while now == start or now - start < turn:
                before = clock()
                call()
                now = clock()
                taken.append(now - before)
    return samples


def _work(
    engine: Engine, batch_u8_nhwc: npt.NDArray[np.uint8], streams: int, pool: ThreadPoolExecutor
) -> Callable[[], object]:
    if streams == 1:
        return lambda: engine.run(batch_u8_nhwc)
    return lambda: list(pool.map(engine.run, [batch_u8_nhwc] * streams))


def _best(engine: Engine, images_u8_nhwc: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    chunks = (images_u8_nhwc[start : start + _CHUNK] for start in range(0, len(images_u8_nhwc), _CHUNK))
    return np.concatenate([_best_of(engine.run(chunk)) for chunk in chunks])


def _best_of(outputs: Outputs) -> npt.NDArray[np.intp]:
    """Find the likeliest class of each image, or that of its surest box."""
    return outputs["classes"][:, 0] if "classes" in outputs else next(iter(outputs.values())).argmax(-1)
