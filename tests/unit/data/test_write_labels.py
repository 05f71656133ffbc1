"""Labels that are written are read back: as the same boxes, without an issue."""

import zlib
from pathlib import Path, PurePath

import numpy as np
import pytest

from images import encoded
from labelled import blobs
from litevision.data import check_data
from litevision.data.reader import read_boxes
from litevision.data.write_labels import WRITERS, label_writer
from litevision.detections import Detections
from litevision.errors import UnknownNameError

CLASSES = ("white cell", "клетка", "a: 'b' \"c\" <d>")
BOXES = {
    "one.png": ([[1.25, 2.5, 30.75, 40], [0, 0, 64, 48], [60, 40, 64, 48]], [0, 1, 2]),
    "deep/two.png": ([[10.4, 11.6, 20.3, 21.9]], [1]),
    "none.png": ([], []),
    "three.png": ([[63, 47, 64, 48], [5, 5, 25, 35]], [0, 2]),
}


@pytest.mark.parametrize("form", WRITERS)
def test_written_labels_are_read_back(tmp_path: Path, form: str) -> None:
    writer = label_writer(form)(tmp_path, CLASSES)
    for name, (boxes, classes) in BOXES.items():
        image = tmp_path / writer.images / name
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(encoded(blobs(zlib.crc32(name.encode()), 48, 64)))
        writer.add(PurePath(name), Detections(boxes, np.full(len(boxes), 0.9), classes, CLASSES, (48, 64)))
    writer.finish()
    report = check_data(tmp_path)
    assert report.ok, report.text()
    read = read_boxes(tmp_path)
    assert set(read.classes) >= {CLASSES[index] for _, classes in BOXES.values() for index in classes}
    assert len(read.samples) == len(BOXES)
    for sample in read.samples:
        boxes, classes = BOXES[sample.path.relative_to(tmp_path / writer.images).as_posix()]
        found = sorted(
            (read.classes[label], *box) for label, box in zip(sample.labels, sample.boxes_xyxy.tolist(), strict=True)
        )
        expected = sorted((CLASSES[label], *box) for label, box in zip(classes, boxes, strict=True))
        assert [it[0] for it in found] == [it[0] for it in expected]
        tolerance = 0.51 if form == "voc" else 1e-4
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[1:], other[1:], atol=tolerance)


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'yolo'"):
        label_writer("yolov8")
