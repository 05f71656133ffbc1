"""Labels that are wrong as a whole are one error with its likely cause, and nothing is learned from them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from labelled_boxes import scenes, write_coco, write_voc, write_yolo
from litevision.data import check_data, read_boxes
from litevision.errors import DataError

Four = tuple[float, float, float, float]


def px(cx: float, cy: float, w: float, h: float) -> Four:
    return cx * 64, cy * 48, w * 64, h * 48


def corners(cx: float, cy: float, w: float, h: float) -> Four:
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def rewrite_yolo(root: Path, write_as: Callable[..., tuple[float, ...]]) -> None:
    for file in (root / "labels").rglob("*.txt"):
        rows = [line.split() for line in file.read_text().splitlines()]
        lines = (f"{id_} {' '.join(map(str, write_as(*map(float, numbers))))}\n" for id_, *numbers in rows)
        file.write_text("".join(lines))


@pytest.mark.parametrize(
    ("write_as", "cause"),
    [
        (px, "24 of 24 boxes are in px; expected fractions of the image's size"),
        (corners, "24 of 24 boxes are probably corners x1 y1 x2 y2; expected centre, width and height"),
        (lambda *box: (*box, 0.9), "24 lines have a fifth number, as the confidence in predictions: labels have four"),
    ],
)
def test_yolo(tmp_path: Path, write_as: Callable[..., tuple[float, ...]], cause: str) -> None:
    root = write_yolo(tmp_path, scenes(4))
    rewrite_yolo(root, write_as)
    report = check_data(root)
    assert [(issue.rule, issue.detail) for issue in report.issues if issue.severity == "error"] == [
        ("misread-labels", cause)
    ]
    with pytest.raises(DataError, match=re.escape(cause)):
        read_boxes(root)


@pytest.mark.parametrize(
    ("write_as", "cause"),
    [
        (lambda x, y, w, h: [x / 64, y / 48, w / 64, h / 48], "are fractions of the image's size; expected px"),
        (lambda x, y, w, h: [x, y, x + w, y + h], "are probably corners [x1, y1, x2, y2]; expected [x, y, width, hei"),
    ],
)
def test_coco(tmp_path: Path, write_as: Callable[..., list[float]], cause: str) -> None:
    root = write_coco(tmp_path, scenes(8))
    for file in (root / "annotations").iterdir():
        plain = json.loads(file.read_text())
        for row in plain["annotations"]:
            row["bbox"] = write_as(*row["bbox"])
        file.write_text(json.dumps(plain))
    errors = [issue for issue in check_data(root).issues if issue.severity == "error"]
    assert [issue.rule for issue in errors] == ["misread-labels"]
    assert cause in errors[0].detail


def test_voc_sides_that_are_exchanged(tmp_path: Path) -> None:
    root = write_voc(tmp_path, scenes(8))
    for file in (root / "Annotations").iterdir():
        sides = "<width>48</width><height>64</height>"
        file.write_text(re.sub("<width>.*</height>", sides, file.read_text()))
    errors = [issue for issue in check_data(root).issues if issue.severity == "error"]
    assert [(issue.rule, issue.detail) for issue in errors] == [
        ("misread-labels", "12 of 12 images have the stated height as their width: they are exchanged")
    ]


def test_a_few_odd_boxes_stay_what_they_are(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, scenes(8))
    (root / "labels/train/train00.txt").write_text("0 30 20 10 10\n")
    report = check_data(root)
    assert {"outside-box", "image-left-out"} <= set(report.counts)
    assert "misread-labels" not in report.counts
