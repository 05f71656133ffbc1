"""Choose among published networks by score, predicted latency and size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from litevision.lab.choose.candidates import Candidate, check_classes, published_candidates
from litevision.lab.choose.pareto import Budget, pareto_front, parse_budget
from litevision.lab.latency import LatencyModel, calibrate, latency_model
from litevision.outputs import check_output, kind_named
from litevision.registry import ALIASES
from litevision.runtime.engines import EngineChoice, engine_choice
from litevision.runtime.machine import Machine
from litevision.runtime.schema import to_dict
from litevision.tables import Align, Report, Table


@dataclass(frozen=True)
class Choice(Report):
    """The published networks, the Pareto-optimal ones among them, and those of these within the budgets.

    Attributes:
        candidates: every network and input size, the quickest first.
        budgets: what may be spent.
        classes: how many the networks tell apart.
        choice: the engine and how it computes.
        latency: what predicted the milliseconds.
    """

    candidates: tuple[Candidate, ...]
    budgets: tuple[Budget, ...]
    classes: int
    choice: EngineChoice
    latency: LatencyModel
    machine: Machine

    @cached_property
    def front(self) -> tuple[Candidate, ...]:
        """The candidates that are Pareto-optimal in score, time and size, the quickest first."""
        return tuple(pareto_front(self.candidates))

    @cached_property
    def fitting(self) -> tuple[Candidate, ...]:
        """Those of the front that stay within all budgets."""
        return tuple(it for it in self.front if self._fits(it))

    def sections(self, *, every: bool = False) -> Iterator[str | Table]:
        """Yield a table of the fitting candidates, or of ``every`` one, and what was compared, how and where."""
        shown = self.candidates if every else self.fitting
        if shown:
            yield self._table(shown, mark=every)
            yield ""
        yield self._conclusion()
        if self.fitting and self.classes != 1000:
            yield f"to train the most exact: {train_command(max(self.fitting, key=lambda it: it.top1))}"
        yield f"top-1 is its publisher's, on ImageNet; ms are predicted for {self.choice}, batch 1"
        yield (
            f"of the {self.latency.num_networks} synthetic networks of the calibration, half are predicted within "
            f"{self.latency.typical_error:.0%} by the others, the worst within {self.latency.worst_error:.0%}"
        )
        if self.latency.is_noisy:
            yield "other work disturbed the calibration; when it is done, --calibrate measures again"
        yield str(self.machine)

    def records(self) -> list[dict[str, Any]]:
        """Return the candidates flat, each with the conditions of its prediction, as for a CSV file."""
        conditions = {"engine": f"{self.choice}, batch 1", "machine": str(self.machine)}
        return [
            {**to_dict(it), "size_hw": "x".join(map(str, it.size_hw)), "frontier": it in self.front, **conditions}
            for it in self.candidates
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return every candidate, the budgets and the calibration as JSON values."""
        return {
            "classes": self.classes,
            "budgets": to_dict(self.budgets),
            "engine": to_dict(self.choice),
            "machine": to_dict(self.machine),
            "calibration": to_dict(self.latency),
            "candidates": [
                {**to_dict(it), "frontier": it in self.front, "fits": self._fits(it), "train": train_command(it)}
                for it in self.candidates
            ],
        }

    def plot(self, path: str | Path) -> None:
        """Write score over predicted milliseconds into a .png or .svg file.

        Raises:
            UsageError: another ending, or a file there that is no plot of litevision.
        """
        check_output(path, kind_named("plot", path))
        from litevision.lab.choose.plot import plot

        title = f"{self.choice}, batch 1, {self.classes:,} classes; {self.machine.cpu}"
        plot(Path(path), self.candidates, self.front, self.budgets, title)

    def _fits(self, candidate: Candidate) -> bool:
        return all(budget.allows(candidate) for budget in self.budgets)

    def _table(self, shown: Sequence[Candidate], *, mark: bool) -> Table:
        columns: dict[str, Align] = {"network": "left", "dialect": "left"}
        columns |= dict.fromkeys(("width", "size", "top-1", "ms", "MB", "MMACs"), "right")
        columns |= {"weights": "left", **({"": "left"} if mark else {})}
        rows = [
            (
                it.name,
                it.dialect,
                f"{it.width_mult:g}",
                "x".join(map(str, dict.fromkeys(it.size_hw))),
                f"{it.top1:.1f}",
                f"{it.ms:.2f}",
                f"{it.num_bytes / 1e6:.1f}",
                f"{it.macs / 1e6:.0f}",
                it.weights,
                *(("frontier" if it in self.front else "",) if mark else ()),
            )
            for it in shown
        ]
        return Table(columns, rows)

    def _conclusion(self) -> str:
        within = " and ".join(map(str, self.budgets))
        count = len(self.candidates)
        if not self.fitting:
            quickest = min(self.candidates, key=lambda it: it.ms)
            smallest = min(self.candidates, key=lambda it: it.num_bytes)
            return (
                f"none of {count} candidates fits into {within}; the quickest takes {quickest.ms:.2f} ms "
                f"({quickest.weights}), the smallest {smallest.num_bytes / 1e6:.1f} MB ({smallest.weights})"
            )
        where = f", {len(self.fitting)} of these {'is' if len(self.fitting) == 1 else 'are'} within {within}"
        front = f"{len(self.front)} of {count} candidates are Pareto-optimal in score, time and size"
        return front + (where if self.budgets else "")


def choose(
    budget: str | Sequence[str] = (),
    *,
    classes: int = 1000,
    engine: str = "onnxruntime",
    precision: str | None = None,
    threads: int | None = None,
    recalibrate: bool = False,
    calibrate: Callable[[EngineChoice], LatencyModel] = calibrate,
    on_network: Callable[[int, int], object] = lambda done, total: None,
) -> Choice:
    """List the published networks that are Pareto-optimal in score, time and size on this machine.

    Nothing is downloaded and no candidate is run: its milliseconds are predicted from its layers, by rates that this
    machine is calibrated for on first use, which takes about a minute.

    Args:
        budget: the most that an image may take or a bundle may weigh, such as ``5ms``, ``6MB``, or both.
        classes: how many the network shall tell apart.
        engine: onnxruntime or openvino.
        precision: fp32, or bf16 where engine and processor have it.
        threads: that compute an image; by default all there are.
        recalibrate: measure this machine again.
        calibrate: measures this machine.
        on_network: is told how many candidates are counted, of how many.

    Raises:
        LitevisionError: a budget that is none, no classes, or an engine that is not installed.
    """
    check_classes(classes)
    budgets = tuple(parse_budget(text) for text in ([budget] if isinstance(budget, str) else budget))
    choice = engine_choice(engine, precision, threads=threads)
    machine = Machine.here()
    latency = latency_model(choice, anew=recalibrate, made_by=calibrate)
    found = sorted(published_candidates(latency, classes, on_network=on_network), key=lambda it: it.ms)
    return Choice(tuple(found), budgets, classes, choice, latency, machine)


def train_command(candidate: Candidate) -> str:
    """Return the command that trains ``candidate`` on a user's own images."""
    has_width = candidate.width_mult == 1 or candidate.name in ALIASES
    width = "" if has_width else f" --set model.width={candidate.width_mult:g}"
    size = "x".join(map(str, dict.fromkeys(candidate.size_hw)))
    model = f"--model {candidate.name} --weights {candidate.weights}"
    return f"litevision train DATA {model} --size {size}{width}"
