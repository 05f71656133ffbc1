"""COCO's list of results, as `detect` writes it."""

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO

from litevision.tables import escape, pluralise

if TYPE_CHECKING:
    from litevision.data.coco_ids import CocoIds
    from litevision.detections import Detection
    from litevision.runtime import Detections, Result


class CocoResults:
    """Writes COCO's list of results, an object a line; a `litevision.cli.tables.Writer`.

    Without ids, ``image_id`` is the number that a file is named after, as COCO's own are, if no other file has it; else
    its path or the frame's name. ``category_id`` counts the bundle's labels from 1. ``file_name`` and ``category`` say
    the same in words.

    Args:
        stream: where they go.
        ids: those of a file of annotations; what it does not name is left out and counted.
    """

    def __init__(self, stream: TextIO, ids: "CocoIds | None" = None) -> None:
        import json

        self._stream = stream
        self._ids = ids
        self._text = json.dumps
        self._before = "["
        self._names_of: dict[int, str] = {}
        self._renamed = 0
        self._images_left_out = 0
        self._boxes_left_out: dict[str, int] = {}

    def write(self, results: "Sequence[Result[Detections]]") -> None:
        for result in results:
            if result.error is None:
                for row in self._rows(result):
                    self._stream.write(self._before + self._text(row))
                    self._before = ",\n"
        self._stream.flush()

    def finish(self) -> None:
        self._stream.write("]\n" if self._before == ",\n" else "[]\n")
        self._stream.flush()

    def remarks(self) -> Iterator[str]:
        """What was left out, in words."""
        if self._ids is not None and self._images_left_out:
            verb = "is" if self._images_left_out == 1 else "are"
            yield f"{pluralise(self._images_left_out)} {verb} left out, which {self._ids.path} does not name"
        if self._ids is not None and self._boxes_left_out:
            counts = ", ".join(f"{count:,} {escape(name)}" for name, count in self._boxes_left_out.items())
            yield f"boxes of classes that {self._ids.path} does not name are left out: {counts}"
        if self._renamed:
            yield f"{pluralise(self._renamed)} of a number that another file has: their image_id is their path"

    def _rows(self, result: "Result[Detections]") -> Iterator[dict[str, Any]]:
        image_id = self._image_id(result) if self._ids is None else self._ids.image_id(result.name)
        if image_id is None:
            self._images_left_out += 1
            return
        found = result.predictions
        ids = range(1, len(found.class_names) + 1) if self._ids is None else self._ids.category_ids(found.class_names)
        for it in found:
            category_id = ids[it.index]
            if category_id is None:
                self._boxes_left_out[it.label] = self._boxes_left_out.get(it.label, 0) + 1
            else:
                yield {**_row(image_id, category_id, it), "file_name": result.name, "category": it.label}

    def _image_id(self, result: "Result[Detections]") -> int | str:
        stem = PurePath(result.name).stem
        if result.file != result.name or not (stem.isascii() and stem.isdigit()):  # of a frame, its name
            return result.name
        if self._names_of.setdefault(int(stem), result.name) == result.name:
            return int(stem)
        self._renamed += 1
        return result.name


def _row(image_id: int | str, category_id: int, found: "Detection") -> dict[str, Any]:
    x1, y1, x2, y2 = found.box_xyxy
    return {
        "image_id": image_id,
        "category_id": category_id,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "score": found.score,
    }
