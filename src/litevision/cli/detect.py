"""litevision detect: find objects in pictures."""

from typing import Annotated

import typer

from litevision.cli._pictures.detect import Options, run
from litevision.cli.classify import Inputs


def detect(
    inputs: Inputs,
    model: Annotated[str, typer.Option(metavar="BUNDLE|NAME", help="The path of a bundle (.onnx), or its name.")],
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
            help="For small objects in large pictures: also look at overlapping tiles, N on the longer side.",
        ),
    ] = Options.tiles,
    save: Annotated[str | None, typer.Option(metavar="FOLDER", help="Save the pictures there, boxes drawn.")] = None,
    coco: Annotated[str | None, typer.Option(metavar="FILE", help="Write the boxes there in COCO's form.")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into folders in folders.")] = False,
    frames: Annotated[bool, typer.Option("--frames", help="Every frame of animations, not the first alone.")] = False,
    every: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Time between frames of a video; 0 for all of them.")
    ] = Options.every,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON object a line, for each picture.")] = False,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write path,label,index,score,x1,y1,x2,y2,ms there; - to print.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first picture that cannot be read.")] = False,
    engine: Annotated[str, typer.Option(help="onnxruntime, openvino, or auto for the faster one.")] = Options.engine,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures worked on at once; all CPUs unless given.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures the network sees at once.")] = None,
) -> None:
    """Find objects in pictures: a label, a score from 0 to 1, and a box in pixels of the upright picture.

    A picture that cannot be read is reported, the others are still searched, and the exit code is 1.
    """
    options = Options(
        tuple(inputs),
        model=model,
        score=score,
        tiles=tiles,
        save=save,
        coco=coco,
        recursive=recursive,
        frames=frames,
        every=every,
        json=json,
        jsonl=jsonl,
        csv=csv,
        strict=strict,
        engine=engine,
        precision=precision,
        workers=workers,
        batch=batch,
    )
    raise typer.Exit(run(options))
