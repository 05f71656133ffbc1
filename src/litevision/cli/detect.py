"""litevision detect: find objects in images."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from litevision import console
from litevision.cli.fields import bundle_names
from litevision.cli.parser import option
from litevision.cli.predict import Job, Predict, PredictOptions, predict
from litevision.errors import UsageError

if TYPE_CHECKING:
    from litevision.cli.tables import OutputFormat, Writer
    from litevision.detections import Detection
    from litevision.image import ImageLike
    from litevision.runtime import Bundle, Detections, PreprocessedImage, Result


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class DetectOptions(PredictOptions):
    """Find objects in images and videos: a label, a score from 0 to 1, and a box in pixels of the upright image.

    An image that cannot be read is reported, the others are still searched, and the exit code is 1.
    """

    examples: ClassVar = (
        "litevision detect blood.jpg --save found/",
        "litevision detect scans/ --tiles 2 --coco boxes.json",
        "litevision detect photo.jpg --model runs/first",
    )
    model: str | None = option(
        None,
        choices=bundle_names,
        metavar="BUNDLE|RUN|NAME",
        help="A bundle (.onnx), the folder of a finished run, or a name that 'litevision models' lists; "
        "blood-cells unless given.",
    )
    score: float | None = option(
        None, min=0, max=1, help="Least score of a box, from 0 to 1; the bundle's own, or else 0.3, unless given."
    )
    tiles: int = option(
        1,
        min=1,
        max=8,
        help="For small objects in large images: also search overlapping tiles, N along the longer side.",
    )
    save: str | None = option(
        None, metavar="FOLDER", help="Save the images with boxes drawn into this folder.", writes="folder"
    )
    font: str | None = option(
        None,
        metavar="FILE",
        help="With --save: a font (.ttf, .otf, .ttc) for the labels, used before those of the package and the system.",
    )
    coco: str | None = option(
        None,
        metavar="FILE.json",
        help="Write the boxes into this file, as a COCO list of results; - prints them.",
        writes='json:[{"image_id":|[]',
    )
    csv: str | None = option(
        None,
        metavar="FILE.csv",
        help="Write path,label,index,score,x1,y1,x2,y2,ms into this file; - prints them.",
        writes="csv:path,label,index,",
    )


class Detect(Predict[DetectOptions]):
    """Finds objects in images."""

    verb = "detect"
    default_model = "blood-cells"

    def __init__(self, options: DetectOptions) -> None:
        if options.font is not None and options.save is None:
            raise UsageError("--font FILE is for the labels on saved images; give --save FOLDER with it.")
        if options.tiles > 1 and options.batch is None:
            options = replace(options, batch=1)  # the tiles of one image are many already
        super().__init__(options)

    def output_format(self) -> "OutputFormat":
        from litevision.cli.tables import OutputFormat

        edges = ("x1", "y1", "x2", "y2")
        columns = (("path", "<4"), ("label", "<5"), ("score", ">6"), *((edge, ">6") for edge in edges))
        return OutputFormat(columns, _cells, ("path", "label", "index", "score", *edges, "ms"), _rows, _to_dict)

    def targets(self) -> Sequence[str]:
        return [*super().targets(), *(it for it in (self.options.coco, self.options.save) if it not in (None, "-"))]

    def job(self, bundle: "Bundle") -> Job:
        from litevision.runtime import Detector

        options, detector = self.options, Detector(bundle)
        inference = detector.inference(options.score, tiles=options.tiles)
        if options.save is None:
            return Job(bundle, inference.run, inference.preprocess)
        from litevision.cli.save_images import Saver
        from litevision.image.text import Lettering, describe_unnamed

        lettering = Lettering(options.font)
        described = describe_unnamed(lettering, bundle.metadata.labels, "--font FILE")
        if described is not None:
            console.note(f"note: {described}")
        saver = Saver(options.save, options.inputs, lettering)

        def work(sources: "Iterable[ImageLike | PreprocessedImage[Any]]") -> "list[Result[Detections]]":
            return [saver.saved(it) for it in inference.run(sources)]

        keeping = detector.inference(options.score, tiles=options.tiles, keep_image=True)
        return Job(bundle, work, keeping.preprocess)

    def writers(self, stack: ExitStack) -> "list[Writer]":
        from litevision.cli.tables import output_stream

        if self.options.save is not None:
            from litevision.cli.save_images import make_folder

            make_folder(self.options.save)
        if self.options.coco is None:
            return []
        return [CocoResults(stack.enter_context(output_stream(self.options.coco)))]


def run(options: DetectOptions) -> int:
    """Find objects in the images."""
    return predict(Detect(options))


class CocoResults:
    """COCO's list of results, an object a line.

    ``image_id`` is the number that a file is named after, as COCO's own are; else its path or the frame's name.
    ``category_id`` counts the bundle's labels from 1. ``file_name`` and ``category`` say the same in words.
    """

    def __init__(self, stream: TextIO) -> None:
        import json

        self._stream = stream
        self._text = json.dumps
        self._before = "["

    def write(self, results: "Sequence[Result[Detections]]") -> None:
        for result in results:
            for it in () if result.error else result.predictions:
                self._stream.write(self._before + self._text(_coco(result.name, it)))
                self._before = ",\n"
        self._stream.flush()

    def finish(self) -> None:
        self._stream.write("]\n" if self._before == ",\n" else "[]\n")
        self._stream.flush()


def _coco(name: str, found: "Detection") -> dict[str, Any]:
    from pathlib import PurePath

    stem = PurePath(name).stem
    x1, y1, x2, y2 = found.box_xyxy
    return {
        "image_id": int(stem) if stem.isascii() and stem.isdigit() else name,
        "category_id": found.index + 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "score": found.score,
        "file_name": name,
        "category": found.label,
    }


def _cells(result: "Result[Detections]") -> Iterator[tuple[str, ...]]:
    from litevision.tables import escape

    name = escape(result.name)
    for it in result.predictions:
        yield name, escape(it.label), f"{it.score:.4f}", *(f"{edge:.1f}" for edge in it.box_xyxy)
    if not result.predictions:
        yield name, "-", "", "", "", "", ""


def _rows(result: "Result[Detections]") -> Iterator[tuple[object, ...]]:
    for it in result.predictions:
        yield result.name, it.label, it.index, it.score, *it.box_xyxy, round(result.ms, 3)


def _to_dict(result: "Result[Detections]") -> dict[str, Any]:
    return {"detections": result.predictions.to_dict()["detections"]}
