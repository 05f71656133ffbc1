"""What this machine does at most, and what an engine's profiler costs, both measured on graphs made for it."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

import numpy as np
import onnx

from litevision.cost.graph import NodeCost
from litevision.lab.profile import microbenchmarks
from litevision.lab.profile.recorders import Job, Recorded, record
from litevision.lab.profile.timings import Peaks, ProfilerCost, sum_of
from litevision.runtime.engines import EngineChoice, open_engine

_TURNS, _RUNS = 8, 3
_CHANNELS = (16, 64, 256, 1024)  # of 64 kB each
_COST_TURNS = 15


def measure_peaks(choice: EngineChoice, cost: ProfilerCost | None = None) -> Peaks:
    """Measure the peak multiply-adds and bytes a second of this machine in an engine; takes a second or two.

    Multiply-adds: the better of 1x1 convolutions of 256 channels at 28x28 and of a product of two matrices of 512x512.
    Bytes: a ReLU of 1 to 64 MB, which reads and writes as many; the first lie in a cache, the last in none.

    Args:
        choice: the engine and how it computes.
        cost: what its profiler adds to a kernel; None to measure it.
    """
    cost = cost or measure_cost(choice)
    products = (microbenchmarks.convolutions(8, 256, 28), microbenchmarks.product(512))
    macs = [sum(node.macs or 0 for node in nodes) / ms / 1e6 for nodes, ms in _quickest(products, choice, cost)]
    bandwidths = []
    for nodes, ms in _quickest(map(microbenchmarks.relu, _CHANNELS), choice, cost):
        (moved,) = [
            (node.bytes_read or 0) + (node.bytes_written or 0) for node in nodes if node.name == microbenchmarks.RELU
        ]
        bandwidths.append((moved, moved / ms / 1e6))
    return Peaks(max(macs), tuple(bandwidths))


def is_free(choice: EngineChoice) -> bool:
    """Whether the engine's profiler costs next to nothing.

    openvino's takes two readings of a clock for each kernel; onnxruntime's writes shapes and threads down, part of it
    while the kernel's time still runs.
    """
    return choice.name == "openvino"


def measure_cost(choice: EngineChoice) -> ProfilerCost:
    """Measure what recording one kernel takes, in a chain of a hundred small convolutions."""
    if is_free(choice):
        return ProfilerCost()
    (chain,) = record(
        [_job(microbenchmarks.convolutions(100, 64, 28, depthwise=True), choice)], turns=_COST_TURNS, runs=_RUNS
    )
    own_ms = sum_of([kernel.ms for kernel in chain.recording.kernels])
    inside_ms = max(0.0, _added(chain, own_ms)) / len(chain.recording.kernels)
    return ProfilerCost(inside_ms, max(0.0, added_ms(chain) - inside_ms))


def added_ms(recorded: Recorded) -> float:
    """Return what the profiler added to a run, for each of its kernels."""
    return _added(recorded, recorded.recording.whole_ms) / len(recorded.recording.kernels)


def _added(recorded: Recorded, with_it_ms: Sequence[float]) -> float:
    """How much longer runs with it took than those without it in the same turn, in the turn in the middle."""
    pairs = zip(recorded.by_turn(with_it_ms), recorded.by_turn(recorded.whole_ms), strict=True)
    return median(median(with_it) - median(without) for with_it, without in pairs)


def _quickest(
    models: Iterable[onnx.ModelProto], choice: EngineChoice, cost: ProfilerCost
) -> Iterator[tuple[Sequence[NodeCost], float]]:
    """For each graph its nodes, and milliseconds of its main kernels, each at its quickest."""
    for model in models:
        job = _job(model, choice)
        (recorded,) = record([job], turns=_TURNS, runs=_RUNS)
        nodes = [node for node in job.ledger.rows if node.macs or node.name == microbenchmarks.RELU]
        names = {node.name for node in nodes}
        quickest = [min(kernel.ms) for kernel in recorded.recording.kernels if names & set(kernel.nodes)]
        # On a busy machine the profiler may seem dearer than a whole kernel; a peak must not become infinite by it.
        yield nodes, sum(max(ms - cost.inside_ms, ms / 2) for ms in quickest)


def _job(model: onnx.ModelProto, choice: EngineChoice) -> Job:
    ledger = microbenchmarks.named_graph(model).ledger
    data = model.SerializeToString()
    inputs = {name: np.full(shape or (), 0.5, np.float32) for name, shape in ledger.input_shapes.items()}
    return Job(data, open_engine(data, choice, name="the probe"), ledger, inputs)
