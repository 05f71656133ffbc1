"""``litevision.train``: plan or resume a run, train it, and give what it left."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Never

from lightning_fabric.utilities.rank_zero import rank_zero_only
from torch import nn

from litevision.data import Issue
from litevision.errors import UnknownNameError, UsageError
from litevision.remote import local_data
from litevision.tasks import TASKS, Task, task_of, task_of_data
from litevision.training.callbacks import Callback, CallbackList
from litevision.training.checkpoint import NAME as LAST
from litevision.training.console import ConsoleListener, print_data, print_recipe, print_warnings
from litevision.training.plan import AnyPlan, first_network, make_plan, read_plan, run_folder
from litevision.training.process import RunStopped, require_processes, resolve_device
from litevision.training.recipe import Recipe
from litevision.training.recipe_file import layered, make_recipe, read_recipe, recipe_tables, stated_keys
from litevision.training.remote_run import run_to_resume
from litevision.training.result import RESULTS, Run
from litevision.training.run import train as train_planned
from litevision.training.same_data import require_same_data
from litevision.training.start import better_start, inherited_options
from litevision.weights.trained import WeightsLike, path_of

KEYS = {
    "model": "model.name",
    "weights": "model.weights",
    "size": "model.size_hw",
    "epochs": "schedule.epochs",
    "batch": "schedule.batch_size",
    "lr": "optimizer.lr",
    "seed": "run.seed",
    "device": "run.device",
}
"""The options that have a name of their own, with the recipe's key that each stands for."""

_OTHERS = ("recipe", "settings", "name", "output", "resume", "callbacks", "quiet")


def train(
    data: str | os.PathLike[str] | None = None,
    *,
    model: str | None = None,
    weights: WeightsLike | None = None,
    epochs: int | None = None,
    size: int | tuple[int, int] | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    recipe: str | os.PathLike[str] | Recipe | None = None,
    settings: Mapping[str, Any] | None = None,
    name: str | None = None,
    output: str | os.PathLike[str] = "runs",
    resume: str | os.PathLike[str] | None = None,
    callbacks: Sequence[Callback] = (),
    quiet: bool = False,
    **unknown: Never,
) -> Run:
    """Trains a classifier or a detector on your own images; what you label decides which.

    Options are those of ``litevision train``; every other key of a recipe goes into ``settings``.

    Args:
        data: a folder with a folder of images for each class, a CSV of path,label, or images with boxes: Pascal VOC,
            COCO or YOLO; or the address of such a folder or archive (``s3://...``), which is fetched into the cache.
        model: a network's name; mobilenet_v2, for boxes nanodet_plus_m where its weights can be had, unless the recipe,
            or your own model in ``weights``, has another.
        weights: what to start from: a weight set's name, a file, a URL, or your own run, checkpoint or bundle, whose
            network, input size and known classes are then taken; "none" trains from scratch.
        epochs: passes over the training images.
        size: the input's side in px, or its height and width.
        batch: images a step.
        lr: the learning rate of the classifier, or of neck and heads.
        seed: of the order of images, the augmentation and new weights.
        device: "auto" (a CUDA GPU where there is one, else the CPU), "cpu", "cuda" or "mps".
        recipe: a TOML file of options, or a recipe; the arguments beside it come first.
        settings: any options of a recipe by their keys, as in ``{"augment.mixup": 0.2}``.
        name: of the run; the network's name and the time unless given.
        output: the folder in which the run's own is made.
        resume: the folder of an interrupted run to go on with, in place of everything else but ``device``; or the
            address of its copy, which is fetched into ``output``.
        callbacks: are called as the training goes on.
        quiet: prints nothing on standard error.

    Returns:
        The run: its model file, scores, report and network.

    Raises:
        DataError: data that cannot be trained on.
        UsageError: options that do not fit each other.
        WeightsError: weights that cannot be used.
        TrainingError: the run cannot begin, go on or be taken up again.
        KeyboardInterrupt: a signal came; the checkpoint is written.

    Example:
        >>> import litevision
        >>> run = litevision.train("clothes/", model="mobilenet_v2", epochs=12)  # doctest: +SKIP
        >>> litevision.load_classifier(run).predict("photo.jpg")  # doctest: +SKIP
    """
    for wrong in unknown:
        _refuse(wrong)
    given = {
        "model": model,
        "weights": None if weights is None else str(path_of(weights)),
        "size": None if size is None else [size, size] if isinstance(size, int) else list(size),
        "epochs": epochs,
        "batch": batch,
        "lr": lr,
        "seed": seed,
        "device": device,
    }
    options = {KEYS[key]: value for key, value in given.items() if value is not None}
    network: nn.Module | None
    if resume is not None:
        if any(key != KEYS["device"] for key in options) or any((data, recipe, settings, name)):
            raise UsageError("resume goes on with a run as it was planned; give nothing else with it but device")
        folder = run_to_resume(resume, output)
        plan, network = resumed_plan(folder, device, quiet=quiet)
    else:
        if data is None:
            raise UsageError('give the data to train on, as in litevision.train("clothes/"), or resume="runs/NAME"')
        place = local_data(data)
        chosen = choose_recipe(task_of_data(place), recipe, options, nested(settings or {}), origin="the options")
        name = name or default_name(chosen.recipe)
        folder = run_folder(output, name)
        require_processes(chosen.recipe.run.devices)
        plan, network, issues = make_plan(place, chosen.recipe, name, stated=chosen.stated)
        begin(plan, issues, folder, quiet=quiet)
    try:
        train_with_callbacks(plan, network, folder, callbacks, quiet=quiet)
    except RunStopped as stopped:
        raise KeyboardInterrupt(
            f"stopped at {stopped.where}; go on with litevision.train(resume={str(folder)!r})"
        ) from None
    return Run(folder)


def train_with_callbacks(
    plan: AnyPlan, network: nn.Module | None, folder: Path, callbacks: Sequence[Callback], *, quiet: bool = False
) -> Mapping[str, Any]:
    """Trains as planned and gives the content of ``results.json``; prints progress unless ``quiet``.

    Raises:
        RunStopped: a signal came; the checkpoint is written.
    """
    if not quiet:
        print_recipe(plan, folder)
    with ExitStack() as stack:
        default = [] if quiet else [stack.enter_context(ConsoleListener(plan, folder))]
        results = train_planned(plan, network, folder, CallbackList([*default, *callbacks]))
    if not quiet:
        print_warnings(results)
    return results


def resumed_plan(folder: Path, device: str | None = None, *, quiet: bool = False) -> tuple[AnyPlan, nn.Module | None]:
    """The plan of an interrupted run, and the network to begin with where it has no checkpoint yet.

    Raises:
        DataError: the data changed since the run was planned.
        UsageError: a run that is finished, or a device that is not there.
    """
    plan = read_plan(folder)
    if (folder / RESULTS).exists():
        raise UsageError(f"{folder}: this run is finished; its report is {folder / 'report.html'}")
    if device is not None:
        plan = replace(plan, recipe=replace(plan.recipe, run=replace(plan.recipe.run, device=device)))
    resolve_device(plan.recipe.run.device)
    require_processes(plan.recipe.run.devices)
    require_same_data(plan, folder, quiet=quiet)
    return plan, None if (folder / LAST).exists() else first_network(plan)


@rank_zero_only
def begin(plan: AnyPlan, issues: Sequence[Issue], folder: Path, *, quiet: bool = False) -> None:
    """Shows the data and writes the plan: in the first process, the others plan the same for themselves."""
    if not quiet:
        print_data(plan, issues)
        print_warnings({"warnings": plan.task.warnings(plan.data, plan.recipe)})
    plan.write(folder)


def default_name(recipe: Recipe) -> str:
    """A run's name where none is given: the network's, and the time."""
    return f"{recipe.model.name}-{datetime.now():%Y%m%d-%H%M%S}"


class ChosenRecipe(NamedTuple):
    """A recipe, and which of its options somebody stated: the others may follow from the data."""

    recipe: Recipe
    stated: frozenset[str]


def choose_recipe(
    task: Task,
    recipe: str | os.PathLike[str] | Recipe | None,
    options: Mapping[str, Any],
    *settings: Mapping[str, Mapping[str, Any]],
    origin: str,
) -> ChosenRecipe:
    """The task's defaults, what follows from own weights, the recipe, the options and the settings, the last on top.

    Args:
        task: decides the defaults.
        recipe: a file or a recipe.
        options: values by ``table.key``.
        settings: tables.
        origin: what messages call options and settings.
    """
    layers: list[Mapping[str, Any]] = [nested(options), *settings]
    if isinstance(recipe, Recipe):
        layers.insert(0, recipe_tables(recipe))
    elif recipe is not None:
        in_file = read_recipe(Path(recipe))
        make_recipe(in_file, origin=str(recipe), task=task)  # its own faults under its own name
        layers.insert(0, in_file)
    inherited: Mapping[str, Any] = {}
    if not isinstance(recipe, Recipe):
        weights, name, dialect = (layered(key, *layers) for key in ("weights", "name", "dialect"))
        is_open = weights is None and dialect in (None, "auto")
        aware = layered("quantization_aware", *layers) == "True"
        inherited = (
            better_start(task, name, stated_keys(layers))
            if is_open
            else inherited_options(weights, task, quantization_aware=aware)
        )
    return ChosenRecipe(make_recipe(inherited, *layers, origin=origin, task=task), stated_keys([inherited, *layers]))


def nested(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Tables of options by ``table.key``; tables in ``options`` stay tables.

    Raises:
        UsageError: a key without a table.
    """
    tables: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        table, dot, key = name.partition(".")
        if isinstance(value, Mapping) and not dot:
            tables.setdefault(table, {}).update(value)
        elif not dot:
            raise UsageError(f"settings takes options as 'table.key', such as 'augment.mixup'; got {name!r}")
        else:
            tables.setdefault(table, {})[key] = list(value) if isinstance(value, tuple) else value
    return tables


def _refuse(wrong: str) -> None:
    """Raises `UnknownNameError` for an argument that there is not, with those that are called like it."""
    keys = _recipe_keys()
    exact = [key for key in keys if key.partition(".")[2] == wrong]
    if exact:
        raise UnknownNameError(f'train has no argument {wrong!r}; it is an option: settings={{"{exact[0]}": ...}}')
    raise UnknownNameError.of("argument of train", wrong, (*KEYS, *_OTHERS, *(key.partition(".")[2] for key in keys)))


def _recipe_keys() -> Iterable[str]:
    tables = (recipe_tables(task_of(name).recipe()) for name in TASKS)
    return dict.fromkeys(f"{table}.{key}" for found in tables for table, keys in found.items() for key in keys)
