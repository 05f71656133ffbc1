"""Runs an engine with its own profiler, and in turns without it."""

import time
from typing import Any, Protocol

import numpy.typing as npt

from litevision.cost.graph import GraphLedger
from litevision.cost.profile.records import Recording
from litevision.runtime.engines import Engine, EngineChoice

WARM_UPS = 2
"""Runs at the start of a turn, which finds the caches full of others' data; they are not counted."""


class Recorder(Protocol):
    """An engine that writes down what its kernels take."""

    def __enter__(self) -> "Recorder": ...

    def __exit__(self, *_: object) -> None: ...

    def turn(self, batch: npt.NDArray[Any], runs: int) -> None:
        """Runs ``batch`` to warm up, and then ``runs`` times."""

    def finish(self) -> Recording:
        """What was recorded; nothing can be after it."""


def open_recorder(data: bytes, choice: EngineChoice, ledger: GraphLedger) -> Recorder:
    """The graph in ``data``, whose ledger is given and whose nodes have its names, in the engine of ``choice``."""
    if choice.name == "openvino":
        from litevision.cost.profile.openvino_kernels import OpenvinoRecorder

        return OpenvinoRecorder(data, choice, ledger)
    from litevision.cost.profile.onnxruntime_kernels import OnnxruntimeRecorder

    return OnnxruntimeRecorder(data, choice, ledger)


def record(
    data: bytes, engine: Engine, ledger: GraphLedger, batch: npt.NDArray[Any], *, turns: int, runs: int
) -> tuple[list[float], Recording]:
    """Milliseconds of the runs of ``engine`` without its profiler, and what it recorded of as many with it.

    Both take turns, so that what else the machine does meets both alike.

    Args:
        data: what ``engine`` holds.
        engine: as a user runs it.
        ledger: of ``data``.
        batch: for its only input.
        turns: how often.
        runs: in each turn of each, warming up aside.
    """
    whole_ms = []
    with open_recorder(data, engine.choice, ledger) as recorder:
        for _ in range(turns):
            for _ in range(WARM_UPS):
                engine.run(batch)
            for _ in range(runs):
                start = time.perf_counter()
                engine.run(batch)
                whole_ms.append(1e3 * (time.perf_counter() - start))
            recorder.turn(batch, runs)
        return whole_ms, recorder.finish()
