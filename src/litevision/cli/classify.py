"""litevision classify: name what images show."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from litevision.cli.fields import PredictOptions, model_names
from litevision.cli.parser import option
from litevision.cli.predict import Job, Predict, predict

if TYPE_CHECKING:
    from litevision.cli.tables import OutputFormat
    from litevision.runtime import Bundle, Predictions, Result


_UNSURE = ("", "unsure")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ClassifyOptions(PredictOptions):
    """Name what images and videos show, with scores from 0 to 1.

    An answer that a calibrated model has too little confidence in says "unsure".

    An image that cannot be read is reported, the others are still named, and the exit code is 1.
    """

    examples: ClassVar = (
        "litevision classify photo.jpg",
        "litevision classify photos/ --recursive --csv labels.csv",
        "litevision classify photo.jpg --model runs/first",
    )
    model: str | None = option(
        None,
        choices=model_names,
        metavar="BUNDLE|RUN|NAME",
        help="A bundle (.onnx or .tflite), a folder of an export or a run, or a name that 'litevision models' lists; "
        "imagenet-1k unless given, which knows 1000 classes.",
    )
    top: int = option(5, min=1, help="How many classes to name.")
    crop: str | None = option(
        None,
        choices=("center", "stretch", "letterbox"),
        help="How an image becomes the input: resize and cut out the middle, squash, or fit inside with grey borders; "
        "the model's own unless given.",
    )
    crop_fraction: float | None = option(
        None, metavar="PART", help="Part of the resized shorter side that the crop center keeps, such as 0.875."
    )
    interpolation: str | None = option(
        None, choices=("bilinear", "bicubic"), help="Filter of the resize; the model's own unless given."
    )
    csv: str | None = option(
        None,
        metavar="FILE.csv",
        help="Write path,rank,index,label,score,unsure,ms,error into this file; - prints them.",
        writes="csv:path,rank,",
    )


class Classify(Predict[ClassifyOptions]):
    """Names what images show."""

    verb = "classify"
    default_model = "imagenet-1k"

    def output_format(self) -> "OutputFormat":
        from litevision.cli.tables import OutputFormat

        columns = (("path", "<4"), ("rank", ">4"), ("label", "<5"), ("score", ">6"), ("", "<0"))
        header = ("path", "rank", "index", "label", "score", "unsure", "ms", "error")
        return OutputFormat(columns, _cells, header, _rows, _to_dict)

    def job(self, bundle: "Bundle") -> Job:
        from litevision.runtime import Classifier

        options, classifier = self.options, Classifier(bundle)
        given = (options.crop, options.crop_fraction, options.interpolation)
        if given != (None, None, None):
            crop, fraction, interpolation = cast("tuple[Any, float | None, Any]", given)  # an unknown word is refused
            classifier = classifier.with_resize(crop=crop, crop_fraction=fraction, interpolation=interpolation)
        inference = classifier.inference(options.top)
        return Job(bundle, inference.run, inference.preprocess)


def run(options: ClassifyOptions) -> int:
    """Classify the images."""
    return predict(Classify(options))


def _cells(result: "Result[Predictions]") -> Iterator[tuple[str, ...]]:
    from litevision.tables import escape

    name = escape(result.name)
    for rank, it in enumerate(result.predictions, start=1):
        yield name, str(rank), escape(it.label), f"{it.score:.4f}", _UNSURE[rank == 1 and result.predictions.unsure]


def _rows(result: "Result[Predictions]") -> Iterator[tuple[object, ...]]:
    for rank, it in enumerate(result.predictions, start=1):
        unsure = _UNSURE[result.predictions.unsure]
        yield result.name, rank, it.index, it.label, it.score, unsure, round(result.ms, 3), ""


def _to_dict(result: "Result[Predictions]") -> dict[str, Any]:
    return result.predictions.to_dict()
