"""What is measured: the engine's kernels, and the layers that they compute."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from litevision.cost.rows import POOLS, STARTS
from litevision.outputs import check_output, kind_named
from litevision.runtime.engines import EngineChoice
from litevision.runtime.machine import Machine
from litevision.runtime.schema import to_dict
from litevision.tables import Report, Table

LayerKind = Literal["layer", "reorder", "engine", "between"]
"""A layer of the file; a change of layout, or something else that the engine adds; the time outside all kernels."""

Bound = Literal["compute", "memory"]

_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Kernel:
    """A piece of work that an engine ran as one.

    Attributes:
        name: the engine's own.
        op: the engine's word for what it does.
        nodes: the nodes of the file that it computes; none for what the engine adds.
        ms: what each run took, or the mean of each turn of runs, as the engine tells it.
    """

    name: str
    op: str
    nodes: tuple[str, ...]
    ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """The kernels in the order in which they ran, and what the same runs took as a whole."""

    kernels: tuple[Kernel, ...]
    whole_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TimeStats:
    """Milliseconds: the median and the interquartile range."""

    ms: float
    iqr_ms: float

    @classmethod
    def of(cls, samples_ms: Sequence[float]) -> "TimeStats":
        """Compute the statistics of samples."""
        quarter, half, three_quarters = np.percentile(samples_ms, (25, 50, 75)).tolist()
        return cls(half, three_quarters - quarter)


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most that a machine does in one engine.

    Attributes:
        gmacs_per_s: 10^9 multiply-adds a second.
        bandwidths: 10^9 bytes a second, read and written, by how many a kernel moves, from few to many: the fewer, the
            nearer the cache that they lie in.
    """

    gmacs_per_s: float
    bandwidths: tuple[tuple[int, float], ...]

    @property
    def gb_per_s(self) -> float:
        """10^9 bytes a second to and from memory, beyond all caches."""
        return self.bandwidths[-1][1]

    def gb_per_s_of(self, moved_bytes: int) -> float:
        """10^9 bytes a second for a kernel that moves so many."""
        sizes, rates = zip(*self.bandwidths, strict=True)
        return float(np.interp(np.log(max(moved_bytes, 1)), np.log(sizes), rates))

    def bound(self, macs: int, moved_bytes: int) -> tuple[Bound, float]:
        """Return what bounds such work on the roofline, and the least milliseconds that it needs."""
        compute_ms = macs / self.gmacs_per_s / 1e6
        memory_ms = moved_bytes / self.gb_per_s_of(moved_bytes) / 1e6
        return ("compute", compute_ms) if compute_ms >= memory_ms else ("memory", memory_ms)


@dataclass(frozen=True, slots=True)
class LayerTime:
    """What one layer took, with all that the engine fused into it; or a row of another kind.

    Attributes:
        name: the path of the layer's weight, or its node's name.
        kind: what the row is.
        operation: what it does, in a few words.
        category: the main node's kind in the words of ``litevision.cost.LayerCost``; else the row's.
        block: the part of the network that it lies in.
        size: of the map that it writes, such as ``56x56``; where that is pooled to 1x1, of the map before.
        nodes: the nodes of the file.
        kernels: the engine's names of what ran.
        time: what it took.
        macs: multiply-adds; None where they are not known.
        moved_bytes: read and written, weights included; None where that is not known.
        bound: what it is nearer to, of the machine's two peaks; None where that cannot be said.
        of_bound: the share, from 0 on, of that peak which it reaches; over 1 where its data lay in a cache.
    """

    name: str
    kind: LayerKind
    operation: str
    category: str
    block: str
    size: str
    nodes: tuple[str, ...]
    kernels: tuple[str, ...]
    time: TimeStats
    macs: int | None
    moved_bytes: int | None
    bound: Bound | None
    of_bound: float | None

    @property
    def gmacs_per_s(self) -> float | None:
        """10^9 multiply-adds a second."""
        return self._rate(self.macs)

    @property
    def gb_per_s(self) -> float | None:
        """10^9 bytes a second."""
        return self._rate(self.moved_bytes)

    def _rate(self, count: int | None) -> float | None:
        return None if not count or self.time.ms <= 0 else count / self.time.ms / 1e6


@dataclass(frozen=True, slots=True)
class KindTime:
    """What all layers of one kind took.

    Attributes:
        kind: of the operation: convolution (matrix products included), element-wise, data movement, or other.
        ms: what they took.
        share: of the sum of all rows.
        layers: how many they are.
    """

    kind: str
    ms: float
    share: float
    layers: int


@dataclass(frozen=True, slots=True)
class ProfilerCost:
    """Milliseconds that recording one kernel takes: what the engine counts as the kernel's own, and after it."""

    inside_ms: float = 0.0
    between_ms: float = 0.0

    @property
    def ms(self) -> float:
        """Both."""
        return self.inside_ms + self.between_ms

    def scaled_to(self, ms: float) -> "ProfilerCost":
        """A cost of ``ms`` that divides in the same way."""
        inside = self.inside_ms / self.ms if self.ms else 0.5
        return ProfilerCost(inside * ms, (1 - inside) * ms)


@dataclass(frozen=True)
class Profile(Report):
    """Time of each layer of a model on this machine; ``print`` it, or write a page with plots.

    Attributes:
        model: as it was given.
        choice: the engine and how it computes.
        version: the engine's name and version.
        input_shapes: of every input by name.
        rows: in the order in which they ran; the last is the time between kernels. What recording costs is taken off.
        whole: one run without the profiler, measured in turns with the runs with it.
        profiled: one run with it.
        cost: what recording one kernel takes.
        runs: with the profiler.
        peaks: of this machine, in the same engine with the same threads.
        not_run: nodes that no kernel stands for: computed when the file was loaded, or optimised away.
        is_raw: whether what recording costs is left in, as it was measured, beside other work, above what kernels take.
    """

    model: str
    machine: Machine
    choice: EngineChoice
    version: str
    input_shapes: dict[str, tuple[int, ...]]
    rows: tuple[LayerTime, ...]
    whole: TimeStats
    profiled: TimeStats
    cost: ProfilerCost
    runs: int
    peaks: Peaks
    not_run: tuple[str, ...]
    is_raw: bool = False

    @cached_property
    def sum_ms(self) -> float:
        """What the rows add up to."""
        return sum(row.time.ms for row in self.rows)

    @property
    def inputs(self) -> str:
        """The shapes of all inputs, in words."""
        shapes = {name: "x".join(map(str, shape)) or "scalar" for name, shape in self.input_shapes.items()}
        if len(shapes) == 1:
            return f"input {next(iter(shapes.values()))}"
        return "inputs " + ", ".join(f"{name} {shape}" for name, shape in shapes.items())

    @property
    def difference(self) -> float:
        """How far the sum lies from the whole run, as a share of it."""
        return self.sum_ms / self.whole.ms - 1

    @property
    def is_noisy(self) -> bool:
        """Whether the sum lies more than 5 % off the whole run."""
        return abs(self.difference) > _TOLERANCE

    @property
    def recording_ms(self) -> float:
        """What the profiler adds to a run."""
        return self.profiled.ms - self.whole.ms

    @cached_property
    def num_kernels(self) -> int:
        """Kernels that ran."""
        return sum(len(row.kernels) for row in self.rows)

    @property
    def kinds(self) -> tuple[KindTime, ...]:
        """What each kind of operation took, as in Figure 2 of ShuffleNetV2; what is fused counts as its layer."""
        grouped: dict[str, list[float]] = {}
        for row in self.rows:
            grouped.setdefault(_kind_of(row), []).append(row.time.ms)
        return tuple(
            KindTime(kind, sum(grouped[kind]), sum(grouped[kind]) / self.sum_ms, len(grouped[kind]))
            for kind in ("convolution", "element-wise", "data movement", "other", "between kernels")
            if kind in grouped
        )

    def sections(self, *, every: bool = False) -> Iterator[str | Table]:
        """Yield the table of layers, the totals and the machine.

        Args:
            every: a row for each kernel that the engine adds in place of their sums.
        """
        from litevision.lab.profile.report import sections

        return sections(self, every=every)

    def to_dict(self) -> dict[str, Any]:
        """Return every row and total as JSON values."""
        plain: dict[str, Any] = to_dict(self)
        for row, each in zip(plain["rows"], self.rows, strict=True):
            row |= {"share": each.time.ms / self.sum_ms, "gmacs_per_s": each.gmacs_per_s, "gb_per_s": each.gb_per_s}
        totals = {"sum_ms": self.sum_ms, "difference": self.difference, "recording_ms": self.recording_ms}
        first = next(iter(self.input_shapes.values()), ())
        return {**plain, "kinds": to_dict(self.kinds), "input_shape": list(first), **totals}

    def write_page(self, path: str | Path) -> None:
        """Write an HTML page with a roofline plot, bars and the table; it needs no other file.

        Raises:
            UsageError: a file there that is no such page.
        """
        check_output(path, kind_named("profile", path))
        from litevision.lab.profile.page import write_page

        write_page(Path(path), self)


_MOVEMENT = frozenset(
    {
        *("transpose", "concat", "shuffle", "slice", "split", "pad", "copy", "gather", "reshape", "flatten", "squeeze"),
        *("unsqueeze", "expand", "tile", "resize", "depth_to_space", "space_to_depth", "scatter", "gather_elements"),
    }
)
_OTHER = POOLS | {"mean", "topk", "unknown", "constant", "softmax", "reduce_mean", "reduce_max", "argmax"}


def _kind_of(row: LayerTime) -> str:
    if row.kind == "between":
        return "between kernels"
    if row.kind == "engine":
        return "other"
    if row.kind == "reorder" or row.category in _MOVEMENT:
        return "data movement"
    if row.category in STARTS - POOLS - {"unknown"}:
        return "convolution"
    return "other" if row.category in _OTHER else "element-wise"


def sum_of(samples: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Sum samples that were taken together."""
    return tuple(map(sum, zip(*samples, strict=True)))
