"""What `litevision compare` does, once it is known that torch is there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from litevision import console
from litevision.cli.tables import print_table
from litevision.cli.training_run import chosen_recipe
from litevision.data import Issue
from litevision.errors import UnknownNameError, UsageError
from litevision.files import atomic_write, write_csv
from litevision.lab.compare.budget import Budget
from litevision.lab.compare.candidates import Candidate, find_candidates, ignored_options
from litevision.lab.compare.plans import plan_candidates
from litevision.lab.compare.plot import write_plot
from litevision.lab.compare.table import ComparisonRow, is_finished, measured_rows
from litevision.runtime.machine import Machine
from litevision.tables import Align, escape, pluralise
from litevision.training.checkpoint import NAME as LAST
from litevision.training.console import ConsoleListener, print_data, print_recipe
from litevision.training.plan import AnyPlan, first_network
from litevision.training.process import RunStopped
from litevision.training.run import train

COMPARISONS = ("centernet",)
MINUTES = 30.0


def run(
    what: str,
    data: Path,
    budget_given: tuple[float | None, int | None],
    names: Sequence[str],
    recipe_given: tuple[Path | None, Mapping[str, Any], Sequence[str]],
    *,
    output: Path | None,
    seconds: float,
    as_json: bool,
) -> int:
    """Plans, trains what is not trained yet, measures and writes; gives the exit code."""
    if what not in COMPARISONS:
        raise UnknownNameError.of("comparison", what, COMPARISONS)
    if not seconds > 0:
        raise UsageError(f"--seconds {seconds:g}; expected more than 0")
    budget = _budget(*budget_given)
    candidates = find_candidates(names)
    recipe = chosen_recipe(*recipe_given, "detection")
    name = data.stem if data.is_file() else data.resolve().name
    folder = output or Path("runs") / f"compare-{name}"
    try:
        plans = plan_candidates(
            data, recipe, candidates, budget, folder, on_data=partial(_tell_data, budget), on_epochs=_tell_epochs
        )
        if aside := ignored_options(recipe):
            console.note(f"set aside of the recipe, as each candidate has its own or begins fresh: {', '.join(aside)}")
        for candidate in candidates:
            _finish(candidate, plans[candidate.name], folder / candidate.name)
        console.note(f"measuring {len(candidates)} bundles in turns, about {seconds * len(candidates):.0f} s")
        machine = Machine.here()
        rows = measured_rows(candidates, folder, seconds)
    except RunStopped as stopped:
        console.note(f"stopped at {stopped.where}; the same command goes on")
        return 128 + stopped.signum
    except KeyboardInterrupt:
        console.note("stopped; the same command goes on")
        return 130
    plan = plans[candidates[0].name]
    document = _document(what, plan, budget, machine, rows)
    height, width = plan.preprocess.size_hw
    threads = f"{machine.usable_cpus} thread{'' if machine.usable_cpus == 1 else 's'}"
    timed = (
        f"onnxruntime {machine.versions['onnxruntime']}, fp32, {threads}, batch 1 at {height}x{width}, boxes decoded"
    )
    if as_json:
        print(json.dumps(document))
    else:
        _print(rows, budget, timed, machine)
    _write(folder, document, rows, budget, timed)
    return 0


def _budget(minutes: float | None, epochs: int | None) -> Budget:
    if minutes is not None and epochs is not None:
        raise UsageError(f"--minutes {minutes:g} and --epochs {epochs}: one budget is enough, leave out the other")
    return Budget(MINUTES if minutes is None else minutes, epochs)


def _finish(candidate: Candidate, plan: AnyPlan, folder: Path) -> None:
    """Trains a candidate from wherever it stands."""
    if is_finished(folder):
        console.note(f"{candidate.name}: trained already, {folder}")
        return
    network = None if (folder / LAST).exists() else first_network(plan)
    console.note(f"{candidate.name}: {'training' if network else 'going on'}")
    print_recipe(plan, folder)
    with ConsoleListener(plan, folder) as listener:
        train(plan, network, folder, listener)


def _tell_data(budget: Budget, plan: AnyPlan, faults: Sequence[Issue]) -> None:
    print_data(plan, faults)
    if budget.epochs is None:
        console.note("timing the first steps of each candidate")


def _tell_epochs(candidate: Candidate, seconds: float, epochs: int) -> None:
    console.note(f"{candidate.name}: an epoch takes about {seconds:.3g} s here, so it gets {epochs:,}")


def _document(
    what: str, plan: AnyPlan, budget: Budget, machine: Machine, rows: Sequence[ComparisonRow]
) -> dict[str, Any]:
    return {
        "format_version": 1,
        "comparison": what,
        "data": plan.data.root.name,
        "classes": list(plan.data.classes),
        "size_hw": list(plan.preprocess.size_hw),
        "budget": {"minutes": None if budget.epochs else budget.minutes, "epochs": budget.epochs},
        "batch_size": plan.recipe.schedule.batch_size,
        "precision": plan.recipe.run.precision,
        "seed": plan.recipe.run.seed,
        "machine": asdict(machine),
        "rows": [asdict(row) for row in rows],
    }


def _print(rows: Sequence[ComparisonRow], budget: Budget, timed: str, machine: Machine) -> None:
    columns: dict[str, Align] = {"candidate": "left"}
    names = ("params", "MB", "GMACs", "ms", "spread", "epochs", "minutes", "loss", "AP", "AP50")
    columns |= dict.fromkeys(names, "right")
    print_table(
        columns,
        [
            (
                row.candidate,
                f"{row.num_params:,}",
                f"{row.bundle_bytes / 1e6:.1f}",
                f"{row.macs / 1e9:.2f}",
                *(f"{value:.1f}" for value in (row.median_ms, row.p75_ms - row.p25_ms)),
                f"{row.epochs:,}",
                f"{row.minutes:.1f}",
                *(f"{value:.3f}" for value in (row.train_loss, row.ap, row.ap50)),
            )
            for row in rows
        ],
    )
    print(f"\nAP, AP50  {_scored(rows[0])}, from the bundle in onnxruntime")
    print(f"ms        {timed}; the spread is the middle half's")
    print(f"budget    {budget} for each candidate; minutes are those of the steps; the loss is the last epoch's")
    print(f"machine   {machine}")


def _scored(row: ComparisonRow) -> str:
    return f"{row.split} split, {pluralise(row.images)} with {row.boxes:,} boxes"


def _write(
    folder: Path, document: Mapping[str, Any], rows: Sequence[ComparisonRow], budget: Budget, timed: str
) -> None:
    """Writes the table as CSV and JSON, and the plot."""
    size, versions = "x".join(map(str, document["size_hw"])), document["machine"]["versions"]
    about = {
        "data": document["data"],
        "size": size,
        "budget_minutes": document["budget"]["minutes"],
        "budget_epochs": document["budget"]["epochs"],
        **{key: document[key] for key in ("batch_size", "precision", "seed")},
        **{key: document["machine"][key] for key in ("cpu", "cores", "usable_cpus", "load", "system")},
        **{key: versions[key] for key in ("litevision", "python", "onnxruntime")},
    }
    tables = [{**asdict(row), **about} for row in rows]
    title = f"CenterNets on {escape(document['data'])}, {_scored(rows[0])};\n{budget} each, from scratch"
    try:
        write_csv(folder / "comparison.csv", list(tables[0]), [list(table.values()) for table in tables])
        with atomic_write(folder / "comparison.json") as unfinished:
            unfinished.write_text(json.dumps(document, indent=1), "utf-8")
        write_plot(folder / "comparison.png", rows, title, f"{timed}\n{document['machine']['cpu']}")
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror}); give another --output") from None
    console.note(f"wrote {', '.join(str(folder / f'comparison.{form}') for form in ('csv', 'json', 'png'))}")
