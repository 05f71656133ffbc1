"""From kernels to layers: what each layer of the file took, and which of the machine's bounds it is near."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from litevision.cost.graph import GraphLedger, NodeCost
from litevision.cost.rows import TITLES
from litevision.lab.profile.fused import REORDERS
from litevision.lab.profile.timings import (
    Kernel,
    LayerKind,
    LayerTime,
    Peaks,
    ProfilerCost,
    Recording,
    TimeStats,
    sum_of,
)

BETWEEN = "between kernels"
_REORDER_OPS = REORDERS | {"Reorder"}
_START = "input"


def rows_of(recording: Recording, ledger: GraphLedger, peaks: Peaks, cost: ProfilerCost) -> list[LayerTime]:
    """Make a row for every layer, then one for the time between kernels; ``cost`` is taken off each kernel."""
    places = {node.name: i for i, node in enumerate(ledger.rows)}
    groups = list(_grouped(recording.kernels, ledger, places))
    rows: list[LayerTime] = []
    block, size = _START, ""
    for main, kernels in groups:
        samples = sum_of([_own_ms(kernel, cost) for kernel in kernels])
        if main is None:
            rows.append(_foreign(kernels[0], samples, block, size))
            continue
        names = dict.fromkeys(name for kernel in kernels for name in kernel.nodes)
        nodes = [ledger.rows[i] for i in sorted(places[name] for name in names)]
        block, size = _block(main, block), _size(nodes[-1], size)
        rows.append(_layer(main, nodes, kernels, TimeStats.of(samples), ledger, peaks, block, size))
    rows.append(_between(recording, cost))
    return rows


def not_run(recording: Recording, ledger: GraphLedger) -> tuple[str, ...]:
    """List the nodes, views aside, that no kernel computes."""
    run = {name for kernel in recording.kernels for name in kernel.nodes}
    return tuple(node.name for node in ledger.rows if node.name not in run and not node.is_view)


def _grouped(
    kernels: Sequence[Kernel], ledger: GraphLedger, places: dict[str, int]
) -> Iterator[tuple[NodeCost | None, list[Kernel]]]:
    """The kernels of each layer, at the place of the last, with the layer's main node; a foreign kernel by itself."""
    groups: dict[str, list[Kernel]] = {}
    mains: dict[str, NodeCost] = {}
    for i, kernel in enumerate(kernels):
        if not kernel.nodes:
            groups[f"foreign {i}"] = [kernel]
            continue
        nodes = [ledger.rows[places[name]] for name in kernel.nodes]
        main = max(nodes, key=lambda node: (node.macs or 0, places[node.name]))
        mains[main.name] = main
        groups[main.name] = [*groups.pop(main.name, []), kernel]
    for name, group in groups.items():
        yield mains.get(name), group


def is_overcorrected(rows: Sequence[LayerTime], whole_ms: Sequence[float]) -> bool:
    """Whether so much was taken off for recording that less than half of the run is left, most of it zeros."""
    return sum(row.time.ms for row in rows) < TimeStats.of(whole_ms).ms / 2


def _own_ms(kernel: Kernel, cost: ProfilerCost) -> tuple[float, ...]:
    return tuple(max(0.0, taken - cost.inside_ms) for taken in kernel.ms)


def _layer(
    main: NodeCost,
    nodes: Sequence[NodeCost],
    kernels: Sequence[Kernel],
    time: TimeStats,
    ledger: GraphLedger,
    peaks: Peaks,
    block: str,
    size: str,
) -> LayerTime:
    macs = None if any(node.macs is None for node in nodes) else sum(node.macs or 0 for node in nodes)
    traffic = ledger.together(node.name for node in nodes)
    moved = None if traffic.read is None or traffic.written is None else traffic.read + traffic.written
    bound, least_ms = (None, 0.0) if macs is None or not moved else peaks.bound(macs, moved)
    return LayerTime(
        name=main.layer,
        kind="layer",
        operation=" +".join((_words(main), *_followers(main, nodes))),
        category=main.kind,
        block=block,
        size=size,
        nodes=tuple(node.name for node in nodes),
        kernels=tuple(kernel.name for kernel in kernels),
        time=time,
        macs=macs,
        moved_bytes=moved,
        bound=bound,
        of_bound=least_ms / time.ms if bound and time.ms > 0 else None,
    )


def _foreign(kernel: Kernel, samples_ms: Sequence[float], block: str, size: str) -> LayerTime:
    kind: LayerKind = "reorder" if kernel.op in _REORDER_OPS else "engine"
    return LayerTime(
        kernel.name, kind, kernel.op, kind, block, size, (), (kernel.name,), TimeStats.of(samples_ms), *[None] * 4
    )


def _between(recording: Recording, cost: ProfilerCost) -> LayerTime:
    """What each whole run took beyond its kernels, without what the profiler took there."""
    # Kernels that an engine's clock cannot tell from nothing are none.
    inside = sum_of([kernel.ms for kernel in recording.kernels]) or (0.0,) * len(recording.whole_ms)
    recorded_ms = cost.between_ms * len(recording.kernels)
    outside = [max(0.0, whole - own - recorded_ms) for whole, own in zip(recording.whole_ms, inside, strict=True)]
    return LayerTime(BETWEEN, "between", "", "between", "", "", (), (), TimeStats.of(outside), *[None] * 4)


def _words(node: NodeCost) -> str:
    """For example ``dw 3x3 /2``."""
    words = [TITLES.get(node.kind, node.op_type if node.kind == "unknown" else node.kind.replace("_", " "))]
    if node.kernel:
        words.append("x".join(map(str, node.kernel)))
    if node.stride and set(node.stride) != {1} and node.stride != node.kernel:
        words.append(f"/{node.stride[0]}")
    return " ".join(words)


def _followers(main: NodeCost, nodes: Iterable[NodeCost]) -> list[str]:
    """What is fused with ``main``; the same several times is told once."""
    words = (_words(node) for node in nodes if node is not main and not node.is_view)
    return [word if count == 1 else f"{count} {word}" for word, count in _counted(words)]


def _counted(words: Iterable[str]) -> Iterator[tuple[str, int]]:
    for word, same in groupby(words):
        yield word, len(list(same))


def _block(node: NodeCost, before: str) -> str:
    """The first part of a weight's path; a node without a weight lies where the one before it does."""
    return before if node.layer == node.name else node.layer.partition(".")[0]


def _size(node: NodeCost, before: str) -> str:
    """Of the map that it writes; what is pooled to one number a channel belongs to the map before."""
    shape = node.out_shapes[0] if node.out_shapes else None
    return "x".join(map(str, shape[2:])) if shape and len(shape) == 4 and max(shape[2:]) > 1 else before
