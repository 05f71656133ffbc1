"""Measures what each layer of a file takes."""

import os
from pathlib import Path

from litevision.cost.graph import InputShapes
from litevision.cost.graph.load import load_graph, with_functions_inlined
from litevision.errors import UsageError
from litevision.lab.onnx_builder import serialised
from litevision.lab.profile.layers import is_overcorrected, not_run, rows_of
from litevision.lab.profile.microbenchmarks import named_graph
from litevision.lab.profile.peaks import added_ms, is_free, measure_cost, measure_peaks
from litevision.lab.profile.recorders import Job, record
from litevision.lab.profile.timings import Peaks, Profile, ProfilerCost, TimeStats
from litevision.runtime.bundle import check_foreign
from litevision.runtime.engines import EngineChoice, open_engine
from litevision.runtime.engines.made_up import made_up_inputs
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
    shapes: InputShapes | None = None,
    repeats: int = 54,
    peaks: Peaks | None = None,
) -> Profile:
    """Measure what each layer of the ONNX file at ``path`` takes on this machine.

    Args:
        path: a bundle, or another graph; its inputs are made up.
        choice: the engine and how it computes.
        title: what the profile calls the model; by default ``path``.
        batch: images in a batch.
        size_hw: of the images, for a file that leaves it open.
        shapes: of inputs by name, for what else the file leaves open.
        repeats: runs with the profiler, and as many without it, in nine turns.
        peaks: of this machine; None to measure them.

    Raises:
        UsageError: no runs or too many, a precision that this engine does not have, an input that is left open or
            cannot be made up, or a graph that does not run the same kernels each time.
        FileMissingError, BundleError, UnsafeFileError: as for ``litevision.cost.graph.graph_ledger``.
        MissingExtraError: the engine is not installed.
    """
    if not 1 <= repeats <= _MOST_REPEATS:
        raise UsageError(f"{repeats} repeats; expected 1 to {_MOST_REPEATS}.")
    path, machine = Path(path), Machine.here()
    counted = named_graph(
        with_functions_inlined(load_graph(path), str(path)), batch=batch, size_hw=size_hw, shapes=shapes
    )
    ledger, data = counted.ledger, serialised(counted.model, path)
    check_foreign(data, path)
    engine = open_engine(data, choice, name=str(path))
    inputs = made_up_inputs(engine.inputs, ledger.input_shapes, path)
    engine.run_named(inputs)  # a graph that loads and cannot run says so before the machine is measured for it
    runs = -(-repeats // _TURNS)
    cost = measure_cost(choice)
    peaks = peaks or measure_peaks(choice, cost)
    job = Job(data, engine, ledger, inputs)
    if not is_free(choice):
        # The price differs by model. What half of the turns tell of it is taken off the others, so that the sum and the
        # whole run still check each other.
        (both,) = record([job], turns=2 * _TURNS, runs=runs)
        learnt, run = both.halves()
        cost = cost.scaled_to(max(0.0, added_ms(learnt)))
    else:
        (run,) = record([job], turns=_TURNS, runs=runs)
    rows = rows_of(run.recording, ledger, peaks, cost)
    is_raw = is_overcorrected(rows, run.whole_ms)
    if is_raw:
        cost = ProfilerCost()
        rows = rows_of(run.recording, ledger, peaks, cost)
    return Profile(
        model=title or str(path),
        machine=machine,
        choice=choice,
        version=engine.version,
        input_shapes={name: value.shape for name, value in inputs.items()},
        rows=tuple(rows),
        whole=TimeStats.of(run.whole_ms),
        profiled=TimeStats.of(run.recording.whole_ms),
        cost=cost,
        runs=_TURNS * runs,
        peaks=peaks,
        not_run=not_run(run.recording, ledger),
        is_raw=is_raw,
    )
