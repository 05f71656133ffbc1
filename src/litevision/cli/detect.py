"""litevision detect: find objects in images."""

from typing import Annotated

import typer

from litevision.cli._images import many, options
from litevision.cli._images.detect import Detect, Options


def detect(
    inputs: options.Inputs,
    model: Annotated[
        str, typer.Option(metavar="BUNDLE|NAME", help="The path of a bundle (.onnx), or its name.")
    ] = Options.model,
    score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The least score of a box; by default what the bundle names, or 0.3."),
    ] = Options.score,
    tiles: Annotated[
        int,
        typer.Option(
            min=1,
            max=8,
            metavar="N",
            help="For small objects in large images: also look at overlapping tiles, N on the longer side.",
        ),
    ] = Options.tiles,
    save: Annotated[str | None, typer.Option(metavar="FOLDER", help="Save the images there, boxes drawn.")] = None,
    coco: Annotated[str | None, typer.Option(metavar="FILE", help="Write the boxes there in COCO's form.")] = None,
    recursive: options.Recursive = False,
    frames: options.Frames = False,
    every: options.Every = Options.every,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write path,label,index,score,x1,y1,x2,y2,ms there; - to print.")
    ] = None,
    strict: options.Strict = False,
    engine: options.Engine = Options.engine,
    precision: options.Precision = None,
    workers: options.Workers = None,
    batch: options.Batch = None,
) -> None:
    """Find objects in images: a label, a score from 0 to 1, and a box in pixels of the upright image.

    An image that cannot be read is reported, the others are still searched, and the exit code is 1.
    """
    given = {**locals(), "inputs": tuple(inputs)}  # each parameter is the option of its name
    raise typer.Exit(many.run(Detect(Options(**given))))
