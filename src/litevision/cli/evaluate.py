"""litevision evaluate: how often a bundle is right on labelled images."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE|NAME", help="The path of a bundle (.onnx), or a model.")],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder of class folders, with splits or without, or a CSV; for a detector, images with boxes: "
            "Pascal VOC, COCO or YOLO.",
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="train, validation, test or all; by default the first of test, validation and all with images."
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="onnxruntime, openvino, or auto for the faster one.")] = "onnxruntime",
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write one JSON document there; - to print it instead.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the scores of each class there.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write path,label,predicted,score,correct there, as CSV; of a detector, every box."
        ),
    ] = None,
) -> None:
    """Measure how often a bundle is right on labelled images, with its own preprocessing.

    Classes are matched with the bundle's labels by name. An image that cannot be read is reported and left out, and
    the exit code is 1. A detector's boxes are scored as COCO does.
    """
    from litevision.cli._training.evaluate_boxes import evaluate_boxes
    from litevision.cli._training.evaluate_images import evaluate_images
    from litevision.cli._training.scoring import Asked
    from litevision.data import is_detection

    asked = Asked(bundle, data, split, engine, json, csv, predictions)
    asked.require_writable()
    raise typer.Exit(evaluate_boxes(asked) if is_detection(data) else evaluate_images(asked))
