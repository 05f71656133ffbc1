"""Every planted issue of labels is found once, with its file and line, and the rest is read as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from labelled_boxes import Scene, coco, scenes, voc_xml, write_coco, write_image, write_voc, write_yolo
from litevision.data import RULES, DataReport, check_data, read_boxes
from litevision.data.boxes import usable_boxes
from litevision.data.issues import Issue
from litevision.data.listing import ListedBox, ListedImage, Listing

Found = list[tuple[str, str | None, int | None]]


def found(report: DataReport) -> Found:
    root = report.data.root
    return [(one.rule, one.path and one.path.relative_to(root).as_posix(), one.line) for one in report.issues]


def boxes_of(report: DataReport, stem: str) -> int:
    return next(len(sample.labels) for sample in report.data.samples if sample.path.stem == stem)


def plant_in_voc(root: Path) -> Found:
    wrong = {
        "train00": [("cell", 5, 5, 5, 5)],
        "train01": [("cell", 30, 5, 20, 15)],
        "train02": [("cell", 70, 5, 90, 20)],
        "train03": [("cell", "nan", 5, 20, 15)],
        "train04": [("cell", "", 5, 20, 15)],
        "train05": [("", 5, 5, 20, 15)],
        "train06": [("cell", 40, 30, 70, 40)],
        "train07": [("cell", 40, 30, 42, 40)],
        "train08": [("dot", 40, 7, 50, 15)],
        "train09": [("cell", 30, 26, 59, 46), ("cell", 31, 26, 60, 46)],
    }
    rules = {
        "train00": "zero-area-box",
        "train01": "swapped-corners",
        "train02": "outside-box",
        "train03": "unreadable-box",
        "train04": "unreadable-box",
        "train05": "unknown-class",
        "train06": "over-edge-box",
        "train07": "tiny-box",
        "train08": "duplicate-box",
        "train09": "near-duplicate-box",
    }
    planted: Found = []
    data = {scene.name: scene for scene in scenes()}
    for name, boxes in wrong.items():
        scene = data[name]
        text = voc_xml(Scene(name, "train", [*scene.boxes, *boxes], scene.size_hw))
        (root / f"Annotations/{name}.xml").write_text(text)
        line = next(
            number
            for number, content in reversed(list(enumerate(text.splitlines(), 1)))
            if ("<object>" if name == "train05" else "<bndbox>") in content
        )
        planted.append((rules[name], f"Annotations/{name}.xml", line))

    planted += [("image-left-out", f"JPEGImages/train0{number}.png", None) for number in range(2, 6)]

    def put(rule: str, name: str, text: str, line: int | None = None) -> None:
        (root / name).write_text(text)
        planted.append((rule, name, line))

    put("unreadable-labels", "Annotations/train10.xml", "")
    put("unreadable-labels", "Annotations/train11.xml", "<annotation>\n<object>\n</annotation>", 3)
    put("unreadable-labels", "Annotations/train12.xml", "\n<svg/>", 2)
    put("unreadable-labels", "Annotations/train13.xml", '<!DOCTYPE a SYSTEM "file:///etc/passwd">\n<annotation/>', 1)
    other = Scene("train14", "train", data["train14"].boxes, (96, 128))
    put("wrong-size", "Annotations/train14.xml", voc_xml(other))
    (root / "Annotations/train15.xml").unlink()
    planted.append(("missing-labels", "ImageSets/Main/train.txt", 16))
    (root / "JPEGImages/train16.png").unlink()
    planted.append(("missing-image", "Annotations/train16.xml", None))
    (root / "JPEGImages/train17.png").write_bytes(b"")
    planted.append(("empty-file", "JPEGImages/train17.png", None))
    put("not-in-a-split", "Annotations/extra.xml", voc_xml(Scene("extra", "train")))
    for name in ("extra", "unlabelled", "train15"):
        write_image(root / f"JPEGImages/{name}.png", Scene(name, "train"))
    planted.append(("image-without-labels", "JPEGImages/unlabelled.png", None))
    planted.append(("image-without-labels", "JPEGImages/train15.png", None))
    with (root / "ImageSets/Main/val.txt").open("a") as file:
        file.write("train18\n")
    planted.append(("listed-twice", "ImageSets/Main/val.txt", 3))
    (root / "JPEGImages/test01.png").write_bytes((root / "JPEGImages/train19.png").read_bytes())
    planted.append(("duplicate-across-splits", "JPEGImages/test01.png", None))
    with Image.open(root / "JPEGImages/train20.png") as image:
        image.resize((60, 45)).resize((64, 48)).save(root / "JPEGImages/test00.png")
    planted.append(("near-duplicate-across-splits", "JPEGImages/test00.png", None))
    text = voc_xml(Scene("train21", "train", [("Cell", 3, 4, 30, 40)]), difficult=[0])
    (root / "Annotations/train21.xml").write_text(text)
    planted += [("name-case-collision", None, None), ("class-without-boxes", None, None), ("ignored-boxes", None, None)]
    (root / "Annotations/train22.xml").write_text(voc_xml(Scene("train22", "train")))
    planted.append(("images-without-boxes", None, None))
    return planted


def test_every_planted_issue_of_voc(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "data", scenes(28))
    assert check_data(root).issues == ()
    planted = plant_in_voc(root)
    report = check_data(root)
    assert sorted(found(report), key=str) == sorted(planted, key=str)
    assert report.ok
    # A point or a copy is left out alone; where a box's place or class is not known, its image is.
    assert [boxes_of(report, f"train0{number}") for number in (0, 1, 6, 7, 8, 9)] == [3, 4, 4, 4, 3, 5]
    left_out = {
        "train02",
        "train03",
        "train04",
        "train05",
        "train10",
        "train11",
        "train12",
        "train13",
        "train14",
        "train15",
        "train16",
        "train17",
    }
    assert {sample.path.stem for sample in report.data.samples} == {scene.name for scene in scenes(28)} - left_out
    details = {one.rule: one.detail for one in report.issues}
    assert details.items() >= {
        ("swapped-corners", "cell 30 5 20 15"),
        ("image-left-out", "3 of 3 readable boxes can be used"),
        ("outside-box", "cell 70 5 90 20; the image has 64 x 48 px"),
        ("over-edge-box", "cell 40 30 70 40; 6.0 px out of 64 x 48 px"),
        ("wrong-size", "JPEGImages/train14.png has 64 x 48 px, the labels say 128 x 96"),
        ("listed-twice", "train18: also in train.txt"),
        ("duplicate-across-splits", "same bytes as JPEGImages/train19.png (train)"),
        ("name-case-collision", "class 'cell', beside class 'Cell'"),
    }
    assert {rule.name: rule.of_boxes for rule in RULES}["wrong-size"]


def plant_in_coco(root: Path) -> Found:
    file = root / "annotations/instances_train2017.json"
    plain = json.loads(file.read_text())
    boxes, images, classes = plain["annotations"], plain["images"], plain["categories"]

    def box(image: int, *bbox: object, **others: Any) -> None:
        boxes.append({"id": 1000 + len(boxes), "image_id": image, "category_id": 1, "bbox": list(bbox), **others})

    box(100, 5, 5, 0, 0)
    box(101, 5, 5, -3, 8)
    box(102, 70, 5, 10, 10)
    box(103, float("nan"), 5, 10, 10)
    box(104, 5, 10, 10)
    box(105, 5, 5, 20, "10")
    box(106, 40, 30, 30, 10)
    box(107, 40, 30, 2, 10)
    box(108, 5, 5, 20, 20, category_id=7)
    box(109, 5, 30, 20, 10, id=1)
    box(999, 5, 30, 20, 10)
    box(110, 5, 30, 20, 10, iscrowd=1)
    boxes.append("nonsense")
    images.append({"id": 100, "file_name": "again.png", "height": 48, "width": 64})
    images.append({"id": 700, "file_name": "none.png", "height": 48, "width": 64})
    images.append({"id": 701, "file_name": "train00.png", "height": 48, "width": 64})
    images[11]["height"] = 47
    classes.append({"id": 1, "name": "third"})
    classes.append({"id": 4, "name": "unused"})
    file.write_text(json.dumps(plain))
    write_image(root / "train2017/unlisted.png", Scene("unlisted", "train"))
    name = "annotations/instances_train2017.json"
    rules = [
        *("zero-area-box", "inverted-box", "outside-box", "over-edge-box", "tiny-box", "unknown-class", "wrong-size"),
        *("unreadable-box", "unreadable-box", "unreadable-box", "unreadable-box", "id-twice", "id-twice"),
        *("missing-image", "missing-image", "listed-twice", "class-id-conflict"),
    ]
    planted: Found = [(rule, name, None) for rule in rules]
    planted.append(("image-without-labels", "train2017/unlisted.png", None))
    planted += [("image-left-out", f"train2017/train0{number}.png", None) for number in (1, 2, 3, 4, 5, 8)]
    planted.append(("class-id-gaps", "annotations/instances_test2017.json", None))  # the first file speaks for all
    return [*planted, ("class-without-boxes", None, None), ("ignored-boxes", None, None)]


def test_every_planted_issue_of_coco(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "data", scenes())
    assert check_data(root).issues == ()
    planted = plant_in_coco(root)
    report = check_data(root)
    assert sorted(found(report), key=str) == sorted(planted, key=str)
    assert [boxes_of(report, f"train{number:02}") for number in (0, 6, 7, 9, 10)] == [3, 4, 4, 4, 4]
    assert {scene.name for scene in scenes()} - {sample.path.stem for sample in report.data.samples} == {
        *(f"train0{number}" for number in (1, 2, 3, 4, 5, 8)),
        "train11",
    }
    details = [one.detail for one in report.issues]
    assert "annotation 1072 of train2017/train00.png: cell [5, 5, 0, 0]" in details
    assert "annotation 1075 of train2017/train03.png: cell [NaN, 5, 10, 10]; expected finite numbers" in details
    assert "id 1 is 'cell', and again 'third'" in details
    assert "train00.png: under the ids 100 and 701; their boxes are joined" in details
    assert "3 classes with ids 1 to 4, without 3; labels are 0 to 2" in details


def plant_in_yolo(root: Path) -> Found:
    wrong = {
        "train00": ("0 0.5 0.5 0 0", "zero-area-box"),
        "train01": ("0 0.5 0.5 -0.2 0.1", "inverted-box"),
        "train02": ("0 320 240 50 40", "outside-box"),
        "train03": ("0 nan 0.5 0.1 0.1", "unreadable-box"),
        "train04": ("0 0.5 0.5 0.1", "unreadable-box"),
        "train05": ("0 0.5 0.5 0.1 x", "unreadable-box"),
        "train06": ("2 0.5 0.5 0.1 0.1", "unknown-class"),
        "train07": ("-1 0.5 0.5 0.1 0.1", "unknown-class"),
        "train08": ("0 0.9 0.7 0.4 0.2", "over-edge-box"),
        "train09": ("0 0.8 0.8 0.03 0.1", "tiny-box"),
        "train10": ("1 0.7031250 0.166667 0.156250 0.166667", ""),
    }
    planted: Found = []
    for name, (line, rule) in wrong.items():
        path = root / f"labels/train/{name}.txt"
        path.write_text(path.read_text() + f"\n{line}\n")  # after an empty line
        if rule:
            planted.append((rule, f"labels/train/{name}.txt", 5))
    text = (root / "labels/train/train11.txt").read_text()
    (root / "labels/train/train11.txt").write_text(text + text.splitlines()[1])
    planted.append(("duplicate-box", "labels/train/train11.txt", 4))
    (root / "labels/train/train12.txt").unlink()
    planted += [("image-without-labels", "images/train/train12.png", None), ("images-without-boxes", None, None)]
    (root / "labels/train/lost.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    planted.append(("missing-image", "labels/train/lost.txt", None))
    (root / "labels/train/train13.txt").write_bytes(b"\xff\xfe0 0.5")
    planted.append(("unreadable-labels", "labels/train/train13.txt", None))
    description = (root / "data.yaml").read_text().replace("nc: 2", "nc: 3")
    (root / "data.yaml").write_text(description.replace("val: images/val", "val:\n- images/val\n- images/more"))
    planted += [("image-left-out", f"images/train/train0{number}.png", None) for number in range(1, 8)]
    return [*planted, ("wrong-class-count", "data.yaml", None), ("missing-split", "data.yaml", None)]


def test_every_planted_issue_of_yolo(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", scenes())
    assert check_data(root).issues == ()
    planted = plant_in_yolo(root)
    report = check_data(root)
    assert sorted(found(report), key=str) == sorted(planted, key=str)
    assert [boxes_of(report, f"train{number:02}") for number in (0, *range(8, 13))] == [3, 4, 4, 4, 3, 0]
    assert {scene.name for scene in scenes()} - {sample.path.stem for sample in report.data.samples} == {
        *(f"train0{number}" for number in range(1, 8)),
        "train13",
    }
    details = [one.detail for one in report.issues]
    assert "0 320 240 50 40; the image has 64 x 48 px" in details
    assert "-1 0.5 0.5 0.1 0.1; expected a class from 0 to 1" in details
    assert "nc is 3, and names has 2" in details


def test_every_rule_of_boxes_is_planted_somewhere(tmp_path: Path) -> None:
    plants: list[tuple[Callable[..., Path], Callable[[Path], Found]]] = [
        (write_voc, plant_in_voc),
        (write_coco, plant_in_coco),
        (write_yolo, plant_in_yolo),
    ]
    planted = {
        rule
        for place, (write, plant) in enumerate(plants)
        for rule, *_ in plant(write(tmp_path / str(place), scenes()))
    }
    elsewhere = {"turned-boxes", "polygon-labels", "keypoint-labels", "numbered-classes", "split-twice"}
    elsewhere |= {"root-category", "misread-labels", "class-not-trained", "unused-labels", "too-many-objects"}
    assert {rule.name for rule in RULES if rule.of_boxes} - planted == elsewhere


def test_reading_finds_what_the_check_of_headers_finds_in_labels(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "data", scenes())
    plant_in_voc(root)
    checked = {issue for issue in check_data(root, quick=True).issues if issue.path}
    read = set(read_boxes(root).issues)
    assert {issue.rule for issue in checked - read} == {"duplicate-across-splits"}
    assert read <= checked


def test_json_tells_the_task_and_the_line(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", scenes())
    (root / "labels/train/train00.txt").write_text("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0 0\n")
    plain = json.loads(check_data(root).to_json())
    assert (plain["task"], plain["classes"], plain["splits"]["train"]) == ("detection", ["cell", "dot"], [24, 46])
    assert plain["issues"][0]["line"] == 2
    assert plain["issues"][0]["path"] == str(root / "labels/train/train00.txt")


def test_a_class_that_is_tested_alone_and_a_rare_one(tmp_path: Path) -> None:
    data = [*scenes(), Scene("new", "test", [("eel", 5, 5, 30, 30)])]
    report = check_data(write_voc(tmp_path / "data", data))
    assert [(one.rule, one.detail) for one in report.issues] == [("class-not-trained", "class 'eel': only in test")]
    flies = [("fly", 4.0 * x, 4.0 * y, 4.0 * x + 8, 4.0 * y + 8) for x in range(13) for y in range(9)]
    many = [Scene(f"many{number}", "train", flies) for number in range(6)]
    report = check_data(write_voc(tmp_path / "more", [*scenes(), *many]))
    assert [(one.rule, one.detail) for one in report.issues] == [
        ("too-few-images", "class 'fly': 0 in test"),
        ("too-few-images", "class 'fly': 0 in validation"),
        ("too-few-images", "class 'fly': 6 in train"),
        ("imbalance", "'fly' has 702, 'cell' has 24: 29 times"),
        (
            "too-many-objects",
            "6 images with more than 100 objects, 117 at most: 102 can never be found; train with --set "
            "detection.top_k=117",
        ),
    ]


COORDINATE = st.one_of(st.floats(-80, 160), st.sampled_from([0.0, 48.0, 64.0, float("nan"), float("inf"), 1e300]))


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), COORDINATE, COORDINATE, COORDINATE, COORDINATE), max_size=8))
def test_whatever_is_written_what_is_kept_lies_inside_and_the_rest_is_told(
    written: list[tuple[str, float, float, float, float]],
) -> None:
    file = Path("labels.xml")
    boxes = [ListedBox(label, tuple(box), str(box), file, place) for place, (label, *box) in enumerate(written)]
    listing = Listing(Path(), ["a", "b"])
    issues: list[Issue] = []
    usable = usable_boxes(
        ListedImage(Path("a.png"), "a.png", None, labels_file=file, boxes=boxes), listing, (48, 64), issues
    )
    if usable is None:
        assert {issue.rule for issue in issues} & {"unreadable-box", "inverted-box", "zero-area-box", "outside-box"}
        assert issues[-1].rule == "image-left-out"
        return
    x1, y1, x2, y2 = usable.boxes_xyxy.T
    assert np.all((x1 >= 0) & (y1 >= 0) & (x2 <= 64) & (y2 <= 48) & (x2 > x1) & (y2 > y1))
    leaving = {"zero-area-box", "duplicate-box"}
    assert len(usable.labels) + sum(issue.rule in leaving for issue in issues) == len(written)


def test_coco_of_another_root(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "data", scenes())
    assert len(check_data(root / "annotations").data.samples) == len(scenes())
    report = check_data(root / "annotations/instances_test2017.json")
    assert (len(report.data.samples), report.data.kind) == (2, "COCO")
    assert coco(scenes())["categories"] == [{"id": 1, "name": "cell"}, {"id": 2, "name": "dot"}]


def test_bccd_has_these_issues_and_no_others(shared: Path) -> None:
    # Looked at by eye: 37 and 38 are one view at two depths of focus; each of the seven pairs of boxes is one cell,
    # whose box was copied with LabelImg, which puts the copy 2 px beside it.
    report = check_data(shared / "data/bccd")
    assert report.counts == {
        "zero-area-box": 2,
        "near-duplicate-across-splits": 1,
        "imbalance": 1,
        "near-duplicate-box": 7,
    }
    near = next(issue for issue in report.issues if issue.rule == "near-duplicate-across-splits")
    assert near.path == shared / "data/bccd/JPEGImages/BloodImage_00037.jpg"


@pytest.mark.parametrize("quick", [False, True])
def test_progress_goes_over_every_image(tmp_path: Path, quick: bool) -> None:
    told: list[tuple[int, int]] = []
    check_data(
        write_voc(tmp_path / "data", scenes(2)),
        quick=quick,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 6) for done in range(1, 7)]
