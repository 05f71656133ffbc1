"""litevision compare: networks side by side, trained alike on your own images."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    what: Annotated[str, typer.Argument(metavar="centernet", help="What to compare: detectors, CenterNets all.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Images with boxes: Pascal VOC, COCO or YOLO.")],
    minutes: Annotated[float | None, typer.Option(help="Of training for each member; 30 unless given.")] = None,
    epochs: Annotated[int | None, typer.Option(help="For each member, in place of minutes.")] = None,
    members: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME", help="Of dlaseg, v1-reshape, v1-light, v2-reshape, v2-light; by default all."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="S|HxW", help="The input's side, or its height and width.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="A recipe for all; what it leaves out stays as it is.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Any one option of a recipe.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="runs/compare-DATA unless given.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of inference for each member's milliseconds.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train DLASeg and MobileNet CenterNets under one recipe and budget, and put them into one table and one plot.

    All begin fresh. A budget in minutes becomes epochs by the time that one takes here, so that every schedule ends
    with it. Interrupted, the same command goes on; what is finished is not trained again.
    """
    from litevision.cli._shared.torch import require_torch

    require_torch("litevision compare")
    from litevision.cli._training.compare import run

    names = [name.strip() for name in members.split(",")] if members else []
    given = {} if size is None else {"model.size_hw": size}
    raise typer.Exit(
        run(
            what,
            data,
            (minutes, epochs),
            names,
            (recipe, given, settings or []),
            output=output,
            seconds=seconds,
            as_json=as_json,
        )
    )
