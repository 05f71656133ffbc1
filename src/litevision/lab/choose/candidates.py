"""What can be chosen from: every network and input size for which somebody published weights and a score."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from litevision.cost.ledger import Ledger, ledger
from litevision.cost.rows import CONVOLUTIONS
from litevision.cost.trace import FLOAT32_BYTES
from litevision.errors import UsageError
from litevision.lab.latency.model import LatencyModel
from litevision.lab.latency.workload import ledger_workload
from litevision.models import Network, NetworkConfig, build, configure
from litevision.registry import ALIASES, Variant
from litevision.registry.weight_sets import WeightSet, weight_sets

_PRODUCTS = CONVOLUTIONS | {"linear"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network at the input size of its published score, with as many classes as are asked for.

    Attributes:
        name: the network, in the form of ``dialect``, ``width_mult`` times as wide.
        weights: the name of the weight set.
        size_hw: of the images, in pixels.
        top1: on ImageNet's validation images, in percent, as its publisher claims.
        ms: predicted for one image, from pixels to probabilities.
        num_bytes: of its bundle's weights, in fp32 with the normalisation folded.
        macs: multiply-adds for one image.
    """

    name: str
    weights: str
    dialect: str
    width_mult: float
    size_hw: tuple[int, int]
    top1: float
    ms: float
    num_bytes: int
    macs: int


def published_candidates(
    model: LatencyModel, num_classes: int = 1000, *, on_network: Callable[[int, int], object] = lambda done, total: None
) -> list[Candidate]:
    """List every weight set with a classifier and a published score, as it would be with ``num_classes``.

    Args:
        on_network: told how many are counted, of how many.

    Raises:
        UsageError: no classes.
    """
    check_classes(num_classes)
    scored = [(row, row.top1) for row in weight_sets() if row.top1 is not None and row.num_classes]
    found = []
    for number, (row, top1) in enumerate(scored):
        on_network(number, len(scored))
        costs = _counted(_config(row, num_classes), row.input.size_hw)
        candidate = Candidate(
            name=_name(row),
            weights=row.name,
            dialect=row.dialect,
            width_mult=row.width_mult,
            size_hw=row.input.size_hw,
            top1=top1,
            ms=model.predict(ledger_workload(costs)),
            num_bytes=_folded_bytes(costs),
            macs=costs.macs,
        )
        found.append(candidate)
    return found


def check_classes(num_classes: int) -> None:
    """Check that a network can have ``num_classes``.

    Raises:
        UsageError: none.
    """
    if num_classes < 1:
        raise UsageError(f"{num_classes} classes; expected at least 1.")


@functools.lru_cache(maxsize=512)  # a few times as many as there are, so that whoever asks again waits no more
def _counted(config: NetworkConfig, size_hw: tuple[int, int]) -> Ledger:
    return ledger(_built(config), size_hw)


@functools.lru_cache(maxsize=1)  # one network's sets follow each other
def _built(config: NetworkConfig) -> Network:
    return build(config, device="meta")


def _config(row: WeightSet, num_classes: int) -> NetworkConfig:
    options: dict[str, Any] = dict(row.options)
    return configure(
        row.architecture, dialect=row.dialect, width_mult=row.width_mult, num_classes=num_classes, **options
    )


def _name(row: WeightSet) -> str:
    """Another library's name where ours alone would not bring the options."""
    variant = Variant(row.architecture, row.dialect, row.width_mult, row.options)
    return next((name for name, known in ALIASES.items() if row.options and known == variant), row.architecture)


def _folded_bytes(costs: Ledger) -> int:
    """Of the weights with a bias for each channel, which is what folding leaves of the normalisation."""
    products = (row for row in costs.rows if row.kind in _PRODUCTS)
    return FLOAT32_BYTES * sum(row.weights + row.out_shape[0] for row in products)
