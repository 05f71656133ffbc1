"""Train candidates under one recipe and budget, plain and augmented, and report them in one table and one plot."""

import itertools
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from litevision import console
from litevision.cost.rows import Size, pair_of
from litevision.data import Issue
from litevision.errors import UsageError
from litevision.files import atomic_write, write_csv
from litevision.lab.compare.budget import Budget
from litevision.lab.compare.candidates import (
    CANDIDATES,
    Candidate,
    Trial,
    find_candidates,
    find_regimes,
    ignored_options,
)
from litevision.lab.compare.plans import plan_trials
from litevision.lab.compare.plot import write_plot
from litevision.lab.compare.table import ComparisonRow, is_finished, measured_rows
from litevision.runtime.machine import Machine
from litevision.runtime.schema import to_dict
from litevision.tables import Align, Report, Table, escape, pluralise
from litevision.training.checkpoint import NAME as LAST
from litevision.training.console import ConsoleListener, print_data, print_recipe
from litevision.training.plan import AnyPlan, first_network
from litevision.training.recipe import Recipe
from litevision.training.recipe_file import make_recipe, read_recipe
from litevision.training.run import train
from litevision.training.same_data import require_same_data

MINUTES = 30.0
DEFAULTS: dict[str, dict[str, Any]] = {
    "schedule": {"batch_size": 16},
    "detection": {"center_radius": 0},
}
"""Tables over the defaults of detection where no recipe is given: batches and loss of the published comparison."""


@dataclass(frozen=True)
class Comparison(Report):
    """Detectors that were trained alike on the same images.

    Attributes:
        folder: holds a run for each trial, and the comparison as CSV, JSON and plot.
        plan: of the first trial, whose data, preprocessing and schedule all share.
        budget: of each trial.
        rows: a trial each.
    """

    folder: Path
    plan: AnyPlan
    budget: Budget
    machine: Machine
    rows: tuple[ComparisonRow, ...]

    def sections(self) -> Iterator[str | Table]:
        """Yield the table, and what its figures are measured on."""
        split = self.rows[0].split
        columns: dict[str, Align] = {"candidate": "left", "regime": "left"}
        names = ("params", "MB", "GMACs", "ms", "spread", "epochs", "minutes", "runs", "loss")
        scores = ("train AP", f"{split} AP", "AP50")
        groups: dict[str, dict[str, list[ComparisonRow]]] = {}
        for row in self.rows:
            groups.setdefault(row.candidate, {}).setdefault(row.regime, []).append(row)
        cells = [
            line
            for name, by_regime in groups.items()
            for line in (*_published_cells(CANDIDATES[name]), *map(_cells, by_regime.values()))
        ]
        yield Table({**columns, **dict.fromkeys(names + scores, "right")}, cells)
        yield "\npublished what the source of the comparison says; it names neither processor nor images"
        if any(row.regime == "plain" for row in self.rows):
            yield "plain     images as they are in every epoch; augmented ones are drawn anew"
        yield "loss      mean of the last epoch over its images as they were shown"
        yield f"train AP  {pluralise(self.rows[0].train_images)} that were learned from, as they are"
        yield f"AP, AP50  {self._scored}, from the bundle in onnxruntime"
        if len(self.rows) > sum(map(len, groups.values())):
            yield "runs      of several seeds: their mean and, behind ±, their standard deviation"
        yield f"ms        {self._timed}; the spread is the middle half's"
        yield f"budget    {self.budget} for each run; minutes are those of the steps"
        yield f"machine   {self.machine}"

    def to_dict(self) -> dict[str, Any]:
        """Return the rows and all that the candidates share as JSON values."""
        plan, budget = self.plan, self.budget
        return {
            "format_version": 1,
            "comparison": "centernet",
            "data": plan.data.root.name,
            "classes": list(plan.data.classes),
            "size_hw": list(plan.preprocess.size_hw),
            "budget": {"minutes": None if budget.epochs else budget.minutes, "epochs": budget.epochs},
            "batch_size": plan.recipe.schedule.batch_size,
            "precision": plan.recipe.run.precision,
            "seed": plan.recipe.run.seed,
            "machine": to_dict(self.machine),
            "published": {name: to_dict(it.published) for name, it in CANDIDATES.items() if it.published is not None},
            "rows": to_dict(self.rows),
        }

    def write(self) -> list[Path]:
        """Write the comparison as CSV, JSON and plot into its folder, and return the files.

        Raises:
            UsageError: the folder cannot be written.
        """
        table, document, image = files = [self.folder / f"comparison.{form}" for form in ("csv", "json", "png")]
        records = self._records()
        data = escape(self.plan.data.root.name)
        title = f"CenterNets on {data}, {self._scored};\n{self.budget} each, from scratch"
        try:
            write_csv(table, list(records[0]), [list(record.values()) for record in records])
            with atomic_write(document) as unfinished:
                unfinished.write_text(json.dumps(self.to_dict(), indent=1), "utf-8")
            write_plot(image, self.rows, title, f"{self._timed}\n{self.machine.cpu}")
        except OSError as error:
            raise UsageError(f"{self.folder}: cannot be written ({error.strerror}); give another --output") from None
        return files

    @property
    def _scored(self) -> str:
        row = self.rows[0]
        return f"{row.split} split, {pluralise(row.images)} with {row.boxes:,} boxes"

    @property
    def _timed(self) -> str:
        height, width = self.plan.preprocess.size_hw
        threads = pluralise(self.machine.usable_cpus, "thread")
        version = self.machine.versions["onnxruntime"]
        return f"onnxruntime {version}, fp32, {threads}, batch 1 at {height}x{width}, boxes decoded"

    def _records(self) -> list[dict[str, Any]]:
        plain, machine = self.to_dict(), self.machine
        about = {
            "data": plain["data"],
            "size": "x".join(map(str, plain["size_hw"])),
            "budget_minutes": plain["budget"]["minutes"],
            "budget_epochs": plain["budget"]["epochs"],
            **{key: plain[key] for key in ("batch_size", "precision")},
            **{key: getattr(machine, key) for key in ("cpu", "cores", "usable_cpus", "load", "system")},
            **{key: machine.versions[key] for key in ("litevision", "python", "onnxruntime")},
        }
        return [{**row, **about} for row in plain["rows"]]


def compare(
    data: str | Path,
    *,
    candidates: Sequence[str] = (),
    regimes: Sequence[str] = (),
    seeds: int = 1,
    images: int | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    size: Size | None = None,
    recipe: Recipe | str | Path | None = None,
    output: str | Path | None = None,
    seconds: float = 5.0,
) -> Comparison:
    """Train DLASeg and small detectors under one recipe and budget, and measure them side by side.

    All begin from scratch, and each trains on images as they are and once more on augmented ones. Minutes become epochs
    by the time that one takes here, so that every schedule ends with the budget. Interrupted, the same call goes on;
    what is finished is not trained again, and further seeds that lie in the folder count.

    Args:
        data: images with boxes: Pascal VOC, COCO, YOLO, CVAT, LabelMe or CSV of boxes.
        candidates: of `CANDIDATES`, such as v1-light and nanodet-plus; all by default.
        regimes: of plain and augmented; both by default.
        seeds: how often each is trained, with the recipe's seed and those after it.
        images: of the training images, and at most as many for validation; all by default.
        minutes: of training for each run; 30 by default.
        epochs: for each run, in place of minutes.
        size: of the input in pixels, one side or (height, width), in place of the recipe's.
        recipe: for all candidates, or its file.
        output: the folder; ``runs/compare-DATA`` by default.
        seconds: of inference that are measured for each candidate.

    Raises:
        RunStopped: a signal came; the same call goes on.
        LitevisionError: data or a recipe that cannot be used, too short a budget, a folder of another comparison.
    """
    if not seconds > 0:
        raise UsageError(f"--seconds {seconds:g}; expected more than 0")
    if minutes is not None and epochs is not None:
        raise UsageError(f"--minutes {minutes:g} and --epochs {epochs}: one budget is enough, leave out the other")
    for name, count in (("seeds", seeds), ("images", images)):
        if count is not None and count < 1:
            raise UsageError(f"--{name} {count}; expected at least 1")
    budget = Budget(MINUTES if minutes is None else minutes, epochs)
    chosen, kinds = find_candidates(candidates), find_regimes(regimes)
    trials = [Trial(it, kind, draw) for draw in range(seeds) for it in chosen for kind in kinds]
    data = Path(data)
    if not isinstance(recipe, Recipe):
        size_hw = pair_of(size)
        layers = [read_recipe(Path(recipe)) if recipe else DEFAULTS]
        layers += [{"model": {"size_hw": list(size_hw)}}] if size_hw else []
        recipe = make_recipe(*layers, task="detection")
    if images is not None:
        recipe = _with_images(recipe, images)
    folder = (
        Path(output) if output else Path("runs") / f"compare-{data.stem if data.is_file() else data.resolve().name}"
    )
    told = partial(_tell_data, budget)
    plans = plan_trials(data, recipe, trials, budget, folder, on_data=told, on_epochs=_tell_epochs)
    if ignored := ignored_options(recipe):
        console.note(
            f"options of the recipe that are ignored, as each candidate has its own or begins from scratch: "
            f"{', '.join(ignored)}"
        )
    for trial in trials:
        _finish(trial, plans[trial.name], folder / trial.name)
    measured = f"measuring {pluralise(len(chosen), 'bundle')}, calls interleaved, about {seconds * len(chosen):.0f} s"
    console.note(f"scoring the images that were learned from, then {measured}")
    machine = Machine.here()
    rows = measured_rows(_finished(chosen, kinds, folder), folder, seconds)
    found = Comparison(folder, plans[trials[0].name], budget, machine, tuple(rows))
    console.note(f"wrote {', '.join(map(str, found.write()))}")
    return found


def _with_images(recipe: Any, images: int) -> Recipe:
    fewer: Recipe = replace(recipe, detection=replace(recipe.detection, most_images=images))
    return fewer


def _finished(candidates: Sequence[Candidate], regimes: Sequence[str], folder: Path) -> list[Trial]:
    """All trials of these that lie finished in the folder, of whatever seed."""
    found: list[Trial] = []
    for candidate in candidates:
        for regime in regimes:
            trials = (Trial(candidate, regime, draw) for draw in itertools.count())
            found += itertools.takewhile(lambda trial: is_finished(folder / trial.name), trials)
    return found


def _finish(trial: Trial, plan: AnyPlan, folder: Path) -> None:
    """Carry a trial to its end from wherever it stands."""
    if is_finished(folder):
        console.note(f"{trial.name}: trained already, {folder}")
        return
    require_same_data(plan, folder)
    network = None if (folder / LAST).exists() else first_network(plan)
    console.note(f"{trial.name}: {'training' if network else 'going on'}")
    print_recipe(plan, folder)
    with ConsoleListener(plan, folder) as listener:
        train(plan, network, folder, listener)


def _tell_data(budget: Budget, plan: AnyPlan, issues: Sequence[Issue]) -> None:
    print_data(plan, issues)
    if budget.epochs is None:
        console.note("timing the first steps of each candidate")


def _tell_epochs(candidate: Candidate, seconds: float, epochs: int) -> None:
    console.note(f"{candidate.name}: an epoch takes about {seconds:.3g} s here, so it gets {epochs:,}")


def _published_cells(candidate: Candidate) -> list[tuple[str, ...]]:
    """The row of what was published of a candidate; none where nothing was."""
    if (it := candidate.published) is None:
        return []
    blank = "-"
    return [
        (
            *(candidate.name, "published", f"{it.params / 1e6:g} M", blank, blank, f"{it.ms:,.0f}"),
            *(blank, blank, blank, blank, it.loss or blank, blank, blank, blank),
        )
    ]


def _cells(rows: Sequence[ComparisonRow]) -> tuple[str, ...]:
    """The row of a candidate in a regime, over all its seeds."""
    row = rows[0]
    return (
        row.candidate,
        row.regime,
        f"{row.num_params:,}",
        f"{row.bundle_bytes / 1e6:.1f}",
        f"{row.macs / 1e9:.2f}",
        *(f"{value:.1f}" for value in (row.median_ms, row.p75_ms - row.p25_ms)),
        f"{row.epochs:,}",
        f"{statistics.mean(it.minutes for it in rows):.1f}",
        str(len(rows)),
        *(_mean([getattr(it, figure) for it in rows]) for figure in ("train_loss", "train_ap", "ap", "ap50")),
    )


def _mean(values: Sequence[float]) -> str:
    """The mean, and of several values their standard deviation."""
    spread = f" ±{statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"
