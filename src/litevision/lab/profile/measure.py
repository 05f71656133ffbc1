"""Measures what each layer of a file takes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from litevision.cost.graph import GraphLedger
from litevision.cost.graph.load import load_graph, with_functions_inlined
from litevision.errors import UsageError
from litevision.lab.profile.layers import not_run, rows_of
from litevision.lab.profile.microbenchmarks import named_ledger
from litevision.lab.profile.peaks import added_ms, is_free, measure_cost, measure_peaks
from litevision.lab.profile.recorders import Job, record
from litevision.lab.profile.timings import Peaks, Profile, TimeStats
from litevision.runtime.engines import EngineChoice, TensorInfo, open_engine
from litevision.runtime.machine import Machine

_TURNS = 9
_MOST_REPEATS = 1000  # onnxruntime's profiler keeps a million events


def profile_file(
    path: str | os.PathLike[str],
    choice: EngineChoice,
    *,
    title: str = "",
    batch: int = 1,
    size_hw: tuple[int, int] | None = None,
    repeats: int = 54,
    peaks: Peaks | None = None,
) -> Profile:
    """Measure what each layer of the ONNX file at ``path`` takes on this machine.

    Args:
        path: a bundle, or another graph with one input of pixels or numbers.
        choice: the engine and how it computes.
        title: what the profile calls the model; by default ``path``.
        batch: images in a batch.
        size_hw: of the images, for a file that leaves it open.
        repeats: runs with the profiler, and as many without it, in nine turns.
        peaks: of this machine; None to measure them.

    Raises:
        UsageError: no runs or too many, a precision that this engine does not have, an input that cannot be made up, or
            a graph that does not run the same kernels each time.
        FileMissingError, BundleError, UnsafeFileError: as for ``litevision.cost.graph.graph_ledger``.
        MissingExtraError: the engine is not installed.
    """
    if not 1 <= repeats <= _MOST_REPEATS:
        raise UsageError(f"{repeats} repeats; expected 1 to {_MOST_REPEATS}.")
    path, machine = Path(path), Machine.here()
    model = with_functions_inlined(load_graph(path), str(path))
    onnx.load_external_data_for_model(model, str(path.parent))  # where they lie, load_graph has looked at
    ledger = named_ledger(model, batch=batch, size_hw=size_hw)
    data = model.SerializeToString()
    engine = open_engine(data, choice, name=str(path))
    images = _made_up(engine.inputs, ledger, path)
    runs = -(-repeats // _TURNS)
    cost = measure_cost(choice)
    peaks = peaks or measure_peaks(choice, cost)
    job = Job(data, engine, ledger, images)
    if not is_free(choice):
        # The price differs by model. What half of the turns tell of it is taken off the others, so that the sum and the
        # whole run still check each other.
        (both,) = record([job], turns=2 * _TURNS, runs=runs)
        learnt, run = both.halves()
        cost = cost.scaled_to(max(0.0, added_ms(learnt)))
    else:
        (run,) = record([job], turns=_TURNS, runs=runs)
    return Profile(
        model=title or str(path),
        machine=machine,
        choice=choice,
        version=engine.version,
        input_shape=images.shape,
        rows=tuple(rows_of(run.recording, ledger, peaks, cost)),
        whole=TimeStats.of(run.whole_ms),
        profiled=TimeStats.of(run.recording.whole_ms),
        cost=cost,
        runs=_TURNS * runs,
        peaks=peaks,
        not_run=not_run(run.recording, ledger),
    )


def _made_up(inputs: Sequence[TensorInfo], ledger: GraphLedger, path: Path) -> npt.NDArray[Any]:
    """A batch of noise for the graph's input."""
    if len(inputs) != 1 or inputs[0].dtype not in ("uint8", "float"):
        raise UsageError(
            f"{path}: its inputs are {'; '.join(map(str, inputs)) or 'none'}; a batch is made up for one alone, of "
            "uint8 or float."
        )
    shape = ledger.input_shapes.get(inputs[0].name)
    if shape is None:
        raise UsageError(f"{path}: leaves the size of {inputs[0]} open. Give it with --size.")
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return noise if inputs[0].dtype == "uint8" else (noise / np.float32(127.5) - 1).astype(np.float32)
