"""Run an engine with its own profiler, interleaved with runs without it."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy.typing as npt

from litevision.cost.graph import GraphLedger
from litevision.lab.profile.timings import Recording
from litevision.runtime.engines import Engine, EngineChoice

Inputs = Mapping[str, npt.NDArray[Any]]

WARM_UPS = 2
"""Runs at the start of a turn, which finds the caches full of others' data; they are not counted."""


class Recorder(Protocol):
    """An engine that writes down what its kernels take."""

    def __enter__(self) -> "Recorder": ...

    def __exit__(self, *_: object) -> None: ...

    def sample(self, inputs: Inputs, runs: int) -> None:
        """Run with ``inputs`` to warm up, and then ``runs`` times."""

    def finish(self) -> Recording:
        """End recording and return what was recorded."""


def open_recorder(data: bytes, choice: EngineChoice, ledger: GraphLedger) -> Recorder:
    """Open the graph in ``data``, whose nodes are named as in ``ledger``, for recording in the engine of ``choice``."""
    if choice.name == "openvino":
        from litevision.lab.profile.openvino_kernels import OpenvinoRecorder

        return OpenvinoRecorder(data, choice, ledger)
    from litevision.lab.profile.onnxruntime_kernels import OnnxruntimeRecorder

    return OnnxruntimeRecorder(data, choice, ledger)


@dataclass(frozen=True, slots=True)
class Job:
    """A graph to be run.

    Attributes:
        data: the graph.
        engine: which holds it, as a user runs it.
        ledger: of the graph, whose nodes have its names.
        inputs: what it is run with, by name.
    """

    data: bytes
    engine: Engine
    ledger: GraphLedger
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Recorded:
    """Milliseconds of the runs without the profiler, and what it recorded of as many with it; turn after turn."""

    whole_ms: tuple[float, ...]
    recording: Recording
    turns: int

    def halves(self) -> tuple["Recorded", "Recorded"]:
        """Split into every other turn and those between; there must be two turns at least."""
        first, second = (self._only([turn for turn in range(self.turns) if turn % 2 == half]) for half in (0, 1))
        return first, second

    def by_turn(self, samples_ms: Sequence[float]) -> list[Sequence[float]]:
        """Split samples turn by turn."""
        runs = len(samples_ms) // self.turns
        return [samples_ms[turn * runs : (turn + 1) * runs] for turn in range(self.turns)]

    def _only(self, turns: Sequence[int]) -> "Recorded":
        def chosen(samples_ms: Sequence[float]) -> tuple[float, ...]:
            by_turn = self.by_turn(samples_ms)
            return tuple(taken for turn in turns for taken in by_turn[turn])

        kernels = tuple(replace(kernel, ms=chosen(kernel.ms)) for kernel in self.recording.kernels)
        return Recorded(chosen(self.whole_ms), Recording(kernels, chosen(self.recording.whole_ms)), len(turns))


def record(jobs: Sequence[Job], *, turns: int, runs: int) -> list[Recorded]:
    """Record each job with the engine's profiler, and time it without.

    Runs of all jobs, with the profiler and without, are interleaved, so that background load affects all equally.

    Args:
        jobs: what to run.
        turns: how often each has its turns.
        runs: in each turn, warming up aside.
    """
    whole_ms: list[list[float]] = [[] for _ in jobs]
    with ExitStack() as stack:
        recorders = [stack.enter_context(open_recorder(job.data, job.engine.choice, job.ledger)) for job in jobs]
        for _ in range(turns):
            for job, recorder, taken in zip(jobs, recorders, whole_ms, strict=True):
                taken += _sample_plain(job, runs)
                recorder.sample(job.inputs, runs)
        recordings = [recorder.finish() for recorder in recorders]
    return [Recorded(tuple(taken), recording, turns) for taken, recording in zip(whole_ms, recordings, strict=True)]


def _sample_plain(job: Job, runs: int) -> list[float]:
    for _ in range(WARM_UPS):
        job.engine.run_named(job.inputs)
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        job.engine.run_named(job.inputs)
        taken.append(1e3 * (time.perf_counter() - start))
    return taken
