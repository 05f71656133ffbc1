"""Choice of the fastest engine for a bundle on this machine: measured once and cached."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from litevision.errors import LitevisionError
from litevision.files import JsonCache, sha256_of
from litevision.image import ImageLike
from litevision.runtime.bundle import adapted, checked_metadata, files_of, kind_of, read_model
from litevision.runtime.engines import Engine, EngineChoice, Precision, candidates, open_engine
from litevision.runtime.engines.timing import count_changes, sample_images, time_engines
from litevision.runtime.machine import cpu_instructions, cpu_name, engine_versions
from litevision.runtime.schema import from_dict, to_dict

if TYPE_CHECKING:
    from litevision.runtime.model_folder import ModelFolder

FEW_IMAGES = 64
"""For fewer, measuring (a few seconds) costs more than any engine gains."""

_TIE = 1.05
_MEASURE_S = 0.3  # for each engine and precision


@dataclass(frozen=True, slots=True)
class Timing:
    """Measured times of one engine and precision.

    Attributes:
        engine: the engine.
        precision: its precision.
        ms: milliseconds an image, the median, with all streams at work.
        start_ms: milliseconds that importing the engine, loading the bundle and the first batch took.
        changed: how many of the sample images get another best class than from the first fp32 engine.
        compared: how many sample images there were.
    """

    engine: str
    precision: Precision
    ms: float
    start_ms: float
    changed: int
    compared: int

    def __str__(self) -> str:
        changes = f", but changes {self.changed} of {self.compared} answers" if self.changed else ""
        return f"{self.engine} {self.precision} {self.ms:.1f} ms{changes}"

    def total_ms(self, images: int | None) -> float:
        """Milliseconds for ``images`` with the start, or for one without it where nobody knows how many will come."""
        return self.ms if images is None else self.start_ms + images * self.ms


@dataclass(frozen=True, slots=True)
class Decision:
    """The chosen engine, and why, in words for the user."""

    choice: EngineChoice
    reason: str


Measure = Callable[["bytes | ModelFolder", Sequence[EngineChoice], npt.NDArray[np.uint8], int], list[Timing]]


def measure(
    data: "bytes | ModelFolder",
    choices: Sequence[EngineChoice],
    images_u8_nhwc: npt.NDArray[np.uint8],
    batch_size: int,
    *,
    opened_by: "Callable[[bytes | ModelFolder, EngineChoice], Engine] | None" = None,
) -> list[Timing]:
    """Time each of ``choices`` that this machine can run.

    Args:
        data: the bundle, or the folder of an export.
        choices: what to try, at least one in fp32 and that first.
        images_u8_nhwc: real images, for the batches and for comparing answers.
        batch_size: images in a batch.
        opened_by: opens the engines; by default as `litevision.runtime.Bundle.open` does.

    Raises:
        LitevisionError: none can.
    """
    opened_by = opened_by or _open
    batch_u8_nhwc = np.resize(images_u8_nhwc, (batch_size, *images_u8_nhwc.shape[1:]))
    engines: list[Engine] = []
    start_ms: dict[str, float] = {}  # the longest: the first of an engine's precisions imports it for the others
    fault: LitevisionError | None = None
    for choice in choices:
        start = time.perf_counter()
        try:
            engine = opened_by(data, choice)
            engine.run(batch_u8_nhwc)
        except LitevisionError as error:  # not installed whole, or a precision that this CPU does not have
            fault = fault or error
            continue
        taken_ms = 1e3 * (time.perf_counter() - start)
        start_ms[choice.name] = max(taken_ms, start_ms.get(choice.name, 0.0))
        engines.append(engine)
    if not engines:
        raise fault or ValueError("no choices")
    streams = choices[0].streams
    seconds = time_engines(engines, batch_u8_nhwc, streams=streams, seconds=_MEASURE_S)
    return [
        Timing(
            engine.choice.name,
            engine.choice.precision,
            ms=1e3 * median(taken) / (batch_size * streams),
            start_ms=start_ms[engine.choice.name],
            changed=count_changes(engine, engines[0], images_u8_nhwc),
            compared=len(images_u8_nhwc),
        )
        for engine, taken in zip(engines, seconds, strict=True)
    ]


def _open(data: "bytes | ModelFolder", choice: EngineChoice) -> Engine:
    metadata = checked_metadata(data, Path("the bundle")) if isinstance(data, bytes) else data.metadata
    return adapted(open_engine(data, choice), metadata)


def choose(
    path: str | os.PathLike[str],
    batch_size: int = 1,
    *,
    precision: str | None = None,
    threads: int | None = None,
    streams: int = 1,
    device: str = "cpu",
    images: int | None = None,
    sample: Sequence[ImageLike] = (),
    measured_by: Measure = measure,
) -> Decision:
    """Choose the fastest way on this machine to compute the bundle at ``path`` that changes no prediction.

    Args:
        path: the bundle.
        batch_size: images in a batch.
        precision: only this one; any where it is None.
        threads: as for `litevision.runtime.Bundle.open`.
        streams: as for `litevision.runtime.Bundle.open`.
        device: as for `litevision.runtime.Bundle.open`.
        images: how many there will be, where that is known: a few do not repay measuring or a slow start.
        sample: images to compare answers on, as for `litevision.runtime.engines.timing.sample_images`.
        measured_by: measures what is not remembered.

    Raises:
        LitevisionError: as for `litevision.runtime.Bundle.open`.
    """
    path = Path(path)
    precisions = () if precision is None else (precision,)
    choices = candidates(precisions=precisions, threads=threads, streams=streams, device=device, reads=kind_of(path))
    data, metadata = read_model(path)
    if metadata.finds_boxes:
        choices = [choice for choice in choices if choice.precision == choices[0].precision]  # answers of no one class
    if len(choices) == 1:
        return Decision(choices[0], f"{choices[0].title} (the only one here)")
    cache = JsonCache("engines", _key(sha256_of(files_of(path)[0]), choices, batch_size))
    timings, when = _load(cache, choices), "measured earlier"
    if not timings:
        if images is not None and images < FEW_IMAGES:
            return Decision(choices[0], f"{choices[0].title} (measuring does not pay for {images} images)")
        timings = measured_by(data, choices, sample_images(metadata.preprocess, sample), batch_size)
        when = _store(cache, timings)
    best, why = decide(timings, images)
    (choice,) = (each for each in choices if (each.name, each.precision) == (best.engine, best.precision))
    return Decision(choice, f"{choice.title} ({why}; {when})")


def decide(timings: Sequence[Timing], images: int | None = None) -> tuple[Timing, str]:
    """Choose the fastest of ``timings`` that changes no prediction; also return the figures for and against it.

    Within 5 % the earlier one is taken, so they should stand with the most exact first.
    """
    exact = [timing for timing in timings if not timing.changed]
    least_ms = min(timing.total_ms(images) for timing in exact)
    best = next(timing for timing in exact if timing.total_ms(images) <= _TIE * least_ms)
    alike = f", best classes as in fp32 on {best.compared} images" if best.precision != "fp32" else ""
    figures = [f"{best.ms:.1f} ms an image{alike}", *(str(timing) for timing in timings if timing is not best)]
    if best.ms > _TIE * min(timing.ms for timing in exact):
        figures.append(f"{images} images do not repay a slower start")
    return best, "; ".join(figures)


def _key(sha256: str, choices: Sequence[EngineChoice], batch_size: int) -> dict[str, Any]:
    """Return the cache key: all that the timings depend on."""
    return {
        "cpu": cpu_name(),
        "instructions": cpu_instructions(),
        "cores": os.cpu_count(),
        "engines": engine_versions(),
        "bundle": sha256,
        "batch_size": batch_size,
        "choices": [to_dict(choice) for choice in choices],
    }


def _load(cache: JsonCache, choices: Sequence[EngineChoice]) -> list[Timing]:
    """Return the timings in ``cache``; none where it holds nothing that can be used for ``choices``."""
    stored, issues = cache.load(), list[str]()
    timings = [from_dict(Timing, item, "", issues) for item in stored] if isinstance(stored, list) else []
    known = {(choice.name, choice.precision) for choice in choices}
    usable = not issues and all((timing.engine, timing.precision) in known for timing in timings)
    return timings if usable and any(not timing.changed for timing in timings) else []


def _store(cache: JsonCache, timings: Sequence[Timing]) -> str:
    """Store the timings, and return in words whether that worked."""
    try:
        cache.store([to_dict(timing) for timing in timings])
    except OSError as error:
        return f"measured, but not remembered: {cache.path.parent} cannot be written ({error.strerror})"
    return "measured once, remembered"
