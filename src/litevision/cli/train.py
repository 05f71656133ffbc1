"""litevision train: from a folder of labelled images to a checked bundle and a report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from litevision import console
from litevision.cli.fields import data_formats, trainable_names, weight_names
from litevision.cli.parser import argument, flag, option
from litevision.errors import UsageError

if TYPE_CHECKING:
    from litevision.tasks import Task
    from litevision.training.train import ChosenRecipe


def _in_recipe(table: str, key: str, help: str) -> Callable[[], str]:
    """The help of an option that is a recipe's, with the defaults of each task."""

    def text() -> str:
        from litevision.tasks import DEFAULT, TASKS, task_of

        values = {}
        for name in TASKS:
            task = task_of(name)
            value = task.defaults.get(table, {}).get(key, getattr(getattr(task.recipe(), table), key))
            values[name] = "x".join(map(str, value)) if isinstance(value, (tuple, list)) else f"{value:g}"
            fresh = task.fresh_defaults.get(table, {}).get(key)
            more = " or more" if key == "epochs" and task.fresh_defaults["schedule"].get("min_steps") else ""
            values[name] += "" if fresh is None else f", {fresh:g}{more} from scratch"
        usual = values[DEFAULT]
        others = "".join(f"; {value} for {name}" for name, value in values.items() if value != usual)
        return f"{help} [default: {usual}{others}]"

    return text


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train a network on your own images; leaves a bundle, a report and a model card in runs/NAME."""

    examples: ClassVar = (
        "litevision train clothes/ --epochs 12 --name first",
        "litevision train boxes.json --model mobilenet_v1 --size 320",
        "litevision train --resume runs/first",
    )
    data: str | None = argument(None, metavar="DATA", help=data_formats)
    model: str | None = option(
        None,
        choices=trainable_names,
        help="Network name, or a NanoDet's; mobilenet_v2, or for boxes nanodet_plus_m if its weights can be had, "
        "unless the recipe has another.",
    )
    weights: str | None = option(
        None,
        metavar="NAME|FILE|URL|RUN",
        choices=weight_names,
        help="Weights to start from: a name, a file, a URL, the folder of a run, 'none' for random ones, or 'default', "
        "the network's published ones, unless the recipe has others.",
    )
    epochs: int | None = option(
        None, help=_in_recipe("schedule", "epochs", "Number of passes over the training images.")
    )
    size: str | None = option(
        None, metavar="S|HxW", help=_in_recipe("model", "size_hw", "Input side in pixels, or height and width.")
    )
    batch: int | None = option(None, help=_in_recipe("schedule", "batch_size", "Batch size."))
    lr: float | None = option(None, help=_in_recipe("optimizer", "lr", "Learning rate of the classifier or heads."))
    seed: int | None = option(None, help=_in_recipe("run", "seed", "Random seed."))
    device: str | None = option(
        None,
        choices=("auto", "cpu", "cuda", "mps"),
        help="Device that computes; auto, a CUDA GPU where there is one and else the CPU, unless the recipe has "
        "another.",
    )
    recipe: Path | None = option(
        None, metavar="FILE.toml", help="Recipe with options of the training; those that it lacks keep their defaults."
    )
    set: tuple[str, ...] = option(
        (), metavar="TABLE.KEY=VALUE", help="Set any option of a recipe; may be given more than once."
    )
    name: str | None = option(None, help="Name of the run; the network's name and the time unless given.")
    output: Path = option(
        Path("runs"), short="-o", metavar="FOLDER", help="Folder in which the run's is made.", writes="folder"
    )
    resume: str | None = option(
        None,
        metavar="RUN|URL",
        help="Go on with an interrupted run, given its folder, or the address of its copy (run.copy_to).",
    )
    show_recipe: bool = flag(help="Print the whole recipe as TOML, as it would be for DATA, and train nothing.")


def run(options: TrainOptions) -> int:
    """Train, or go on with a run, and print what came of it."""
    from litevision.cli.checks import require_torch

    require_torch("litevision train")
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    from litevision.remote import local_data
    from litevision.tasks import DEFAULT, task_of, task_of_data
    from litevision.training.console import print_results
    from litevision.training.plan import make_plan, read_adapted, run_folder
    from litevision.training.process import RunStopped, require_processes
    from litevision.training.recipe_file import recipe_toml
    from litevision.training.remote_run import run_to_resume
    from litevision.training.train import begin, default_name, resumed_plan, train_with_callbacks

    note = rank_zero_only(console.note)
    if options.resume is not None:
        _refuse_beside_resume(options)
        folder = run_to_resume(options.resume, options.output)
        plan, network = resumed_plan(folder, options.device)
        note(f"resuming {folder}")
    else:
        data = None if options.data is None else local_data(options.data)
        task = task_of(DEFAULT) if data is None else task_of_data(data)
        recipe, stated = chosen_recipe(options.recipe, _given(options), options.set, task)
        if options.show_recipe:
            if data is not None:
                recipe = read_adapted(data, recipe, stated)[1]
            print(recipe_toml(recipe), end="")
            return 0
        if data is None:
            raise UsageError("give the folder of labelled images: litevision train DATA (or --resume RUN)")
        name = options.name or default_name(recipe)
        folder = run_folder(options.output, name)
        require_processes(recipe.run.devices)
        plan, network, issues = make_plan(data, recipe, name, stated=stated)
        begin(plan, issues, folder)
    try:
        results = train_with_callbacks(plan, network, folder, ())
    except RunStopped as stopped:
        note(f"stopped at {stopped.where}; go on with: litevision train --resume {folder}")
        # Lightning kills the first process as soon as another one fails.
        return 0 if getattr(rank_zero_only, "rank", 0) else 128 + stopped.signum
    if results:
        print_results(results, folder)
    return 0


def chosen_recipe(
    file: Path | None, given: Mapping[str, Any], settings: Sequence[str], task: "Task | str"
) -> "ChosenRecipe":
    """The task's defaults, the file, the options and ``--set``, each over the one before; and what was stated.

    Args:
        file: the recipe's file.
        given: options by their key in a recipe, such as ``schedule.epochs``.
        settings: texts such as ``schedule.epochs=3``.
        task: decides the defaults.
    """
    from litevision.cli.checks import parse_size
    from litevision.tasks import task_of
    from litevision.training.recipe_file import read_settings
    from litevision.training.train import choose_recipe

    options = {key: list(parse_size(value)) if key == "model.size_hw" else value for key, value in given.items()}
    task = task_of(task) if isinstance(task, str) else task
    return choose_recipe(task, file, options, read_settings(settings), origin="the command line")


def _given(options: TrainOptions) -> dict[str, Any]:
    """The options that stand in a recipe, by their keys there."""
    given = {
        "model.name": options.model,
        "model.weights": options.weights,
        "model.size_hw": options.size,
        "schedule.epochs": options.epochs,
        "schedule.batch_size": options.batch,
        "optimizer.lr": options.lr,
        "run.seed": options.seed,
        "run.device": options.device,
    }
    return {key: value for key, value in given.items() if value is not None}


def _refuse_beside_resume(options: TrainOptions) -> None:
    others = {key: value for key, value in _given(options).items() if key != "run.device"}
    if any((options.data, options.recipe, options.set, options.name, others)):
        raise UsageError("--resume goes on with a run as it was planned; give nothing else with it")
