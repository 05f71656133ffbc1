"""What this machine does at most, and what an engine's profiler costs, both measured on graphs made for it."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx

from litevision.cost.graph import GraphLedger, NodeCost
from litevision.cost.profile import probes
from litevision.cost.profile.recorders import record
from litevision.cost.profile.records import Peaks, ProfilerCost, Recording, sum_of
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
    """What recording one kernel takes, from a chain of a hundred small convolutions run with the profiler and without.

    openvino's takes two readings of a clock, which is nothing; onnxruntime's writes shapes and threads down, part of it
    while the kernel's time still runs.
    """
    if choice.name == "openvino":
        return ProfilerCost()
    whole_ms, recording, _ = _recorded(probes.convolutions(100, 64, 14, depthwise=True), choice, _COST_TURNS)
    own_ms = sum_of([kernel.ms for kernel in recording.kernels])
    between_ms = [whole - own for whole, own in zip(recording.whole_ms, own_ms, strict=True)]
    bare, own, between = (float(np.percentile(taken, _UNDISTURBED)) for taken in (whole_ms, own_ms, between_ms))
    count = len(recording.kernels)
    return ProfilerCost(max(0.0, own - bare) / count, between / count)


def _quickest(
    models: Iterable[onnx.ModelProto], choice: EngineChoice, cost: ProfilerCost
) -> Iterator[tuple[Sequence[NodeCost], float]]:
    """For each graph its nodes, and milliseconds of its main kernels, each at its quickest."""
    for model in models:
        _, recording, ledger = _recorded(model, choice, _TURNS)
        nodes = [node for node in ledger.nodes if node.macs or node.name == probes.RELU]
        names = {node.name for node in nodes}
        times = [min(kernel.ms) - cost.inside_ms for kernel in recording.kernels if names & set(kernel.nodes)]
        yield nodes, sum(times)


def _recorded(model: onnx.ModelProto, choice: EngineChoice, turns: int) -> tuple[list[float], Recording, GraphLedger]:
    ledger = probes.named_ledger(model)
    data = model.SerializeToString()
    (shape,) = ledger.input_shapes.values()
    batch = np.full(shape or (), 0.5, np.float32)
    engine = open_engine(data, choice, name="the probe")
    whole_ms, recording = record(data, engine, ledger, batch, turns=turns, runs=_RUNS)
    return whole_ms, recording, ledger
