"""What ``litevision detect`` does, once its command line is read."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

from litevision.cli._images import command

if TYPE_CHECKING:
    from litevision.cli._images.results import Form, Writer
    from litevision.image import ImageLike
    from litevision.runtime import Bundle, Detection
    from litevision.runtime.results import PreprocessedImage, Result


@dataclass(frozen=True)
class Options(command.Options):
    """The command's options by their names. `litevision.cli.detect` explains them."""

    model: str = "blood-cells"
    score: float | None = None
    tiles: int = 1
    save: str | None = None
    coco: str | None = None


class Detect(command.Command[Options]):
    """Finds objects in the images."""

    verb = "detect"

    def __init__(self, options: Options) -> None:
        if options.tiles > 1 and options.batch is None:
            options = replace(options, batch=1)  # the tiles of one image are many already
        super().__init__(options)

    def form(self) -> "Form":
        from litevision.cli._images.results import Form

        edges = ("x1", "y1", "x2", "y2")
        columns = (("path", "<4"), ("label", "<5"), ("score", ">6"), *((edge, ">6") for edge in edges))
        return Form(columns, _cells, ("path", "label", "index", "score", *edges, "ms"), _rows, _plain)

    def targets(self) -> Sequence[str]:
        return [*super().targets(), *(it for it in (self.options.coco, self.options.save) if it not in (None, "-"))]

    def job(self, bundle: "Bundle") -> command.Job:
        from functools import partial

        from litevision.runtime.detector import Detector, Finding
        from litevision.runtime.results import answer

        options, detector = self.options, Detector(bundle)
        task = Finding(detector, options.score, options.tiles)
        if options.save is None:
            return command.Job(bundle, partial(answer, task), task.prepare)
        from litevision.cli._images.save import Saver

        saver = Saver(options.save, options.inputs)

        def work(sources: "Iterable[ImageLike | PreprocessedImage[Any]]") -> "list[Result[Detection]]":
            return [saver.saved(it) for it in answer(task, sources)]

        return command.Job(bundle, work, partial(detector.views, tiles=options.tiles, keep=True))

    def writers(self, stack: ExitStack) -> "list[Writer]":
        from litevision.cli._images.results import output_stream

        if self.options.save is not None:
            from litevision.cli._images.save import make_folder

            make_folder(self.options.save)
        if self.options.coco is None:
            return []
        return [CocoResults(stack.enter_context(output_stream(self.options.coco, "--coco")))]


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

    def write(self, answers: "Sequence[Result[Detection]]") -> None:
        for answer in answers:
            for it in answer.predictions:
                self._stream.write(self._before + self._text(_coco(answer.name, it)))
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


def _cells(answer: "Result[Detection]") -> Iterator[tuple[str, ...]]:
    from litevision.cli._images.results import printable

    name = printable(answer.name)
    for it in answer.predictions:
        yield name, printable(it.label), f"{it.score:.4f}", *(f"{edge:.1f}" for edge in it.box_xyxy)
    if not answer.predictions:
        yield name, "-", "", "", "", "", ""


def _rows(answer: "Result[Detection]") -> Iterator[tuple[object, ...]]:
    for it in answer.predictions:
        yield answer.name, it.label, it.index, it.score, *it.box_xyxy, round(answer.ms, 3)


def _plain(answer: "Result[Detection]") -> dict[str, Any]:
    found = [
        {"label": it.label, "score": it.score, "index": it.index, "box_xyxy": list(it.box_xyxy)}
        for it in answer.predictions
    ]
    return {"detections": found}
