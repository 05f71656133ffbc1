"""litevision train: from a folder of labelled images to a checked bundle and a report."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision.cli.fields import data_formats, network_names, weight_names
from litevision.cli.parser import argument, flag, option


def _in_recipe(table: str, key: str, help: str) -> Callable[[], str]:
    """The help of an option that is a recipe's, with the defaults of each task."""

    def text() -> str:
        from litevision.tasks import DEFAULT, TASKS, task_of

        values = {}
        for name in TASKS:
            task = task_of(name)
            value = task.defaults.get(table, {}).get(key, getattr(getattr(task.recipe(), table), key))
            values[name] = "x".join(map(str, value)) if isinstance(value, (tuple, list)) else f"{value:g}"
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
    data: Path | None = argument(None, metavar="DATA", help=data_formats)
    model: str | None = option(
        None, choices=network_names, help="Network name; mobilenet_v2 unless the recipe has another."
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
    output: Path = option(Path("runs"), short="-o", metavar="FOLDER", help="Folder in which the run's is made.")
    resume: Path | None = option(None, metavar="RUN", help="Go on with an interrupted run, given its folder.")
    show_recipe: bool = flag(help="Print the whole recipe as TOML, with every default, and train nothing.")


def run(options: TrainOptions) -> int:
    """Train, or go on with a run."""
    from litevision.cli.checks import require_torch

    require_torch("litevision train")
    from litevision.cli.training_run import run

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
    return run(
        options.data,
        options.recipe,
        {key: value for key, value in given.items() if value is not None},
        options.set,
        name=options.name,
        output=options.output,
        resume=options.resume,
        show_recipe=options.show_recipe,
    )
