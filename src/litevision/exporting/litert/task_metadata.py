"""TFLite metadata, by which MediaPipe and the Task Library know labels, the input and what each output means.

A flatbuffer of its own inside the model, and the files that it names behind the model as a zip archive, which every
unzip opens. Source: the schema of TFLite metadata (identifier M001, version 1.5); the numbers below are its fields'.
"""

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litevision.runtime import BundleMetadata
from litevision.runtime.bundle import RECORD

LABELS = "labels.txt"
_IDENTIFIER = b"M001"
_MIN_PARSER = "1.2.0"  # the first that knows groups of outputs
_RGB = 1
_BOUNDARIES, _RATIO = 1, 0  # a box as its edges, of the image's sides
_AXIS_LABELS, _VALUE_LABELS = 2, 3  # a name for each place along an axis, or for each value
_IMAGE, _FEATURE, _BOXES = 2, 1, 3  # kinds of content

DETECTION = ("location", "category", "score", "number of detections")
"""What a detector gives, in the order that MediaPipe expects: boxes as (top, left, bottom, right) in [0, 1]."""

Field = tuple[int, Any]
Table = Callable[[Any], int]
"""Writes itself with a builder, and gives its place."""


def task_metadata(metadata: BundleMetadata) -> bytes:
    """Returns the flatbuffer for a bundle's LiteRT file."""
    import flatbuffers

    outputs = _detector_outputs() if metadata.finds_boxes else [_probabilities()]
    groups = [_table((0, "detection_result"), (1, list(DETECTION[:3])))] if metadata.finds_boxes else None
    graph = _table((2, [_images(metadata)]), (3, outputs), (8, groups))
    weights = metadata.weights
    model = _table(
        (0, f"{metadata.architecture.name}, {metadata.task}"),
        (1, f"Trained on {metadata.training_data}. Weights: {weights.name}."),
        (3, [graph]),
        (5, weights.licence),
        (7, _MIN_PARSER),
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(model(builder), _IDENTIFIER)
    return bytes(builder.Output())


def with_files(model: bytes, metadata: BundleMetadata) -> bytes:
    """Returns the file with the labels and the bundle's own record behind the model."""
    whole = io.BytesIO()
    whole.write(model)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as files:  # MediaPipe reads them where they lie
        for name, text in ((LABELS, "\n".join(metadata.labels) + "\n"), (RECORD, metadata.to_json())):
            files.writestr(zipfile.ZipInfo(name), text)
    return whole.getvalue()


def record_check(unfinished: Path, metadata: BundleMetadata) -> None:
    """Writes the record of a file that is not yet in its place anew."""
    data = unfinished.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as files:
        end = min(entry.header_offset for entry in files.infolist())
    unfinished.write_bytes(with_files(data[:end], metadata))


def _images(metadata: BundleMetadata) -> Table:
    height, width = metadata.preprocess.size_hw
    image = _table((0, ("int8", _RGB)), (1, _table((0, ("uint32", width)), (1, ("uint32", height)))))
    nothing_to_do = _table((0, np.zeros(1, np.float32)), (1, np.ones(1, np.float32)))
    unit = _table((0, ("uint8", 1)), (1, nothing_to_do))
    limits = _table((0, np.full(1, 255, np.float32)), (1, np.zeros(1, np.float32)))
    return _table(
        (0, "images"),
        (1, "RGB pixels from 0 to 255; the model normalises them itself."),
        (3, _content(_IMAGE, image)),
        (4, [unit]),
        (5, limits),
    )


def _probabilities() -> Table:
    limits = _table((0, np.ones(1, np.float32)), (1, np.zeros(1, np.float32)))
    return _table(
        (0, "probability"),
        (1, "The probability of each class."),
        (3, _content(_FEATURE, _table())),
        (5, limits),
        (6, [_labels(_AXIS_LABELS)]),
    )


def _detector_outputs() -> list[Table]:
    edges = _table((0, np.array([1, 0, 3, 2], np.uint32)), (1, ("int8", _BOUNDARIES)), (2, ("int8", _RATIO)))
    each = _table((0, ("int32", 2)), (1, ("int32", 2)))  # one for each box, along axis 2 of the boxes
    of_boxes = [_content(_BOXES, edges, each), *(_content(_FEATURE, _table(), each) for _ in range(2))]
    contents = [*of_boxes, _content(_FEATURE, _table())]
    words = ("Boxes as top, left, bottom, right.", "Classes.", "Scores.", "How many boxes there are.")
    return [
        _table((0, name), (1, text), (3, content), (6, [_labels(_VALUE_LABELS)] if name == "category" else None))
        for name, text, content in zip(DETECTION, words, contents, strict=True)
    ]


def _labels(kind: int) -> Table:
    return _table((0, LABELS), (1, "The name of each class, one a line."), (2, ("int8", kind)))


def _content(kind: int, properties: Table, limits: Table | None = None) -> Table:
    return _table((0, ("uint8", kind)), (1, properties), (2, limits))


def _table(*fields: Field) -> Table:
    """A table of the fields given by number: text, arrays, numbers with their type, tables, or lists of those."""

    def write(builder: Any) -> int:
        placed = [(number, _placed(builder, value)) for number, value in fields if value is not None]
        builder.StartObject(max((number for number, _ in placed), default=-1) + 1)
        for number, (kind, value) in placed:
            if kind == "offset":
                builder.PrependUOffsetTRelativeSlot(number, value, 0)
            else:
                getattr(builder, f"Prepend{kind.capitalize()}Slot")(number, value, 0)
        place: int = builder.EndObject()
        return place

    return write


def _placed(builder: Any, value: Any) -> tuple[str, int]:
    if isinstance(value, str):
        return "offset", builder.CreateString(value)
    if isinstance(value, np.ndarray):
        return "offset", builder.CreateNumpyVector(value)
    if callable(value):
        return "offset", value(builder)
    if isinstance(value, list):
        return "offset", _vector(builder, [_placed(builder, each)[1] for each in value])
    return value  # type: ignore[no-any-return]


def _vector(builder: Any, places: Sequence[int]) -> int:
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    made: int = builder.EndVector()
    return made
