"""What `litevision train` does, once it is known that torch is there."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lightning_fabric.utilities.rank_zero import rank_zero_only
from torch import nn

from litevision import console
from litevision.cli.checks import parse_size
from litevision.data import Issue
from litevision.errors import UsageError
from litevision.tasks import DEFAULT, Task, task_of, task_of_data
from litevision.training.checkpoint import NAME as LAST
from litevision.training.console import ConsoleListener, print_data, print_recipe, print_results
from litevision.training.finish import RESULTS
from litevision.training.plan import AnyPlan, first_network, make_plan, read_plan
from litevision.training.process import RunStopped, require_processes
from litevision.training.recipe import Recipe
from litevision.training.recipe_file import make_recipe, read_recipe, read_settings, recipe_toml
from litevision.training.run import train


def run(
    data: Path | None,
    recipe_file: Path | None,
    given: Mapping[str, Any],
    settings: Sequence[str],
    *,
    name: str | None,
    output: Path,
    resume: Path | None,
    show_recipe: bool,
) -> int:
    """Plans or resumes a run, trains, and prints what came of it; gives the exit code."""
    network: nn.Module | None
    if resume is not None:
        _refuse_beside_resume(data, recipe_file, given, settings, name)
        folder = resume
        plan = read_plan(folder)
        if (folder / RESULTS).exists():
            raise UsageError(f"{folder}: this run is finished; its report is {folder / 'report.html'}")
        require_processes(plan.recipe.run.devices)
        network = None if (folder / LAST).exists() else first_network(plan)
        _say(f"resuming {folder}")
    else:
        task = task_of(DEFAULT) if data is None else task_of_data(data)
        recipe = chosen_recipe(recipe_file, given, settings, task)
        if show_recipe:
            print(recipe_toml(recipe), end="")
            return 0
        if data is None:
            raise UsageError("give the folder of labelled images: litevision train DATA (or --resume RUN)")
        name = name or f"{recipe.model.name}-{datetime.now():%Y%m%d-%H%M%S}"
        folder = output / name
        require_processes(recipe.run.devices)
        plan, network, faults = make_plan(data, recipe, name)
        _begin(plan, faults, folder)
    print_recipe(plan, folder)
    try:
        with ConsoleListener(plan, folder) as listener:
            results = train(plan, network, folder, listener)
    except RunStopped as stopped:
        _say(f"stopped at {stopped.where}; go on with: litevision train --resume {folder}")
        # Lightning kills the first process as soon as another one fails.
        return 0 if getattr(rank_zero_only, "rank", 0) else 128 + stopped.signum
    if results:
        print_results(results, folder)
    return 0


@rank_zero_only
def _begin(plan: AnyPlan, faults: Sequence[Issue], folder: Path) -> None:
    """Shows the data and writes the plan: in the first process, the others plan the same for themselves."""
    print_data(plan, faults)
    plan.write(folder)


@rank_zero_only
def _say(line: str) -> None:
    console.note(line)


def chosen_recipe(file: Path | None, given: Mapping[str, Any], settings: Sequence[str], task: Task | str) -> Recipe:
    """The task's default, the file, the options and ``--set``, each over the one before."""
    tables: dict[str, dict[str, Any]] = {}
    for name, value in given.items():
        table, _, key = name.partition(".")
        tables.setdefault(table, {})[key] = list(parse_size(value)) if key == "size_hw" else value
    if file is None:
        return make_recipe(tables, read_settings(settings), origin="the command line", task=task)
    in_file = read_recipe(file)
    make_recipe(in_file, origin=str(file), task=task)  # its own faults under its own name
    return make_recipe(in_file, tables, read_settings(settings), origin="the command line", task=task)


def _refuse_beside_resume(*others: object) -> None:
    if any(others):
        raise UsageError("--resume goes on with a run as it was planned; give nothing else with it")
