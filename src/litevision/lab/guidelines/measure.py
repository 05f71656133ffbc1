"""Run the experiments: calls of all networks of a design are interleaved, round after round, in one engine."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from litevision.cost.graph import graph_ledger
from litevision.errors import UsageError
from litevision.lab.guidelines.designs import SCALES, Design, Speeds
from litevision.lab.guidelines.kernels import fused, kernels
from litevision.runtime.engines import Engine, EngineChoice, open_engine
from litevision.runtime.engines.timing import interleaved

Verdict = Literal["slower", "even", "quicker"]


@dataclass(frozen=True, slots=True)
class VariantTiming:
    """One network at one scale.

    Attributes:
        guideline: G1 to G4.
        variant: its title.
        scale: 1, 2 or 4 times the widths of the design.
        widths: its channels.
        macs: multiply-adds of the ten blocks.
        kernels: what the engine runs, by operator.
        fused: nodes of the graph that are in no kernel of their own, by operator.
        rounds_ms: milliseconds a call, the median of each round.
        share: its MACs over those of the design's first network; near 1, for widths are whole numbers.
        times: how many times as long as the first network it took, in each round.
        paper_cpu: the same of the paper's CPU column; None where the paper has no such network. ``paper_gpu`` alike.
        is_first: whether it is the design's first network.
    """

    guideline: str
    variant: str
    scale: int
    widths: tuple[int, ...]
    macs: int
    kernels: dict[str, int]
    fused: dict[str, int]
    rounds_ms: tuple[float, ...]
    share: float
    times: tuple[float, ...]
    paper_cpu: float | None
    paper_gpu: float | None
    is_first: bool

    @property
    def median_ms(self) -> float:
        """Milliseconds a call, the median of the rounds."""
        return median(self.rounds_ms)

    @property
    def time(self) -> float:
        """How many times as long as the first network it took, the median of the rounds."""
        return median(self.times)

    @property
    def verdict(self) -> Verdict | None:
        """Whether it is slower than the first network in every round, or quicker; None of the first itself.

        What its few MACs more or less would explain is no difference.
        """
        if self.is_first:
            return None
        if min(self.times) > max(1, self.share):
            return "slower"
        return "quicker" if max(self.times) < min(1, self.share) else "even"


def measure(
    designs: Sequence[Design],
    choice: EngineChoice,
    *,
    scales: Sequence[int] = SCALES,
    rounds: int = 7,
    seconds: float = 0.5,
    opened_by: Callable[..., Engine] = open_engine,
    on_design: Callable[[Design, int], object] = lambda design, scale: None,
) -> list[VariantTiming]:
    """Time every network of ``designs`` at every scale; calls of those that are compared are interleaved.

    Args:
        rounds: how often the whole set is measured anew; the spread is between rounds.
        seconds: measured time for each network, all rounds together.
        opened_by: opens the engines.
        on_design: told what is measured next.

    Raises:
        UsageError: fewer than 2 rounds, or no time.
        LitevisionError: as for `litevision.runtime.engines.open_engine`.
    """
    if rounds < 2:
        raise UsageError(f"{rounds} rounds; expected 2 or more, for the spread is between rounds.")
    if not seconds > 0:
        raise UsageError(f"{seconds:g} seconds for each network; expected more than 0.")
    rows = []
    for design in designs:
        for scale in scales:
            on_design(design, scale)
            rows += _measure(design, scale, choice, rounds, seconds, opened_by)
    return rows


def _measure(
    design: Design, scale: int, choice: EngineChoice, rounds: int, seconds: float, opened_by: Callable[..., Engine]
) -> list[VariantTiming]:
    models = [variant.model(scale) for variant in design.variants]
    calls = [timed_call(model, choice, opened_by) for model in models]
    rounds_s = [[median(taken) for taken in interleaved(calls, seconds / rounds)] for _ in range(rounds)]
    macs = [graph_ledger(model).macs for model in models]
    first = design.variants[0]
    rows = []
    for number, (variant, model) in enumerate(zip(design.variants, models, strict=True)):
        ran = kernels(model, choice)
        row = VariantTiming(
            guideline=design.name,
            variant=variant.title,
            scale=scale,
            widths=variant.widths_at(scale),
            macs=macs[number],
            kernels=dict(Counter(kernel.op for kernel in ran)),
            fused=dict(fused(model, ran)),
            rounds_ms=tuple(1e3 * taken[number] for taken in rounds_s),
            share=macs[number] / macs[0],
            times=tuple(taken[number] / taken[0] for taken in rounds_s),
            paper_cpu=_time(first.cpu, variant.cpu, scale),
            paper_gpu=_time(first.gpu, variant.gpu, scale),
            is_first=variant is first,
        )
        rows.append(row)
    return rows


def timed_call(model: onnx.ModelProto, choice: EngineChoice, opened_by: Callable[..., Engine]) -> Callable[[], object]:
    """Return a call that runs ``model``, whose one input is float32 of a fixed shape, on random numbers."""
    engine = opened_by(model.SerializeToString(), choice, name="the graph")
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    batch: npt.NDArray[Any] = np.random.default_rng(0).standard_normal(shape, np.float32)
    return lambda: engine.run(batch)


def _time(first: Speeds | None, other: Speeds | None, scale: int) -> float | None:
    """How many times as long the paper's network took, from its speeds."""
    if first is None or other is None:
        return None
    return first[SCALES.index(scale)] / other[SCALES.index(scale)]
