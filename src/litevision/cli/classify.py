"""litevision classify: name what pictures show."""

from typing import Annotated

import typer

from litevision.cli._pictures.classify import Options, run

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO|FOLDER|VIDEO",
        help="Pictures, folders of pictures, quoted patterns such as 'shots/**/*.jpg', videos, webcam:0, or - for "
        "paths on standard input, one a line.",
    ),
]


def classify(
    inputs: Inputs,
    model: Annotated[str, typer.Option(help="A model's name, or the path of a bundle (.onnx).")] = Options.model,
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = Options.top,
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into folders in folders.")] = False,
    frames: Annotated[bool, typer.Option("--frames", help="Every frame of animations, not the first alone.")] = False,
    every: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Time between frames of a video; 0 for all of them.")
    ] = Options.every,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON object a line, for each picture.")] = False,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write path,rank,index,label,score,ms there; - to print them.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first picture that cannot be read.")] = False,
    engine: Annotated[str, typer.Option(help="onnxruntime, openvino, or auto for the faster one.")] = Options.engine,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures worked on at once; all CPUs unless given.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures the network sees at once.")] = None,
) -> None:
    """Name what pictures show, with scores from 0 to 1.

    A picture that cannot be read is reported, the others are still named, and the exit code is 1.
    """
    options = Options(
        tuple(inputs),
        model=model,
        top=top,
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
