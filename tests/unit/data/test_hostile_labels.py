"""Labels that are made to cost: each costs its own image, in bounded time and memory."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from labelled_boxes import coco, scenes, write_coco, write_image, write_voc, write_yolo
from litevision.data import DataReport, check_data

SCENES = scenes(6, 2, 2)
MANY = 20_001


def checked(root: Path) -> DataReport:
    return check_data(root, quick=True)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("0 0.5 0.5 0.1 0.1\n" * MANY, "20,002 lines, more than the limit of 20,000"),
        ("0 " + "0.5 " * 2_200_000, "bytes, more than the limit of 8,388,608"),
    ],
    ids=["lines", "bytes"],
)
def test_a_text_of_too_many_boxes(tmp_path: Path, text: str, detail: str) -> None:
    root = write_yolo(tmp_path, SCENES)
    (root / "labels/train/train00.txt").write_text(text)
    report = checked(root)
    (issue,) = (issue for issue in report.issues if issue.rule == "unreadable-labels")
    assert issue.detail.endswith(detail)
    assert len(report.data.samples) == 9


@pytest.mark.parametrize(
    ("inner", "detail"),
    [
        ("<a/>" * 200_001, "more than 200,000 elements"),
        ("<a>" * 65 + "</a>" * 65, "more than 64 elements inside each other"),
        (" " * 9_000_000, "bytes, more than the limit of 8,388,608"),
    ],
    ids=["elements", "depth", "bytes"],
)
def test_xml_of_too_much(tmp_path: Path, inner: str, detail: str) -> None:
    root = write_voc(tmp_path, SCENES)
    (root / "Annotations/train00.xml").write_text(f"<annotation>{inner}</annotation>")
    report = checked(root)
    (issue,) = (issue for issue in report.issues if issue.rule == "unreadable-labels")
    assert issue.detail.endswith(detail)
    assert len(report.data.samples) == 9


def test_a_name_of_a_million_letters_is_cut(tmp_path: Path) -> None:
    root = write_voc(tmp_path, SCENES)
    file = root / "Annotations/train00.xml"
    file.write_text(file.read_text().replace("<name>cell</name>", f"<name>{'a&#65;' * 300_000}</name>"))
    assert max(map(len, checked(root).data.classes)) <= 8192


def test_many_boxes_of_one_image_and_copies_without_end(tmp_path: Path) -> None:
    root = write_coco(tmp_path, SCENES)
    file = root / "annotations/instances_train2017.json"
    plain = coco([scene for scene in SCENES if scene.split == "train"])
    first = plain["annotations"][0]
    plain["annotations"] += [{**first, "id": 1000 + number} for number in range(MANY)]
    file.write_text(json.dumps(plain))
    report = checked(root)
    assert [issue.detail for issue in report.issues if issue.rule == "unreadable-labels"] == [
        "20,004 boxes of train2017/train00.png, more than the limit of 20,000"
    ]
    places = [(2 + number % 30, 3 + number // 30 * 0.6) for number in range(1500)]
    near = [{**first, "id": number, "bbox": [x, y, 28, 10]} for number, (x, y) in enumerate(places)]
    plain["annotations"] = [*plain["annotations"][1:18], *near]
    file.write_text(json.dumps(plain))
    assert checked(root).counts["near-duplicate-box"] == 100


def test_text_that_is_nearly_a_label_is_told_at_once(tmp_path: Path) -> None:
    for scene in SCENES:
        write_image(tmp_path / scene.split / f"{scene.name}.png", scene)
        (tmp_path / scene.split / f"{scene.name}.txt").write_text("0 " + "1" * 500_000 + "x")
    with pytest.raises(Exception, match="are called as splits are"):
        checked(tmp_path)


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [os.mkfifo, make_loop], ids=["pipe", "loop"])
@pytest.mark.parametrize("write", [write_voc, write_yolo, write_coco])
def test_pipes_and_links_to_themselves_are_no_files(
    tmp_path: Path, write: Callable[..., Path], make: Callable[[Path], None]
) -> None:
    before = checked(write(tmp_path, SCENES)).data.samples
    folders = [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]
    for folder in folders:
        for name in ("a.xml", "b.json", "c.txt", "d.yaml", "e.csv", "classes.txt", "x"):
            make(folder / name)
    assert [one.path for one in checked(tmp_path).data.samples] == [one.path for one in before]
