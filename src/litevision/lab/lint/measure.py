"""Lint an ONNX graph: find the layers that go against a guideline, and measure what they cost here.

Every such layer is timed alone, as a graph of its own on random numbers; calls of it and of what could stand in its
place at equal MACs are interleaved, so that background load affects both equally. Alone it also pays for the call, and
for what the engine does to a map before its first kernel and after its last: it takes longer than within the network.
Both sides of a comparison pay alike.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from litevision.cost.graph import InputShapes
from litevision.cost.rows import Size, pair_of
from litevision.errors import UsageError, reason_of
from litevision.exporting.graph_file import graph_file, title_of
from litevision.lab.guidelines.measure import timed_call
from litevision.lab.lint.rules import Findings, Unjudged, Violation, find_violations
from litevision.runtime.engines import Engine, EngineChoice, engine_choice, open_engine
from litevision.runtime.engines.timing import interleaved
from litevision.runtime.machine import Machine
from litevision.runtime.schema import to_dict
from litevision.tables import Align, Report, Table, pluralise
from litevision.weights.any_model import BY_NAME, NetworkForm

if TYPE_CHECKING:
    from torch import nn

    from litevision.weights.trained import RunLike

_UNJUDGED_SHOWN = 10


@dataclass(frozen=True, slots=True)
class TimedViolation:
    """A violation with its times in milliseconds: the median and the interquartile range."""

    violation: Violation
    ms: float
    iqr_ms: float
    instead_ms: float
    instead_iqr_ms: float

    def to_dict(self) -> dict[str, Any]:
        """Return the violation without its graphs, and the times, as JSON values."""
        names = ("guideline", "layer", "what", "macs", "instead", "instead_macs")
        return {
            **{name: getattr(self.violation, name) for name in names},
            **{name: getattr(self, name) for name in ("ms", "iqr_ms", "instead_ms", "instead_iqr_ms")},
        }


@dataclass(frozen=True)
class LintReport(Report):
    """The violations of a model, timed.

    Attributes:
        model: as it was given.
        choice: the engine and how it computes.
        violations: in the order of the graph.
        findings: how much of the graph was compared with the guidelines, and why the rest was not.
        remark: what was measured in the place of the model; empty where it was the model itself.
    """

    model: str
    choice: EngineChoice
    machine: Machine
    violations: tuple[TimedViolation, ...]
    findings: Findings
    remark: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether everything could be judged; only then does silence mean that nothing is wrong."""
        return not self.findings.unjudged and self.findings.judged == self.findings.convolutions

    def sections(self, *, ms_over: float = 0.1) -> Iterator[str | Table]:
        """Yield a table of the layers that take longer than ``ms_over``, and a line for each guideline."""
        shown = [timed for timed in self.violations if timed.ms > ms_over]
        if shown:
            columns: dict[str, Align] = {"": "left", "layer": "left", "what": "left"}
            columns |= {"ms": "right", "spread": "right", "instead": "left", "ms ": "right", "spread ": "right"}
            yield Table(columns, [_cells(timed) for timed in shown])
            yield ""
        yield from self._verdict()
        for guideline in sorted({timed.violation.guideline for timed in self.violations}):
            ours = [timed for timed in self.violations if timed.violation.guideline == guideline]
            total, instead = (sum(times) for times in zip(*((each.ms, each.instead_ms) for each in ours), strict=True))
            layers = pluralise(len(ours), "layer")
            yield f"{guideline}: {layers}, {total:.2f} ms; instead {instead:.2f} ms, each timed alone"
        if hidden := len(self.violations) - len(shown):
            yield f"{hidden} of them take up to {ms_over:g} ms each and are not shown (--ms-over)"
        yield f"{self.choice}; {self.machine}"

    def _verdict(self) -> Iterator[str]:
        """What was looked at, and what was not."""
        found = self.findings
        if not self.is_complete:
            yield f"{found.judged} of {pluralise(found.convolutions, 'convolution')} could be judged; not judged:"
            yield from (f"  {each.layer}: {each.reason}" for each in found.unjudged[:_UNJUDGED_SHOWN])
            if len(found.unjudged) > _UNJUDGED_SHOWN:
                yield f"  and {len(found.unjudged) - _UNJUDGED_SHOWN} more; --json names them all"
        if not self.violations and found.judged:
            were = "was" if found.judged == 1 else "were"
            yield f"no layer goes against a guideline; {pluralise(found.judged, 'convolution')} {were} judged"
        elif not self.violations and self.is_complete:
            yield "no convolution in this graph, and no operation that goes against a guideline"

    def to_dict(self) -> dict[str, Any]:
        """Return every violation, and what could not be judged, as JSON values."""
        return {
            "model": self.model,
            "remark": self.remark,
            "convolutions": self.findings.convolutions,
            "judged": self.findings.judged,
            "unjudged": [to_dict(each) for each in self.findings.unjudged],
            "engine": to_dict(self.choice),
            "machine": to_dict(self.machine),
            "layers": [timed.to_dict() for timed in self.violations],
        }


def lint(
    model: "str | os.PathLike[str] | nn.Module | RunLike",
    *,
    form: NetworkForm = BY_NAME,
    size: Size | None = None,
    shapes: InputShapes | None = None,
    engine: str = "onnxruntime",
    precision: str | None = None,
    threads: int | None = None,
    seconds: float = 0.2,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> LintReport:
    """Find the layers that go against ShuffleNetV2's guidelines, and measure each beside a better one of equal MACs.

    Args:
        model: as for `litevision.profile`.
        form: how a network is built from its name.
        size: of the images in pixels, one side or (height, width), for a file that leaves it open.
        shapes: of inputs by name, for what else a file leaves open.
        engine: onnxruntime or openvino.
        precision: fp32, or bf16 where engine and processor have it.
        threads: that compute a layer; by default all there are.
        seconds: measured time for each layer and for its alternative; equal layers are timed once.
        on_progress: is told how many layers are done, of how many.

    Raises:
        LitevisionError: no such model, a broken file, an engine that is not installed, or no time.
    """
    choice = engine_choice(engine, precision, threads=threads)
    machine = Machine.here()
    notes: list[str] = []
    with graph_file(model, form=form, size_hw=pair_of(size), notes=notes) as path:
        timed, findings = time_violations(
            path, choice, size_hw=pair_of(size), shapes=shapes, seconds=seconds, on_progress=on_progress
        )
    return LintReport(title_of(model), choice, machine, tuple(timed), findings, " ".join(notes))


def time_violations(
    path: Path,
    choice: EngineChoice,
    *,
    size_hw: tuple[int, int] | None = None,
    shapes: InputShapes | None = None,
    seconds: float = 0.2,
    opened_by: Callable[..., Engine] = open_engine,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> tuple[list[TimedViolation], Findings]:
    """Time every layer of a file that goes against a guideline, in the order of the graph.

    Args:
        size_hw: of the images, for a file that leaves it open.
        shapes: of inputs by name, for what else a file leaves open.
        seconds: measured time for each layer, and for what could stand in its place; layers alike are timed once.
        opened_by: opens the engines.
        on_progress: told how many layers are done, of how many.

    Raises:
        UsageError: no time.
        LitevisionError: as for `litevision.cost.graph.graph_ledger` and `litevision.runtime.engines.open_engine`.
    """
    if not seconds > 0:
        raise UsageError(f"{seconds:g} seconds for each layer; expected more than 0.")
    findings = find_violations(path, choice, size_hw=size_hw, shapes=shapes, opened_by=opened_by)
    found = findings.violations
    timed: dict[tuple[str, str], TimedViolation | str] = {}
    timed_violations, unjudged = [], list(findings.unjudged)
    for number, violation in enumerate(found):
        on_progress(number, len(found))
        alike = timed.get((violation.what, violation.instead))
        if alike is None:
            alike = timed[violation.what, violation.instead] = _timed(violation, choice, seconds, opened_by)
        if isinstance(alike, str):
            unjudged.append(Unjudged(violation.layer, alike))
        else:
            timed_violations.append(replace(alike, violation=violation))
    return timed_violations, replace(findings, unjudged=tuple(unjudged))


def _timed(
    violation: Violation, choice: EngineChoice, seconds: float, opened_by: Callable[..., Engine]
) -> TimedViolation | str:
    """A violation with its times, or why it cannot be timed."""
    models = [violation.model, violation.instead_model]
    try:
        calls = [timed_call(model, choice, opened_by) for model in models if model]
        taken = interleaved(calls, seconds)
    except Exception as error:  # the engines' own share no other base class: a node of a stranger's, run by itself
        return f"it cannot be run by itself ({reason_of(error)})"
    quarters = [1e3 * np.percentile(each, (25, 50, 75)) for each in taken]
    times = [(float(middle), float(high - low)) for low, middle, high in quarters]
    (ms, iqr_ms), (instead_ms, instead_iqr_ms) = (*times, (0.0, 0.0))[:2]
    return TimedViolation(violation, ms, iqr_ms, instead_ms, instead_iqr_ms)


def _cells(timed: TimedViolation) -> tuple[str, ...]:
    own, instead = (timed.ms, timed.iqr_ms), (timed.instead_ms, timed.instead_iqr_ms)
    violation = timed.violation
    return (
        *(violation.guideline, violation.layer, violation.what, *(f"{ms:.3f}" for ms in own)),
        *(violation.instead, *(f"{ms:.3f}" for ms in instead)),
    )
