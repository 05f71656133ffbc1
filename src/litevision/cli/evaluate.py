"""litevision evaluate: how often a bundle is right on labelled images."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision.cli.fields import csv_option, data_formats, device_option, engine_names_with_auto, model_names
from litevision.cli.parser import argument, option


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Score a model on labelled images, with its own preprocessing.

    Classes are matched with the bundle's labels by name. An image that cannot be read is reported and left out, and
    the exit code is 1. A detector's boxes are scored as COCO does.
    """

    examples: ClassVar = (
        "litevision evaluate clothing clothes/",
        "litevision evaluate runs/first clothes/ --split test --csv classes.csv",
    )
    bundle: str = argument(
        metavar="BUNDLE|RUN|NAME",
        choices=model_names,
        help="A bundle (.onnx), the folder of a finished run, or a model's name.",
    )
    data: Path = argument(metavar="DATA", help=data_formats)
    split: str | None = option(
        None,
        choices=("train", "validation", "test", "all"),
        help="Split to score; the first of test, validation and all that has images unless given.",
    )
    engine: str = option(
        "onnxruntime", choices=engine_names_with_auto, help="Engine that computes the network; auto for the faster one."
    )
    device: str = device_option()
    json: str | None = option(
        None, metavar="FILE.json", help="Write one JSON document into this file; - prints it instead."
    )
    csv: Path | None = csv_option("Write the scores of each class into this file.")
    predictions: Path | None = option(
        None,
        metavar="FILE.csv",
        help="Write path,label,predicted,score,correct into this file; of a detector, every box.",
    )

    @property
    def json_file(self) -> Path | None:
        """Where the document goes, if not to standard output."""
        return None if self.json in (None, "-") else Path(self.json)


def run(options: EvaluateOptions) -> int:
    """Score, print and write."""
    from litevision.cli.checks import check_writable
    from litevision.cli.scoring import evaluate

    for name, file in (("--json", options.json_file), ("--csv", options.csv), ("--predictions", options.predictions)):
        if file:
            check_writable(file, name)
    return evaluate(options)
