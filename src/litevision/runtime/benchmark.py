"""Engines, precisions, batch sizes and threads side by side on this machine."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from litevision.errors import LitevisionError, UsageError
from litevision.image import Source
from litevision.runtime.bundle import checked_metadata, read_bundle
from litevision.runtime.engines import Engine, EngineChoice, candidates, open_engine
from litevision.runtime.engines.timing import count_changes, sample_images, time_engines

_TIE = 1.05


@dataclass(frozen=True, slots=True)
class Row:
    """One engine, precision, batch size and number of threads.

    Attributes:
        engine: the engine.
        precision: its precision.
        version: the engine's name and version.
        batch_size: pictures in a batch.
        threads: threads that computed one batch.
        streams: batches at once.
        calls: how often the batch was timed.
        median_ms: milliseconds a batch.
        p95_ms: 95 of 100 took no longer.
        iqr_ms: the spread: what lies between the quarter that was slower and the quarter that was faster.
        images_per_s: pictures a second, at the median.
        changed: how many of the compared pictures get another best class than from the first engine.
        compared: how many pictures were compared.
    """

    engine: str
    precision: str
    version: str
    batch_size: int
    threads: int
    streams: int
    calls: int
    median_ms: float
    p95_ms: float
    iqr_ms: float
    images_per_s: float
    changed: int
    compared: int

    @property
    def title(self) -> str:
        """The engine and its precision."""
        return f"{self.engine} {self.precision}"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The rows, those of one number of threads and batch size together, and what they say in words."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def benchmark(
    path: Path,
    *,
    batch_sizes: Sequence[int] = (1, 8, 32),
    threads: Sequence[int | None] = (None,),
    streams: int = 1,
    engines: Sequence[str] = (),
    precisions: Sequence[str] = (),
    seconds: float = 1.0,
    sample: Sequence[Source] = (),
    opened_by: Callable[..., Engine] = open_engine,
    on_row: Callable[[Row], object] = lambda row: None,
) -> Benchmark:
    """What each engine takes for the bundle at ``path``; the engines take turns, and warming up is not counted.

    Args:
        path: the bundle.
        batch_sizes: pictures in a batch.
        threads: threads that compute a batch; None for all that this process may use.
        streams: batches at once, each from a thread of its own.
        engines: only these; where there are none, those that are installed.
        precisions: only these; where there are none, all.
        seconds: measured time for each row.
        sample: pictures to use; the photos that come with the package where there are none.
        opened_by: opens the engines.
        on_row: told of every row as soon as it is there.

    Raises:
        LitevisionError: as for `litevision.runtime.Bundle.open`, if not even one engine can be opened.
    """
    if min(batch_sizes, default=0) < 1:
        raise UsageError(f"batch sizes {list(batch_sizes)}; expected one at least, of 1 or more.")
    if not seconds > 0:
        raise UsageError(f"{seconds:g} seconds for each row; expected more than 0.")
    choices = [candidates(engines, precisions, threads=count, streams=streams) for count in threads]
    data = read_bundle(path)
    images_u8_nhwc = sample_images(checked_metadata(data, path).preprocess, sample)
    rows: list[Row] = []
    faults: dict[str, str] = {}
    for group in choices:
        opened = list(_opened(group, lambda choice: opened_by(data, choice, name=str(path)), faults))
        changed = [count_changes(engine, opened[0], images_u8_nhwc) for engine in opened]
        for batch_size in batch_sizes:
            batch_u8_nhwc = np.resize(images_u8_nhwc, (batch_size, *images_u8_nhwc.shape[1:]))
            timed = time_engines(opened, batch_u8_nhwc, streams=streams, seconds=seconds)
            for engine, taken, changes in zip(opened, timed, changed, strict=True):
                rows.append(_row(engine, batch_size, taken, changes, len(images_u8_nhwc)))
                on_row(rows[-1])
    return Benchmark(tuple(rows), (*faults.values(), *notes(rows)))


def notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """What ``rows`` say: which choice is quickest, which does not pay, and which changes answers.

    Differences of up to 5 % count as none. Every choice is compared with the first one.
    """
    return tuple([*_best(rows), *_against_the_first(rows), *_changes(rows)])
