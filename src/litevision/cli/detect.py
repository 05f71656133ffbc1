"""litevision detect: find objects in images."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from litevision.cli.fields import PredictOptions, bundle_names
from litevision.cli.parser import option
from litevision.cli.predict import Job, Predict, predict
from litevision.errors import UsageError

if TYPE_CHECKING:
    from litevision.cli.coco_results import CocoResults
    from litevision.cli.inputs import Entry
    from litevision.cli.saving import Saving
    from litevision.cli.tables import OutputFormat, Writer
    from litevision.data.coco_ids import CocoIds
    from litevision.image import ImageLike
    from litevision.runtime import Bundle, Detections, PreprocessedImage, Result


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class DetectOptions(PredictOptions):
    """Find objects in images and videos: a label, a score from 0 to 1, and a box in pixels of the upright image.

    An image that cannot be read is reported, the others are still searched, and the exit code is 1.
    """

    examples: ClassVar = (
        "litevision detect street.jpg --save found/",
        "litevision detect scans/ --tiles 2 --coco boxes.json",
        "litevision detect photo.jpg --model runs/first",
    )
    model: str | None = option(
        None,
        choices=bundle_names,
        metavar="BUNDLE|RUN|NAME",
        help="A bundle (.onnx or .tflite), a folder of an export or a run, or a name that 'litevision models' lists; "
        "nanodet_plus_m, which knows 80 everyday things, or where that is not to be had blood-cells unless given.",
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
    save_crops: str | None = option(
        None,
        metavar="FOLDER",
        help="Save what each box shows into this folder, in a folder for each class.",
        writes="folder",
    )
    save_labels: str | None = option(
        None,
        metavar="FOLDER",
        help="Write the images and boxes into this new folder as a data set, to correct it by hand and train on it.",
        writes="folder",
    )
    labels_format: str = option("yolo", choices=("yolo", "voc", "coco"), help="With --save-labels: form of the labels.")
    classes: tuple[str, ...] = option(
        (), metavar="NAME,NAME", help="Keep only these classes, by name or by index; may be given more than once."
    )
    max: int | None = option(None, min=1, help="Keep only the N surest boxes of an image.")
    coco: str | None = option(
        None,
        metavar="FILE.json",
        help="Write the boxes into this file, as a COCO list of results; - prints them.",
        writes='json:[{"image_id":|[]',
    )
    coco_ids: str | None = option(
        None,
        metavar="FILE.json",
        help="With --coco: take the ids of images and classes from this COCO file of annotations, by their names.",
    )
    csv: str | None = option(
        None,
        metavar="FILE.csv",
        help="Write path,label,index,score,x1,y1,x2,y2,ms,width,height,error into this file; - prints them.",
        writes="csv:path,label,index,",
    )


class Detect(Predict[DetectOptions]):
    """Finds objects in images."""

    verb = "detect"
    default_model = "blood-cells"
    published_model = "nanodet_plus_m.rangilyu_coco_r416"

    def __init__(self, options: DetectOptions) -> None:
        if options.font is not None and options.save is None:
            raise UsageError("--font FILE is for the labels on saved images; give --save FOLDER with it.")
        if options.coco_ids is not None and options.coco is None:
            raise UsageError("--coco-ids FILE.json is for the ids in COCO results; give --coco FILE.json with it.")
        if options.tiles > 1 and options.batch is None:
            options = replace(options, batch=1)  # the tiles of one image are many already
        super().__init__(options)
        self._saving: Saving | None = None
        self._coco: CocoResults | None = None
        self._ids: CocoIds | None = None
        self._counts: dict[str, int] = {}

    def output_format(self) -> "OutputFormat":
        from litevision.cli.tables import OutputFormat

        edges = ("x1", "y1", "x2", "y2")
        columns = (("path", "<4"), ("label", "<5"), ("score", ">6"), *((edge, ">6") for edge in edges))
        header = ("path", "label", "index", "score", *edges, "ms", "width", "height", "error")
        return OutputFormat(columns, _cells, header, _rows, _to_dict, _count_line, lambda: {"counts": self._counts})

    def targets(self) -> Sequence[str]:
        options = self.options
        folders = (options.coco, options.save, options.save_crops, options.save_labels)
        return [*super().targets(), *(it for it in folders if it not in (None, "-"))]

    def takes_stdout(self) -> bool:
        return self.options.coco == "-"

    def prepare(self, entries: "Sequence[Entry]", *, is_complete: bool) -> None:
        options = self.options
        if options.coco_ids is not None:
            from litevision.data.coco_ids import CocoIds

            self._ids = CocoIds.read(options.coco_ids)
        if any(it is not None for it in (options.save, options.save_crops, options.save_labels)):
            from litevision.cli.saving import Saving

            self._saving = Saving(options, entries, is_complete=is_complete)

    def job(self, bundle: "Bundle") -> Job:
        from litevision.runtime import Detector

        options, detector = self.options, Detector(bundle)
        chosen = class_ids(options.classes, detector.labels) if options.classes else None
        if self._ids is not None:
            self._ids.require_classes(detector.labels)
        inference = detector.inference(options.score, tiles=options.tiles)

        def narrow(found: "Detections") -> "Detections":
            if chosen is not None:
                found = found[[place for place, it in enumerate(found.class_ids.tolist()) if it in chosen]]
            return found[: options.max]

        if self._saving is not None:
            self._saving.begin(detector.labels)
            keeping = detector.inference(options.score, tiles=options.tiles, keep_image=True)
            return Job(bundle, self._saving.work(inference, narrow), keeping.preprocess, self._saving.reserve)

        def work(sources: "Iterable[ImageLike | PreprocessedImage[Any]]") -> "list[Result[Detections]]":
            results = inference.run(sources)
            return [it if it.error else replace(it, outcome=narrow(it.predictions)) for it in results]

        return Job(bundle, work, inference.preprocess)

    def writers(self, stack: ExitStack) -> "list[Writer]":
        from litevision.cli.tables import output_stream

        found: list[Writer] = [CountWriter(self._counts)]
        if self._saving is not None:
            found += self._saving.writers(stack)
        if self.options.coco is not None:
            from litevision.cli.coco_results import CocoResults

            self._coco = CocoResults(stack.enter_context(output_stream(self.options.coco)), self._ids)
            found.append(self._coco)
        return found

    def remarks(self) -> Iterator[str]:
        if self._counts:
            yield f"found {count_text(self._counts)}"
        if self._coco is not None:
            yield from self._coco.remarks()


def run(options: DetectOptions) -> int:
    """Find objects in the images."""
    return predict(Detect(options))


def class_ids(given: Sequence[str], labels: Sequence[str]) -> set[int]:
    """The indices of classes that are given by name or index, with commas between them.

    Raises:
        UnknownNameError: no such class.
    """
    from litevision.errors import UnknownNameError

    names = [name for text in given for name in ([text] if text in labels else text.split(","))]
    found = set()
    for name in map(str.strip, names):
        if name in labels:
            found.add(labels.index(name))
        elif name.isascii() and name.isdigit() and int(name) < len(labels):
            found.add(int(name))
        else:
            raise UnknownNameError.of("class", name, labels)
    return found


def count_text(counts: Mapping[str, int]) -> str:
    """Counts as ``12 RBC, 1 WBC``, the most frequent class first."""
    from litevision.tables import escape

    return ", ".join(f"{count:,} {escape(name)}" for name, count in sorted(counts.items(), key=lambda it: -it[1]))


class CountWriter:
    """Counts the objects of each class, in the order of the classes; a `litevision.cli.tables.Writer`.

    Args:
        counts: where they are counted.
    """

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts

    def write(self, results: "Sequence[Result[Detections]]") -> None:
        for result in results:
            for name, count in () if result.error else result.predictions.counts().items():
                self._counts[name] = self._counts.get(name, 0) + count

    def finish(self) -> None:
        pass


def _cells(result: "Result[Detections]") -> Iterator[tuple[str, ...]]:
    from litevision.tables import escape

    name = escape(result.name)
    for it in result.predictions:
        yield name, escape(it.label), f"{it.score:.4f}", *(f"{edge:.1f}" for edge in it.box_xyxy)
    if not result.predictions:
        yield name, "-", "", "", "", "", ""


def _count_line(result: "Result[Detections]") -> str:
    return count_text(result.predictions.counts())


def _rows(result: "Result[Detections]") -> Iterator[tuple[object, ...]]:
    found = result.predictions
    height, width = found.image_hw
    ms = round(result.ms, 3)
    for it in found:
        yield result.name, it.label, it.index, it.score, *it.box_xyxy, ms, width, height, ""
    if not found:
        yield result.name, *[""] * 7, ms, width, height, ""


def _to_dict(result: "Result[Detections]") -> dict[str, Any]:
    found = result.predictions
    plain = found.to_dict()
    return {"detections": plain["detections"], "counts": found.counts(), "image_hw": plain["image_hw"]}
