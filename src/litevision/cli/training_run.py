"""What `litevision train` does, once it is known that torch is there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_fabric.utilities.rank_zero import rank_zero_only
from torch import nn

from litevision import console
from litevision.cli.checks import parse_size
from litevision.errors import UsageError
from litevision.tasks import DEFAULT, Task, task_of, task_of_data
from litevision.training.console import print_results
from litevision.training.plan import make_plan
from litevision.training.process import RunStopped, require_processes
from litevision.training.recipe import Recipe
from litevision.training.recipe_file import read_settings, recipe_toml
from litevision.training.train import begin, choose_recipe, default_name, resumed_plan, train_with_callbacks


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
        device = given.get("run.device")
        others = {key: value for key, value in given.items() if key != "run.device"}
        _refuse_beside_resume(data, recipe_file, others, settings, name)
        folder = resume
        plan, network = resumed_plan(folder, device)
        _say(f"resuming {folder}")
    else:
        task = task_of(DEFAULT) if data is None else task_of_data(data)
        recipe = chosen_recipe(recipe_file, given, settings, task)
        if show_recipe:
            print(recipe_toml(recipe), end="")
            return 0
        if data is None:
            raise UsageError("give the folder of labelled images: litevision train DATA (or --resume RUN)")
        name = name or default_name(recipe)
        folder = output / name
        require_processes(recipe.run.devices)
        plan, network, issues = make_plan(data, recipe, name)
        begin(plan, issues, folder)
    try:
        results = train_with_callbacks(plan, network, folder, ())
    except RunStopped as stopped:
        _say(f"stopped at {stopped.where}; go on with: litevision train --resume {folder}")
        # Lightning kills the first process as soon as another one fails.
        return 0 if getattr(rank_zero_only, "rank", 0) else 128 + stopped.signum
    if results:
        print_results(results, folder)
    return 0


@rank_zero_only
def _say(line: str) -> None:
    console.note(line)


def chosen_recipe(file: Path | None, given: Mapping[str, Any], settings: Sequence[str], task: Task | str) -> Recipe:
    """The task's default, the file, the options and ``--set``, each over the one before."""
    options = {
        key: list(parse_size(value)) if key == "model.size_hw" and isinstance(value, str) else value
        for key, value in given.items()
    }
    task = task_of(task) if isinstance(task, str) else task
    return choose_recipe(task, file, options, read_settings(settings), origin="the command line")


def _refuse_beside_resume(*others: object) -> None:
    if any(others):
        raise UsageError("--resume goes on with a run as it was planned; give nothing else with it")
