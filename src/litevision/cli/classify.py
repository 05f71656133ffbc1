"""litevision classify: name what images show."""

from typing import Annotated

import typer

from litevision.cli._images import many, options
from litevision.cli._images.classify import Classify, Options


def classify(
    inputs: options.Inputs,
    model: Annotated[str, typer.Option(help="A model's name, or the path of a bundle (.onnx).")] = Options.model,
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = Options.top,
    recursive: options.Recursive = False,
    frames: options.Frames = False,
    every: options.Every = Options.every,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write path,rank,index,label,score,ms there; - to print them.")
    ] = None,
    strict: options.Strict = False,
    engine: options.Engine = Options.engine,
    precision: options.Precision = None,
    workers: options.Workers = None,
    batch: options.Batch = None,
) -> None:
    """Name what images show, with scores from 0 to 1.

    An image that cannot be read is reported, the others are still named, and the exit code is 1.
    """
    given = {**locals(), "inputs": tuple(inputs)}  # each parameter is the option of its name
    raise typer.Exit(many.run(Classify(Options(**given))))
