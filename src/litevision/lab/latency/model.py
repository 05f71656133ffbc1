"""The latency model: milliseconds of a workload, from rates that were measured on one machine, in one engine."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from litevision.lab.latency.workload import Op
from litevision.lab.profile.timings import Peaks

# What the time of each kind grows with: "once" for each piece; the others in milliseconds that they take at the peaks:
# "macs", and the bytes of "maps" that are read, of what is put "out", of "weights", and of a "ragged" output.
FEATURES: Mapping[str, tuple[str, ...]] = {
    "input": ("once", "maps"),
    "stem": ("once", "macs", "out", "ragged"),
    "conv": ("once", "macs", "maps", "out", "weights", "ragged"),
    "pointwise": ("once", "macs", "maps", "out", "weights", "ragged"),
    "pointwise, plain": ("once", "macs", "maps", "out"),
    "depthwise": ("once", "macs", "maps", "out", "ragged"),
    "depthwise, plain": ("once", "macs", "maps", "out"),
    "linear": ("once", "weights"),
    "avg_pool": ("once", "maps"),
    "max_pool": ("once", "maps"),
    "mul": ("once", "out"),
    "add": ("once", "out"),
    "relu6": ("out",),
    "hardswish": ("once", "out"),
    "pad": ("once", "out"),
    "copy": ("once", "out", "ragged"),
}

_DISTURBED = 0.12  # on a machine with nothing else to do, 0.04 to 0.10

Feature = tuple[str, str]
"""A kind of work, and what its time grows with."""


def features(workload: Iterable[Op], peaks: Peaks) -> dict[Feature, float]:
    """Sum what the time of a workload grows with, by kind of operation."""
    found: dict[Feature, float] = defaultdict(float)
    for op in workload:
        amounts = {
            "once": 1.0,
            "macs": op.macs / peaks.gmacs_per_s / 1e6,
            "maps": _moving_ms(op.map_bytes, peaks),
            "out": _moving_ms(op.out_bytes, peaks),
            "weights": _moving_ms(op.weight_bytes, peaks),
            "ragged": _moving_ms(op.ragged_bytes, peaks),
        }
        for name in FEATURES[op.kind]:
            found[op.kind, name] += amounts[name]
    return dict(found)


@dataclass(frozen=True, slots=True)
class Rate:
    """What one feature costs: how many times as long as at the peaks; for "once", milliseconds."""

    kind: str
    grows_with: str
    rate: float


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """Predicts the latency of workloads on one machine in one engine, one image at a time.

    Attributes:
        peaks: of the machine.
        rates: of every feature in ``FEATURES``.
        typical_error: the share by which a network of the calibration is off where the others alone made the rates, in
            the middle of them all; ``worst_error`` that of the worst.
        num_networks: how many these were.
    """

    peaks: Peaks
    rates: tuple[Rate, ...]
    typical_error: float
    worst_error: float
    num_networks: int

    @property
    def is_noisy(self) -> bool:
        """Whether other work is likely to have taken part of the machine while it was measured."""
        return self.typical_error > _DISTURBED

    def predict(self, workload: Iterable[Op]) -> float:
        """Predict the milliseconds of one call with one image."""
        return sum(self.by_kind(workload).values())

    def by_kind(self, workload: Iterable[Op]) -> dict[str, float]:
        """Milliseconds of each kind of op, added up."""
        rates = {(each.kind, each.grows_with): each.rate for each in self.rates}
        found: dict[str, float] = defaultdict(float)
        for (kind, name), amount in features(workload, self.peaks).items():
            found[kind] += rates[kind, name] * amount
        return dict(found)


def _moving_ms(num_bytes: int, peaks: Peaks) -> float:
    return num_bytes / peaks.gb_per_s_of(num_bytes) / 1e6
