"""litevision train: from a folder of labelled images to a checked bundle and a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision.cli.fields import data_formats, network_names, size_option, weight_names
from litevision.cli.parser import argument, flag, option


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train a network on your own images; leaves a bundle, a report and a model card in runs/NAME."""

    examples: ClassVar = (
        "litevision train clothes/ --epochs 12 --name first",
        "litevision train boxes.json --model mobilenet_v1 --set augment.policy=trivial",
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
        help="Weights to start from: a name, a file, a URL, the folder of a run, or 'none' for random ones.",
    )
    epochs: int | None = option(None, help="Number of passes over the training images.")
    size: str | None = size_option()
    batch: int | None = option(None, help="Batch size.")
    lr: float | None = option(None, help="Learning rate of the classifier.")
    seed: int | None = option(None, help="Random seed.")
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
