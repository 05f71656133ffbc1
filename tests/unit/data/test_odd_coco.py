"""COCO as other programs write it: ids of every spelling, outlines alone, categories above others, ignored objects."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labelled_boxes import coco, scenes, write_image, write_voc
from litevision.data import check_data, read_boxes
from litevision.errors import DataError

Plain = dict[str, list[dict[str, Any]]]


def write(root: Path, change: Callable[[Plain], None]) -> Path:
    data = scenes(20, 0, 0)
    for scene in data:
        write_image(root / "images" / f"{scene.name}.png", scene)
    plain: Plain = coco(data)
    change(plain)
    (root / "labels.json").write_text(json.dumps(plain))
    return root


def nothing(plain: Plain) -> None:
    """Changes nothing."""


def each(table: str, key: str, write_as: Callable[[Any], Any]) -> Callable[[Plain], None]:
    def change(plain: Plain) -> None:
        for row in plain[table]:
            row[key] = write_as(row[key])

    return change


@pytest.mark.parametrize(
    "change",
    [
        each("categories", "id", str),
        each("categories", "id", float),
        each("annotations", "category_id", float),
        each("annotations", "image_id", str),
        each("images", "id", lambda id_: f"{id_:012}"),
        each("annotations", "bbox", lambda box: [str(side) for side in box]),
    ],
)
def test_ids_and_numbers_of_every_spelling(tmp_path: Path, change: Callable[[Plain], None]) -> None:
    before, after = read_boxes(write(tmp_path / "a", nothing)), read_boxes(write(tmp_path / "b", change))
    assert (after.classes, after.issues) == (before.classes, before.issues)
    for one, other in zip(after.samples, before.samples, strict=True):
        assert (one.boxes_xyxy.tolist(), one.labels.tolist()) == (other.boxes_xyxy.tolist(), other.labels.tolist())


def test_outlines_alone_become_boxes(tmp_path: Path) -> None:
    def change(plain: Plain) -> None:
        for row in plain["annotations"]:
            x, y, width, height = row.pop("bbox")
            row["segmentation"] = [[x, y, x + width, y], [x + width, y + height, x, y + height]]

    before, after = read_boxes(write(tmp_path / "a", nothing)), read_boxes(write(tmp_path / "b", change))
    assert [one.boxes_xyxy.tolist() for one in after.samples] == [one.boxes_xyxy.tolist() for one in before.samples]
    assert [(issue.rule, issue.detail) for issue in after.issues] == [("polygon-labels", "60 of 60 boxes")]


def test_a_category_above_others_is_no_class(tmp_path: Path) -> None:
    def change(plain: Plain) -> None:
        for row in plain["categories"]:
            row["supercategory"] = "things"
        plain["categories"].insert(0, {"id": 0, "name": "things", "supercategory": "none"})

    data = read_boxes(write(tmp_path / "root", change))
    assert (data.classes, [issue.rule for issue in data.issues]) == (("cell", "dot"), ["root-category"])

    def has_a_box(plain: Plain) -> None:
        change(plain)
        plain["annotations"][0]["category_id"] = 0

    assert read_boxes(write(tmp_path / "class", has_a_box)).classes == ("things", "cell", "dot")


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
def test_data_of_ignored_objects_alone_is_an_error_that_names_them(tmp_path: Path, key: str) -> None:
    def change(plain: Plain) -> None:
        for row in plain["annotations"]:
            row[key] = 1

    report = check_data(write(tmp_path, change))
    assert not report.ok
    details = [issue.detail for issue in report.issues if issue.rule == "cannot-train"]
    assert details[-1] == (
        "no boxes to learn from in the 16 images of train; all 48 are marked as difficult or as a crowd (iscrowd), "
        "and are skipped; unmark some"
    )


def test_an_image_with_a_refused_box_is_neither_taught_as_empty_nor_scored(tmp_path: Path) -> None:
    def change(plain: Plain) -> None:
        for row in plain["annotations"]:
            if row["image_id"] < 103:
                row["bbox"][0] = 5000

    data = read_boxes(write(tmp_path / "coco", change))
    assert len(data.samples) == 17
    assert sorted(issue.rule for issue in data.issues) == ["image-left-out"] * 3 + ["outside-box"] * 9
    assert all(len(sample.labels) for sample in data.samples)

    def all_refused(plain: Plain) -> None:
        for row in plain["annotations"]:
            row["bbox"][0] = 5000

    assert not check_data(write(tmp_path / "none", all_refused)).ok
    with pytest.raises(DataError, match="0 images that can be used"):
        read_boxes(tmp_path / "none")


def test_outlines_of_voc_become_boxes(tmp_path: Path) -> None:
    root = write_voc(tmp_path, scenes(2))
    xml = root / "Annotations/train00.xml"
    text = xml.read_text()
    polygon = "<polygon><x1>30</x1><y1>5</y1><x2>8</x2><y2>25</y2><x3>20</x3><y3>3</y3></polygon>"
    turned = "<robndbox><cx>30</cx><cy>20</cy><w>20</w><h>10</h><angle>1.5707963</angle></robndbox>"
    for drawn in (polygon, turned):
        start, end = text.index("<bndbox>"), text.index("</bndbox>") + len("</bndbox>")
        text = text[:start] + drawn + text[end:]
    xml.write_text(text)
    data = read_boxes(root)
    first = next(sample for sample in data.samples if sample.path.stem == "train00")
    assert first.boxes_xyxy[:2].round(3).tolist() == [[8, 3, 30, 25], [25, 10, 35, 30]]
    assert [issue.rule for issue in data.issues] == ["polygon-labels"]
