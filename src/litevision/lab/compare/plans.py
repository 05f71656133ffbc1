"""Plan a comparison: one folder, with a planned run for each trial."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from litevision.data import Issue
from litevision.data.formats import format_names
from litevision.errors import DataError, FileMissingError, TrainingError, UsageError, reason_of
from litevision.files import atomic_write
from litevision.lab.compare.budget import Budget, measure_epoch
from litevision.lab.compare.candidates import CANDIDATES, Candidate, Trial, recipe_for
from litevision.tasks import task_of, task_of_data
from litevision.training.plan import PLAN, AnyPlan, make_plan, read_plan
from litevision.training.recipe import Recipe
from litevision.training.recipe_file import recipe_tables

SETTINGS = "settings.json"
TASK: Final = "detection"

Timed = Callable[[Candidate, float, int], object]
"""Is told the seconds of a candidate's epoch, and how many epochs it gets."""


def plan_trials(
    data: Path,
    recipe: Recipe,
    trials: Sequence[Trial],
    budget: Budget,
    folder: Path,
    *,
    on_data: Callable[[AnyPlan, tuple[Issue, ...]], object],
    on_epochs: Timed,
) -> dict[str, AnyPlan]:
    """Plan each trial's run, in ``folder`` under its name; those that are there already stay as they are.

    All are made, and an epoch of each candidate is timed, before any is trained: what cannot work is found here.

    Args:
        data: images with boxes.
        recipe: for all of them.
        on_data: told of the data and of what is wrong with it, where it is read.
        on_epochs: told of each candidate whose epochs follow from the minutes; all its trials get as many.

    Raises:
        DataError: no images with boxes, or others than those of the trials that are there.
        UsageError: a folder with another comparison, or too short a budget.
        RunStopped: a signal came.
    """
    if recipe.run.devices != 1:
        raise UsageError(f"run.devices is {recipe.run.devices}; a comparison trains on one device, leave it out")
    settings = _settings(data, recipe, budget)
    _refuse_another(folder, settings)
    plans = {it.name: _read(folder / it.name) for it in trials if (folder / it.name / PLAN).is_file()}
    missing = [it for it in trials if it.name not in plans]
    if not missing:
        return plans
    _require_boxes(data)
    made: list[tuple[Trial, AnyPlan]] = []
    for trial in missing:
        plan, _, faults = make_plan(data, recipe_for(trial, recipe, budget.epochs or 1), trial.name)
        if not made:
            on_data(plan, faults)
        made.append((trial, plan))
    _refuse_other_images(folder, [*plans.values(), *(plan for _, plan in made)])
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        if budget.epochs is None:
            known = {it.candidate: plans[it.name].recipe.schedule.epochs for it in trials if it.name in plans}
            timed = {trial.candidate: plan for trial, plan in made}  # the last one's images take the longest
            for candidate, plan in timed.items():
                if candidate not in known:
                    known[candidate] = _epochs_within(budget, candidate, plan, folder, on_epochs)
            made = [(trial, _with_epochs(plan, known[trial.candidate])) for trial, plan in made]
        with _writing(folder), atomic_write(folder / SETTINGS) as partial:
            partial.write_text(json.dumps(settings, indent=1), "utf-8")
    finally:
        with suppress(OSError):
            folder.rmdir()  # which is empty only where nothing came of it
    for trial, plan in made:
        plan.write(folder / trial.name)
        plans[trial.name] = plan
    return {it.name: plans[it.name] for it in trials}


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror}); give another --output") from None


def _epochs_within(budget: Budget, candidate: Candidate, plan: AnyPlan, folder: Path, on_epochs: Timed) -> int:
    """The epochs that fit into the budget's minutes."""
    seconds = measure_epoch(plan, folder, budget)
    epochs = budget.epochs_of(candidate.name, seconds)
    on_epochs(candidate, seconds, epochs)
    return epochs


def _with_epochs(plan: AnyPlan, epochs: int) -> AnyPlan:
    return replace(plan, recipe=replace(plan.recipe, schedule=replace(plan.recipe.schedule, epochs=epochs)))


def _read(folder: Path) -> AnyPlan:
    plan = read_plan(folder)
    if plan.task is not task_of(TASK):
        raise TrainingError(f"{folder}: a run of {plan.task.name}, no candidate of a comparison; give another --output")
    return plan


def _require_boxes(data: Path) -> None:
    if not data.exists():
        raise FileMissingError(f"{data}: no such file or folder. Check the path of the data.")
    if task_of_data(data) is not task_of(TASK):
        raise DataError(f"{data}: no labels of boxes; expected {format_names(TASK)}, see 'litevision check-data'")


def _settings(data: Path, recipe: Recipe, budget: Budget) -> dict[str, Any]:
    """What all candidates have in common, as plain JSON values."""
    options = recipe_tables(recipe_for(Trial(CANDIDATES["dlaseg"]), recipe, 1))
    return {
        "data": str(data.absolute()),
        "budget": str(budget),
        **{f"{table}.{key}": value for table, keys in options.items() for key, value in keys.items()},
    }


def _refuse_another(folder: Path, settings: dict[str, Any]) -> None:
    try:
        kept = json.loads((folder / SETTINGS).read_text("utf-8"))
        # An option that one of them lacks came with another version of litevision.
        other = [key for key in settings if key in kept and kept[key] != settings[key]]
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{folder / SETTINGS}: cannot be read ({reason_of(error)}); give another --output") from None
    if other:
        key = other[0]
        raise UsageError(
            f"{folder}: holds a comparison with {key} {kept[key]}, not {settings[key]}; give the same again to go on "
            "with it, or another --output"
        )


def _refuse_other_images(folder: Path, plans: Sequence[AnyPlan]) -> None:
    if any(task_of(TASK).data_to_dict(plan.data) != task_of(TASK).data_to_dict(plans[0].data) for plan in plans[1:]):
        raise DataError(
            f"{plans[0].data.root}: other images or boxes than when {folder} was begun; give another --output"
        )
