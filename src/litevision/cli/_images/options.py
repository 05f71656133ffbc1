"""The options that the commands over many images share."""

from typing import Annotated

import typer

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE|FOLDER|VIDEO",
        help="Images, folders of images, quoted patterns such as 'shots/**/*.jpg', videos, webcam:0, or - for "
        "paths on standard input, one a line.",
    ),
]
Recursive = Annotated[bool, typer.Option("--recursive", help="Look into folders in folders.")]
Frames = Annotated[bool, typer.Option("--frames", help="Every frame of animations, not the first alone.")]
Every = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="Time between frames of a video; 0 for all of them.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print a JSON object a line, for each image.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first image that cannot be read.")]
Engine = Annotated[str, typer.Option(help="onnxruntime, openvino, or auto for the faster one.")]
Precision = Annotated[str | None, typer.Option(help="fp32 or bf16.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Images worked on at once; all CPUs unless given.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Images the network sees at once.")]
