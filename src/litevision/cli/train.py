"""litevision train: from a folder of labelled images to a checked bundle and a report."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help="A folder with a folder of images for each class, a CSV of path,label, or images with boxes: "
            "Pascal VOC, COCO or YOLO.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The network; mobilenet_v2 unless the recipe says another.")] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="NAME|FILE|URL", help="What to start from; 'none' for a fresh start.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="S|HxW", help="The input's side, or its height and width.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="The classifier's learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything that is drawn.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="A recipe; what it leaves out stays as it is.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Any one option of a recipe.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the run; the network and the time unless given.")] = None,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the run's folder is made.")] = Path("runs"),
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run, given its folder.")
    ] = None,
    show_recipe: Annotated[bool, typer.Option(help="Print the whole recipe as TOML, and train nothing.")] = False,
) -> None:
    """Train a network on your own images; leaves a bundle, a report and a model card in runs/NAME."""
    from litevision.cli._shared.torch import require_torch

    require_torch("litevision train")
    from litevision.cli._training.run import run

    given = {
        "model.name": model,
        "model.weights": weights,
        "model.size_hw": size,
        "schedule.epochs": epochs,
        "schedule.batch_size": batch,
        "optimizer.lr": lr,
        "run.seed": seed,
    }
    raise typer.Exit(
        run(
            data,
            recipe,
            {key: value for key, value in given.items() if value is not None},
            settings or [],
            name=name,
            output=output,
            resume=resume,
            show_recipe=show_recipe,
        )
    )
