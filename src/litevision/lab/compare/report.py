"""Train candidates under one recipe and budget, and report them in one table and one plot."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from litevision import console
from litevision.cost.rows import Size, pair_of
from litevision.data import Issue
from litevision.errors import UsageError
from litevision.files import atomic_write, write_csv
from litevision.lab.compare.budget import Budget
from litevision.lab.compare.candidates import Candidate, find_candidates, ignored_options
from litevision.lab.compare.plans import plan_candidates
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


@dataclass(frozen=True)
class Comparison(Report):
    """Detectors that were trained alike on the same images.

    Attributes:
        folder: holds a run for each candidate, and the comparison as CSV, JSON and plot.
        plan: of the first candidate, whose data, preprocessing and schedule all share.
        budget: of each candidate.
        rows: a candidate each.
    """

    folder: Path
    plan: AnyPlan
    budget: Budget
    machine: Machine
    rows: tuple[ComparisonRow, ...]

    def sections(self) -> Iterator[str | Table]:
        """Yield the table, and what its figures are measured on."""
        columns: dict[str, Align] = {"candidate": "left"}
        names = ("params", "MB", "GMACs", "ms", "spread", "epochs", "minutes", "loss", "AP", "AP50")
        yield Table({**columns, **dict.fromkeys(names, "right")}, [_cells(row) for row in self.rows])
        yield f"\nAP, AP50  {self._scored}, from the bundle in onnxruntime"
        yield f"ms        {self._timed}; the spread is the middle half's"
        notes = "minutes are those of the steps; the loss is the last epoch's"
        yield f"budget    {self.budget} for each candidate; {notes}"
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
        threads = f"{self.machine.usable_cpus} thread{'' if self.machine.usable_cpus == 1 else 's'}"
        version = self.machine.versions["onnxruntime"]
        return f"onnxruntime {version}, fp32, {threads}, batch 1 at {height}x{width}, boxes decoded"

    def _records(self) -> list[dict[str, Any]]:
        plain, machine = self.to_dict(), self.machine
        about = {
            "data": plain["data"],
            "size": "x".join(map(str, plain["size_hw"])),
            "budget_minutes": plain["budget"]["minutes"],
            "budget_epochs": plain["budget"]["epochs"],
            **{key: plain[key] for key in ("batch_size", "precision", "seed")},
            **{key: getattr(machine, key) for key in ("cpu", "cores", "usable_cpus", "load", "system")},
            **{key: machine.versions[key] for key in ("litevision", "python", "onnxruntime")},
        }
        return [{**row, **about} for row in plain["rows"]]


def compare(
    data: str | Path,
    *,
    candidates: Sequence[str] = (),
    minutes: float | None = None,
    epochs: int | None = None,
    size: Size | None = None,
    recipe: Recipe | str | Path | None = None,
    output: str | Path | None = None,
    seconds: float = 5.0,
) -> Comparison:
    """Train DLASeg and MobileNet CenterNets under one recipe and budget, and measure them side by side.

    All begin from scratch. Minutes become epochs by the time that one takes here, so that every schedule ends with the
    budget. Interrupted, the same call goes on; what is finished is not trained again.

    Args:
        data: images with boxes: Pascal VOC, COCO, YOLO, CVAT, LabelMe or CSV of boxes.
        candidates: of dlaseg, v1-reshape, v1-light, v2-reshape and v2-light; all by default.
        minutes: of training for each candidate; 30 by default.
        epochs: for each candidate, in place of minutes.
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
    budget = Budget(MINUTES if minutes is None else minutes, epochs)
    chosen = find_candidates(candidates)
    data = Path(data)
    if not isinstance(recipe, Recipe):
        size_hw = pair_of(size)
        layers = [read_recipe(Path(recipe))] if recipe else []
        layers += [{"model": {"size_hw": list(size_hw)}}] if size_hw else []
        recipe = make_recipe(*layers, task="detection")
    folder = (
        Path(output) if output else Path("runs") / f"compare-{data.stem if data.is_file() else data.resolve().name}"
    )
    told = partial(_tell_data, budget)
    plans = plan_candidates(data, recipe, chosen, budget, folder, on_data=told, on_epochs=_tell_epochs)
    if ignored := ignored_options(recipe):
        console.note(
            f"options of the recipe that are ignored, as each candidate has its own or begins from scratch: "
            f"{', '.join(ignored)}"
        )
    for candidate in chosen:
        _finish(candidate, plans[candidate.name], folder / candidate.name)
    console.note(f"measuring {len(chosen)} bundles, calls interleaved, about {seconds * len(chosen):.0f} s")
    machine = Machine.here()
    rows = measured_rows(chosen, folder, seconds)
    found = Comparison(folder, plans[chosen[0].name], budget, machine, tuple(rows))
    console.note(f"wrote {', '.join(map(str, found.write()))}")
    return found


def _finish(candidate: Candidate, plan: AnyPlan, folder: Path) -> None:
    """Train a candidate from wherever it stands."""
    if is_finished(folder):
        console.note(f"{candidate.name}: trained already, {folder}")
        return
    require_same_data(plan, folder)
    network = None if (folder / LAST).exists() else first_network(plan)
    console.note(f"{candidate.name}: {'training' if network else 'going on'}")
    print_recipe(plan, folder)
    with ConsoleListener(plan, folder) as listener:
        train(plan, network, folder, listener)


def _tell_data(budget: Budget, plan: AnyPlan, issues: Sequence[Issue]) -> None:
    print_data(plan, issues)
    if budget.epochs is None:
        console.note("timing the first steps of each candidate")


def _tell_epochs(candidate: Candidate, seconds: float, epochs: int) -> None:
    console.note(f"{candidate.name}: an epoch takes about {seconds:.3g} s here, so it gets {epochs:,}")


def _cells(row: ComparisonRow) -> tuple[str, ...]:
    return (
        row.candidate,
        f"{row.num_params:,}",
        f"{row.bundle_bytes / 1e6:.1f}",
        f"{row.macs / 1e9:.2f}",
        *(f"{value:.1f}" for value in (row.median_ms, row.p75_ms - row.p25_ms)),
        f"{row.epochs:,}",
        f"{row.minutes:.1f}",
        *(f"{value:.3f}" for value in (row.train_loss, row.ap, row.ap50)),
    )
