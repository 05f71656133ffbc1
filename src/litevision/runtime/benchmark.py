"""Benchmark of engines, precisions, batch sizes and threads, side by side on this machine."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from litevision.errors import LitevisionError, UsageError
from litevision.image import ImageLike
from litevision.runtime.bundle import adapted, check_foreign, is_bundle, kind_of, read_bundle, read_model
from litevision.runtime.engines import Engine, EngineChoice, Precision, TensorInfo, candidates, open_engine
from litevision.runtime.engines.made_up import made_up_inputs
from litevision.runtime.engines.timing import count_changes, sample_images, time_engines, time_graphs
from litevision.runtime.onnx_header import read_header

_TIE = 1.05
_SIZE_HW = (224, 224)
_CHANNELS = (1, 3, 4)
_QUANTISED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger", "QGemm"}


@dataclass(frozen=True, slots=True)
class BenchmarkRow:
    """Times of one engine, precision, batch size and number of threads.

    Attributes:
        engine: the engine.
        precision: its precision.
        version: the engine's name and version.
        batch_size: images in a batch.
        threads: threads that computed one batch.
        streams: batches at once.
        calls: how often the batch was timed.
        median_ms: milliseconds a batch.
        p95_ms: 95 of 100 took no longer.
        iqr_ms: the spread: what lies between the quarter that was slower and the quarter that was faster.
        images_per_s: images a second, at the median.
        changed: how many of the compared images get another best class than from the first engine.
        compared: how many images were compared.
        device: what computed it.
    """

    engine: str
    precision: Precision
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
    device: str = "cpu"

    @property
    def title(self) -> str:
        """The engine, its precision and any device but the CPU."""
        return EngineChoice(self.engine, self.precision, device=self.device).title


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Result of a benchmark: rows, grouped by number of threads and batch size, and conclusions in words."""

    rows: tuple[BenchmarkRow, ...]
    notes: tuple[str, ...]


def benchmark(
    path: Path,
    *,
    batch_sizes: Sequence[int] = (1, 8, 32),
    threads: Sequence[int | None] = (None,),
    streams: int = 1,
    engines: Sequence[str] = (),
    precisions: Sequence[str] = (),
    device: str = "auto",
    seconds: float = 1.0,
    sample: Sequence[ImageLike] = (),
    size_hw: tuple[int, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    opened_by: Callable[..., Engine] = open_engine,
    on_row: Callable[[BenchmarkRow], object] = lambda row: None,
) -> Benchmark:
    """Time the file at ``path`` in each engine; calls are interleaved, and warming up is not counted.

    Args:
        path: a bundle, an export for another runtime, or any ONNX file, whose inputs are then made up.
        batch_sizes: images in a batch.
        threads: threads that compute a batch; None for all that this process may use.
        streams: batches at once, each from a thread of its own.
        engines: only these; where there are none, those that are installed.
        precisions: only these; where there are none, all.
        device: as for `litevision.runtime.Bundle.open`.
        seconds: measured time for each row.
        sample: images to use; the images that come with the package where there are none.
        size_hw: of the images, px, for a file of another's making that leaves it open; 224 by default.
        shapes: of inputs by name, for what else such a file leaves open.
        opened_by: opens the engines.
        on_row: told of every row as soon as it is there.

    Raises:
        LitevisionError: as for `litevision.runtime.Bundle.open`, if not even one engine can be opened.
    """
    if min(batch_sizes, default=0) < 1:
        raise UsageError(f"batch sizes {list(batch_sizes)}; expected one at least, of 1 or more.")
    if not seconds > 0:
        raise UsageError(f"{seconds:g} seconds for each row; expected more than 0.")
    reads = kind_of(path)
    choices = [
        candidates(engines, precisions, threads=count, streams=streams, device=device, reads=reads) for count in threads
    ]
    if reads == ".onnx" and not is_bundle(unknown := read_bundle(path)):
        check_foreign(unknown, path)
        foreign = _Foreign(path, size_hw, dict(shapes or {}))
        return _benchmark_foreign(unknown, foreign, choices, batch_sizes, streams, seconds, opened_by, on_row)
    data, metadata = read_model(path)
    images_u8_nhwc = sample_images(metadata.preprocess, sample)
    rows: list[BenchmarkRow] = []
    faults: dict[str, str] = {}
    for group in choices:
        found = _opened(group, functools.partial(opened_by, data, name=str(path)), faults)
        opened = [adapted(engine, metadata) for engine in found]
        changed = [count_changes(engine, opened[0], images_u8_nhwc) for engine in opened]
        for batch_size in batch_sizes:
            batch_u8_nhwc = np.resize(images_u8_nhwc, (batch_size, *images_u8_nhwc.shape[1:]))
            timed = time_engines(opened, batch_u8_nhwc, streams=streams, seconds=seconds)
            for engine, taken, changes in zip(opened, timed, changed, strict=True):
                rows.append(_row(engine, batch_size, taken, changes, len(images_u8_nhwc)))
                on_row(rows[-1])
    return Benchmark(tuple(rows), (*faults.values(), *notes(rows)))


@dataclass(frozen=True)
class _Foreign:
    """A file of another's making, and what closes the axes that it leaves open."""

    path: Path
    size_hw: tuple[int, int] | None
    shapes: dict[str, Sequence[int]]

    def shape(self, given: TensorInfo, batch_size: int) -> tuple[int, ...] | None:
        """The shape of an input for a batch; None where something stays open."""
        if given.name in self.shapes or ("" in self.shapes and len(self.shapes) == 1):
            return tuple(self.shapes.get(given.name, self.shapes.get("", ())))
        sides = list(given.shape)
        if sides and sides[0] is None:
            sides[0] = batch_size
        if len(sides) == 4:
            places = (1, 2) if sides[3] in _CHANNELS and sides[1] not in _CHANNELS else (2, 3)
            for place, side in zip(places, self.size_hw or _SIZE_HW, strict=True):
                sides[place] = side if sides[place] is None else sides[place]
        return None if None in sides else tuple(side for side in sides if side is not None)

    def notes(self, data: bytes, inputs: Sequence[TensorInfo]) -> Iterator[str]:
        """Say what was assumed."""
        images = [each for each in inputs if len(each.shape) == 4 and each.name not in self.shapes]
        is_open = any(None in each.shape[1:] for each in images)
        if is_open and self.size_hw is None and "" not in self.shapes:
            yield "the file leaves its images' size open; measured at 224x224, --size sets another"
        if read_header(data).op_types & _QUANTISED:
            yield "the file's own numbers are whole ones in part (int8); the precision is that of the others"


def _benchmark_foreign(
    data: bytes,
    file: _Foreign,
    choices: Sequence[Sequence[EngineChoice]],
    batch_sizes: Sequence[int],
    streams: int,
    seconds: float,
    opened_by: Callable[..., Engine],
    on_row: Callable[[BenchmarkRow], object],
) -> Benchmark:
    """Time a file without metadata of ours; answers are not compared, for nobody knows what they mean."""
    rows: list[BenchmarkRow] = []
    said: dict[str, str] = {}
    for group in choices:
        opened = _opened(group, functools.partial(opened_by, data, name=str(file.path)), said)
        given = opened[0].inputs
        said |= {line: line for line in file.notes(data, given)}
        fixed = next((each.shape[0] for each in given if each.shape and each.shape[0] is not None), None)
        if fixed is not None or file.shapes:
            sizes: Sequence[int] = [fixed or 1]
            if list(batch_sizes) != sizes:
                said["batch"] = f"the inputs have a fixed batch of {fixed or 1}: other batch sizes are left out"
        else:
            sizes = batch_sizes
        for batch_size in sizes:
            inputs = made_up_inputs(given, {each.name: file.shape(each, batch_size) for each in given}, file.path)
            timed = time_graphs(opened, inputs, streams=streams, seconds=seconds)
            for engine, taken in zip(opened, timed, strict=True):
                rows.append(_row(engine, batch_size, taken, 0, 0))
                on_row(rows[-1])
    return Benchmark(tuple(rows), (*said.values(), *notes(rows)))


def notes(rows: Sequence[BenchmarkRow]) -> tuple[str, ...]:
    """Summarise rows: what is fastest, what gains nothing, and what changes predictions.

    Every engine and precision is compared with the first one. Differences of up to 5 % count as none.
    """
    return (*_quickest(rows), *_against_the_first(rows), *_changes(rows))


def _opened(
    choices: Sequence[EngineChoice], opened_by: Callable[[EngineChoice], Engine], faults: dict[str, str]
) -> list[Engine]:
    """Open the engines that this machine has; why the others do not open goes into ``faults``."""
    opened = []
    first: LitevisionError | None = None
    for choice in choices:
        try:
            opened.append(opened_by(choice))
        except LitevisionError as error:
            first = first or error
            faults[choice.title] = f"{choice.title} is left out: {error}"
    if first and not opened:
        raise first
    return opened


def _row(engine: Engine, batch_size: int, taken: Sequence[float], changed: int, compared: int) -> BenchmarkRow:
    quarter, half, three_quarters, p95 = (1e3 * float(it) for it in np.percentile(taken, (25, 50, 75, 95)))
    choice = engine.choice
    return BenchmarkRow(
        choice.name,
        choice.precision,
        engine.version,
        batch_size,
        choice.threads,
        choice.streams,
        calls=len(taken),
        median_ms=half,
        p95_ms=p95,
        iqr_ms=three_quarters - quarter,
        images_per_s=1e3 * batch_size * choice.streams / half,
        changed=changed,
        compared=compared,
        device=choice.device,
    )


def _quickest(rows: Sequence[BenchmarkRow]) -> Iterator[str]:
    alone = [row for row in rows if row.batch_size == 1]
    if alone:
        best = min(alone, key=lambda row: row.median_ms)
        yield f"one image is answered soonest by {best.title} on {_threads(best)}: {best.median_ms:.1f} ms"
    best = max(rows, key=lambda row: row.images_per_s)
    yield (
        f"the most images a second, {best.images_per_s:.0f}, come from {best.title} on {_threads(best)} "
        f"in batches of {best.batch_size}"
    )


def _threads(row: BenchmarkRow) -> str:
    threads = f"{row.threads} thread{'s' if row.threads > 1 else ''}"
    return threads if row.streams == 1 else f"{row.streams} times {threads}"


def _against_the_first(rows: Sequence[BenchmarkRow]) -> Iterator[str]:
    """Compare every choice with the first: a line for each that is no faster in some rows, or in all."""
    first = {(row.threads, row.batch_size): row for row in reversed(rows)}
    base = rows[0].title
    for title in dict.fromkeys(row.title for row in rows if row.title != base):
        compared = [(row, first[row.threads, row.batch_size]) for row in rows if row.title == title]
        slower = [row for row, other in compared if row.median_ms > _TIE * other.median_ms]
        same = [row for row, other in compared if row not in slower and _TIE * row.median_ms >= other.median_ms]
        if same:
            yield f"{title} gains nothing over {base} here (within 5 %){_where(same, compared)}"
        if slower:
            yield f"{title} is slower than {base} here{_where(slower, compared)}"


def _where(rows: Sequence[BenchmarkRow], compared: Sequence[object]) -> str:
    if len(rows) == len(compared):
        return ""
    return " with " + ", ".join(f"batch {row.batch_size} on {_threads(row)}" for row in rows)


def _changes(rows: Sequence[BenchmarkRow]) -> list[str]:
    changed = (f"{row.title} changes {row.changed} of {row.compared} answers" for row in rows if row.changed)
    return list(dict.fromkeys(changed))
