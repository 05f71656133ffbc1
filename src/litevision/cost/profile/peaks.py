"""What this machine does at most, and what an engine's profiler costs, both measured on graphs made for it."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx

from litevision.cost.graph import NodeCost
from litevision.cost.profile import probes
from litevision.cost.profile.recorders import Job, Recorded, record
from litevision.cost.profile.records import Peaks, ProfilerCost, sum_of
from litevision.runtime.engines import EngineChoice, open_engine

_TURNS, _RUNS = 8, 3
_CHANNELS = (16, 64, 256, 1024)  # of 64 kB each
_COST_TURNS = 15
_UNDISTURBED = 10  # the percentile of runs that nothing else on the machine met


def measure_peaks(choice: EngineChoice, cost: ProfilerCost | None = None) -> Peaks:
    """The most multiply-adds and bytes a second that the kernels of this engine reach here; takes a second or two.

    Multiply-adds: the better of 1x1 convolutions of 256 channels at 28x28 and of a product of two matrices of 512x512.
    Bytes: a ReLU of 1 to 64 MB, which reads and writes as many; the first lie in a cache, the last in none.

    Args:
        choice: the engine and how it computes.
        cost: what its profiler adds to a kernel; None to measure it.
    """
    cost = cost or measure_cost(choice)
    products = (probes.convolutions(8, 256, 28), probes.product(512))
    macs = [sum(node.macs or 0 for node in nodes) / ms / 1e6 for nodes, ms in _quickest(products, choice, cost)]
    bandwidths = []
    for nodes, ms in _quickest(map(probes.relu, _CHANNELS), choice, cost):
        (moved,) = [(node.bytes_read or 0) + (node.bytes_written or 0) for node in nodes if node.name == probes.RELU]
        bandwidths.append((moved, moved / ms / 1e6))
    return Peaks(max(macs), tuple(bandwidths))


def measure_cost(choice: EngineChoice) -> ProfilerCost:
    """What recording one kernel takes; as for `cost_of`."""
    return cost_of(record(cost_jobs(choice), turns=_COST_TURNS, runs=_RUNS))


def cost_jobs(choice: EngineChoice) -> list[Job]:
    """What to run for `cost_of`: a chain of a hundred small convolutions, or nothing.

    openvino's profiler takes two readings of a clock, which cost nothing; onnxruntime's writes shapes and threads down,
    part of it while the kernel's time still runs.
    """
    if choice.name == "openvino":
        return []
    return [_job(probes.convolutions(100, 64, 14, depthwise=True), choice)]


def cost_of(recorded: Sequence[Recorded]) -> ProfilerCost:
    """What recording one kernel takes, from what came of `cost_jobs`: the runs with the profiler beside those without.

    The networks that it is taken off have no part in it, so that their sums can be held against their whole runs.
    """
    if not recorded:
        return ProfilerCost()
    (chain,) = recorded
    kernels = chain.recording.kernels
    own_ms = sum_of([kernel.ms for kernel in kernels])
    between_ms = [whole - own for whole, own in zip(chain.recording.whole_ms, own_ms, strict=True)]
    bare, own, between = (float(np.percentile(ms, _UNDISTURBED)) for ms in (chain.whole_ms, own_ms, between_ms))
    return ProfilerCost(max(0.0, own - bare) / len(kernels), between / len(kernels))


def _quickest(
    models: Iterable[onnx.ModelProto], choice: EngineChoice, cost: ProfilerCost
) -> Iterator[tuple[Sequence[NodeCost], float]]:
    """For each graph its nodes, and milliseconds of its main kernels, each at its quickest."""
    for model in models:
        job = _job(model, choice)
        (recorded,) = record([job], turns=_TURNS, runs=_RUNS)
        nodes = [node for node in job.ledger.nodes if node.macs or node.name == probes.RELU]
        names = {node.name for node in nodes}
        times = [min(kernel.ms) - cost.inside_ms for kernel in recorded.recording.kernels if names & set(kernel.nodes)]
        yield nodes, sum(times)


def _job(model: onnx.ModelProto, choice: EngineChoice) -> Job:
    ledger = probes.named_ledger(model)
    data = model.SerializeToString()
    (shape,) = ledger.input_shapes.values()
    return Job(data, open_engine(data, choice, name="the probe"), ledger, np.full(shape or (), 0.5, np.float32))
