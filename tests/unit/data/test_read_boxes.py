"""Three forms of labels give one inner form."""

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from images import stored_as
from labelled import write_classes
from labelled_boxes import (
    CLASSES,
    Scene,
    coco,
    scenes,
    voc_xml,
    write_coco,
    write_image,
    write_voc,
    write_yolo,
    yolo_txt,
)
from litevision.data import LabelledBoxes, read_boxes, task_of
from litevision.data.formats.label_files import UnreadableLabels, is_file, is_folder, read_xml
from litevision.data.formats.yolo_classes import load_yaml, read_yaml
from litevision.data.listing import Listing
from litevision.errors import DataError, FileMissingError

Write = Callable[..., Path]
FORMS = [(write_voc, "Pascal VOC"), (write_coco, "COCO"), (write_yolo, "YOLO")]


def rows(data: LabelledBoxes, split: str) -> list[tuple[str, list[tuple[str, list[float]]]]]:
    return [
        (
            sample.path.stem,
            [
                (data.classes[label], [round(edge, 2) for edge in box])
                for label, box in zip(sample.labels.tolist(), sample.boxes_xyxy.tolist(), strict=True)
            ],
        )
        for sample in data.samples
        if sample.split == split
    ]


def issues(data: LabelledBoxes) -> list[tuple[str, str | None, int | None]]:
    root = data.root if data.root.is_dir() else data.root.parent
    return [(one.rule, one.path and one.path.relative_to(root).as_posix(), one.line) for one in data.issues]


@pytest.mark.parametrize(("write", "kind"), FORMS)
def test_every_form_is_told_and_read_alike(tmp_path: Path, write: Write, kind: str) -> None:
    data = scenes(4)
    found = read_boxes(write(tmp_path / "data", data))
    assert (found.kind, found.classes, found.made_splits, found.issues) == (kind, CLASSES, False, ())
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        expected = [(one.name, [(box[0], list(map(float, box[1:]))) for box in one.boxes]) for one in data]
        assert rows(found, name) == [one for one in expected if one[0].startswith(split)]
        assert found.counts(name) == (len(found.of(name)), 2 * len(found.of(name)))
    for sample in found.samples:
        assert sample.size_hw == (48, 64)
        assert (sample.boxes_xyxy.dtype, sample.labels.dtype, sample.ignored.dtype) == (np.float32, np.int64, np.bool_)
    assert (found.samples[0].areas is not None) == (kind == "COCO")


@pytest.mark.parametrize(("write", "kind"), FORMS)
def test_an_image_without_any_object_is_kept(tmp_path: Path, write: Write, kind: str) -> None:
    found = read_boxes(write(tmp_path / "data", [*scenes(2), Scene("nothing", "train")]))
    sample = next(sample for sample in found.samples if sample.path.stem == "nothing")
    assert (sample.boxes_xyxy.shape, sample.labels.shape, sample.ignored.shape) == ((0, 4), (0,), (0,))
    assert found.issues == ()


def test_what_is_no_detection_data(tmp_path: Path) -> None:
    write_classes(tmp_path / "classes", ("cat", "dog"), 2, itertools.count())
    write_classes(tmp_path / "split/train", ("labels", "images"), 2, itertools.count())
    (tmp_path / "split/classes.json").write_text('["cat", "dog"]')
    (tmp_path / "split/notes.yaml").write_text("names: [a, b]\n")
    (tmp_path / "list.csv").write_text("path,label\n")
    for name in ("classes", "split", "list.csv", "none", "a\0b"):
        assert task_of(tmp_path / name) == "classification"
    with pytest.raises(DataError, match=r"no labels of boxes; expected Pascal VOC .* COCO .* YOLO"):
        read_boxes(tmp_path / "classes")
    with pytest.raises(FileMissingError, match="No such file"):
        read_boxes(tmp_path / "none")


def test_one_form_at_a_time(tmp_path: Path) -> None:
    root = write_coco(write_yolo(tmp_path / "data", scenes(2)) / "as_coco", scenes(2)).parent
    assert read_boxes(root).kind == "YOLO"  # a folder of another name is none of ours
    (root / "as_coco/annotations").rename(root / "annotations")
    with pytest.raises(
        DataError, match=r"labels as YOLO \(data.yaml\) and COCO \(annotations/instances_.*expected one"
    ):
        read_boxes(root)
    assert read_boxes(root / "data.yaml").kind == "YOLO"


def test_voc_edges_are_taken_as_they_stand_but_the_challenges(tmp_path: Path) -> None:
    data = [Scene("plain", "train", [("cell", 1, 1, 64, 48)]), Scene("voc", "train", [("cell", 1, 1, 64, 48)])]
    root = write_voc(tmp_path / "data", [*data, *scenes(0, 1)])
    (root / "Annotations/voc.xml").write_text(voc_xml(data[1], database="The VOC2007 Database"))
    assert rows(read_boxes(root), "train") == [
        ("plain", [("cell", [1, 1, 64, 48])]),
        ("voc", [("cell", [0, 0, 64, 48])]),
    ]


def test_a_difficult_object_and_a_crowd_are_ignored(tmp_path: Path) -> None:
    data = scenes(1, 1, 0)
    root = write_voc(tmp_path / "voc", data)
    (root / "Annotations/train00.xml").write_text(voc_xml(data[0], difficult=[1]))
    voc = read_boxes(root)
    assert voc.samples[0].ignored.tolist() == [False, True, False]
    assert voc.counts("train") == (0, 2)
    root = write_coco(tmp_path / "coco", data)
    plain = coco(data[:1])
    plain["annotations"][1]["iscrowd"] = 1
    (root / "annotations/instances_train2017.json").write_text(json.dumps(plain))
    assert read_boxes(root).samples[0].ignored.tolist() == [False, True, False]


def test_coco_ids_with_gaps_are_numbered_anew_and_shown(tmp_path: Path) -> None:
    data = read_boxes(write_coco(tmp_path / "data", scenes(2), ids=(3, 12)))
    assert (data.classes, set(data.samples[0].labels.tolist())) == (CLASSES, {0, 1})
    (issue,) = data.issues
    assert (issue.rule, issue.severity) == ("class-id-gaps", "note")
    assert issue.detail == "2 classes with ids 3 to 12, without 4, 5, 6, 7, 8, 9, 10, 11; labels are 0 to 1"


def test_one_coco_file_with_its_images_beside_it(tmp_path: Path) -> None:
    data = scenes(20, 0, 0)
    for scene in data:
        write_image(tmp_path / "images" / f"{scene.name}.png", scene)
    (tmp_path / "labels.json").write_text(json.dumps(coco(data)))
    by_file, by_folder = read_boxes(tmp_path / "labels.json"), read_boxes(tmp_path)
    assert by_file.made_splits
    assert [len(by_file.of(split)) for split in ("train", "validation", "test")] == [16, 2, 2]
    for split in ("train", "validation", "test"):
        assert rows(by_file, split) == rows(by_folder, split)


def test_roboflows_folders(tmp_path: Path) -> None:
    for split, folder in (("train", "train"), ("val", "valid"), ("test", "test")):
        part = [scene for scene in scenes(3) if scene.split == split]
        for scene in part:
            write_image(tmp_path / "coco" / folder / f"{scene.name}.png", scene)
            write_image(tmp_path / "voc" / folder / f"{scene.name}.png", scene)
            (tmp_path / "voc" / folder / f"{scene.name}.xml").write_text(voc_xml(scene))
            write_image(tmp_path / "yolo" / folder / "images" / f"{scene.name}.png", scene)
            (tmp_path / "yolo" / folder / "labels").mkdir(exist_ok=True)
            (tmp_path / "yolo" / folder / "labels" / f"{scene.name}.txt").write_text(yolo_txt(scene))
        (tmp_path / "coco" / folder / "_annotations.coco.json").write_text(json.dumps(coco(part)))
    (tmp_path / "yolo/data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['cell', 'dot']\n"
    )
    found = [read_boxes(tmp_path / form) for form in ("coco", "voc", "yolo")]
    for split in ("train", "validation", "test"):
        assert rows(found[0], split) == rows(found[1], split) == rows(found[2], split) != []
    assert [data.issues for data in found] == [(), (), ()]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ("names: [cell,\n  'no']", ("cell", "no")),  # neither is a truth value
        ("names: {0: cell, 1: dot}", ("cell", "dot")),
        ("names:\n- cell\n- 2", ("cell", "2")),
    ],
)
def test_ways_to_write_class_names(tmp_path: Path, names: str, classes: tuple[str, ...]) -> None:
    root = write_yolo(tmp_path / "data", scenes(2))
    (root / "data.yaml").write_text(f"path: /nowhere/at/all\ntrain: images/train\nval:\n  - images/val\n{names}\n")
    assert read_boxes(root).classes == classes


def test_classes_txt_and_obj_names(tmp_path: Path) -> None:
    data = scenes(3)
    for scene in data:
        write_image(tmp_path / "beside" / f"{scene.name}.png", scene)
        (tmp_path / "beside" / f"{scene.name}.txt").write_text(yolo_txt(scene))
        write_image(tmp_path / "cvat/obj_train_data" / f"{scene.name}.png", scene)
        (tmp_path / "cvat/obj_train_data" / f"{scene.name}.txt").write_text(yolo_txt(scene))
    (tmp_path / "beside/classes.txt").write_text("cell\ndot\n")
    (tmp_path / "cvat/obj.names").write_text("cell\ndot\n")
    for split in ("train", "val", "test"):
        lines = "".join(f"data/obj_train_data/{one.name}.png\n" for one in data if one.split == split)
        (tmp_path / f"cvat/{split}.txt").write_text(lines)
    beside, cvat = read_boxes(tmp_path / "beside"), read_boxes(tmp_path / "cvat")
    assert (beside.made_splits, len(beside.samples), beside.issues) == (True, 7, ())
    assert [len(cvat.of(split)) for split in ("train", "validation", "test")] == [3, 2, 2]
    assert rows(cvat, "train") == rows(read_boxes(write_yolo(tmp_path / "plain", data)), "train")


def test_an_outline_becomes_its_box(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", scenes(1, 1))
    (root / "labels/train/train00.txt").write_text("1 0.25 0.5 0.5 0.25 0.75 0.75\n")
    data = read_boxes(root)
    assert rows(data, "train") == [("train00", [("dot", [16, 12, 48, 36])])]
    assert issues(data) == [("polygon-labels", "labels/train/train00.txt", None)]


def test_trainval_is_train_where_no_list_of_train_is(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "data", scenes(20, 0, 3))
    (root / "ImageSets/Main/train.txt").rename(root / "ImageSets/Main/trainval.txt")
    (root / "ImageSets/Main/val.txt").unlink()
    data = read_boxes(root)
    assert (data.made_splits, data.issues) == (True, ())
    assert [len(data.of(split)) for split in ("train", "validation", "test")] == [18, 2, 3]


def test_made_splits_do_not_depend_on_the_place_and_hold_every_class(tmp_path: Path) -> None:
    data = scenes(40, 0, 0)
    rare = [Scene(f"rare{number}", "train", [("cell", 1, 1, 20, 20)]) for number in range(5)]
    one, other = (read_boxes(write_voc(tmp_path / name, [*data, *rare], lists=False)) for name in ("a", "b/c"))
    assert [(sample.path.name, sample.split) for sample in one.samples] == [
        (sample.path.name, sample.split) for sample in other.samples
    ]
    assert all(min(one.image_counts(split)) > 0 for split in ("train", "validation", "test"))
    assert read_boxes(tmp_path / "a", seed=1).of("test")[0].path != one.of("test")[0].path


def test_an_image_in_two_splits_stays_where_it_is_held_out(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "data", scenes(3))
    with (root / "ImageSets/Main/train.txt").open("a") as file:
        file.write("test00\n")
    data = read_boxes(root)
    assert {sample.path.stem: sample.split for sample in data.samples}["test00"] == "test"
    assert len(data.samples) == 7
    assert issues(data) == [("listed-twice", "ImageSets/Main/test.txt", 1)]
    yolo = write_yolo(tmp_path / "yolo", scenes(3))
    (yolo / "train.txt").write_text("images/test/test00.png\nimages/train/train00.png\n")
    (yolo / "data.yaml").write_text("train: train.txt\nval: images/val\ntest: images/test\nnames: [cell, dot]\n")
    data = read_boxes(yolo)
    assert {sample.path.stem: sample.split for sample in data.samples}["test00"] == "test"
    assert issues(data) == [
        ("listed-twice", "images/test/test00.png", None),
        ("not-in-a-split", "labels/train/train01.txt", None),
        ("not-in-a-split", "labels/train/train02.txt", None),
    ]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_drawn_on_the_stored_image_are_turned_with_it(tmp_path: Path, orientation: int) -> None:
    upright = np.full((40, 64, 3), 255, np.uint8)
    upright[5:20, 10:50] = 0
    root = write_voc(tmp_path / "data", scenes(1, 1))
    (root / "JPEGImages/train00.png").write_bytes(stored_as(upright, orientation))
    stored = {5: (5, 10, 20, 50), 6: (5, 14, 20, 54), 7: (20, 14, 35, 54), 8: (20, 10, 35, 50)}[orientation]
    drawn = Scene("train00", "train", [("cell", *stored)], (64, 40))
    (root / "Annotations/train00.xml").write_text(voc_xml(drawn))
    data = read_boxes(root)
    assert data.samples[0].size_hw == (40, 64)
    assert rows(data, "train") == [("train00", [("cell", [10, 5, 50, 20])])]
    assert issues(data) == [("turned-boxes", "Annotations/train00.xml", None)]


def test_no_boxes_at_all_is_one_line(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "data", scenes(2))
    for xml in (root / "Annotations").iterdir():
        xml.write_text("")
    with pytest.raises(
        DataError, match=r"0 images that can be used, and no boxes; first of 6 issues: .*: an empty file"
    ):
        read_boxes(root)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", r"a\.json, line 1: no JSON \(Expecting property name"),
        ("a.json", '{"images": [], "annotations": []}', r"a\.json: no list 'categories'; expected COCO's JSON"),
        ("a.json", "[" * 200_000, r"a\.json: no JSON"),
        ("a.json", b"\xff\xfe\x00", r"a\.json: no JSON|line 1: no JSON"),
        ("a.json", '{"images": [], "annotations": [], "categories": []}', "no classes in 'categories'"),
        ("a.yaml", "names: [a\ntrain: b", r"a\.yaml, line \d: no YAML \("),
        ("a.yaml", "train: b\n", r"a\.yaml: 'names' is no list of class names; expected class names in data\.yaml"),
        ("a.yaml", "names: []\ntrain: b\n", r"a\.yaml: no class names"),
        ("a.yaml", "names: {first: a}\ntrain: b\n", r"a\.yaml: the class id 'first' in 'names'; expected 0, 1, 2"),
        ("a.yaml", "- a\n", r"a\.yaml: no mapping"),
        ("a.yaml", "!!python/object/apply:os.system [ls]\n", r"a\.yaml: no mapping"),
        ("a.txt", "hello", r"a\.txt: no file of labels of boxes; expected Pascal VOC"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message) as raised:
        read_boxes(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_coco_files_of_unknown_splits(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "data", scenes(2))
    (root / "annotations/instances_val2017.json").rename(root / "annotations/instances_more.json")
    with pytest.raises(DataError, match=r"instances_more\.json: 3 files of labels, and this one's name says no split"):
        read_boxes(root)


@pytest.mark.parametrize(
    ("text", "detail", "line"),
    [
        ("", "an empty file", None),
        (" \n ", "an empty file", None),
        ("<annotation>\n<size>\n", "no XML (no element found)", 3),
        ("not XML", "no XML (syntax error)", 1),
        ('<!DOCTYPE a [\n<!ENTITY b "c">]>\n<a>&b;</a>', "a document type (<!DOCTYPE ...>), which is not read", 1),
        ("<a>" * 100, "more than 64 elements inside each other", 1),
        ('<?xml version="1.0" encoding="nonsense"?><a/>', "no XML (unknown encoding: nonsense)", None),
    ],
)
def test_xml_that_is_refused(tmp_path: Path, text: str, detail: str, line: int | None) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(UnreadableLabels) as raised:
        read_xml(tmp_path / "a.xml")
    assert (raised.value.detail, raised.value.line) == (detail, line)


def test_bccd(shared: Path) -> None:
    data = read_boxes(shared / "data/bccd")
    assert [len(data.of(split)) for split in ("train", "validation", "test")] == [205, 87, 72]
    assert data.classes == ("Platelets", "RBC", "WBC")
    totals = np.sum([data.counts(split) for split in ("train", "validation", "test")], axis=0)
    left_out = [issue for issue in data.issues if issue.rule == "zero-area-box"]
    assert totals.tolist() == [361, 4155 - len(left_out), 372]
    assert [(issue.path and issue.path.name, issue.line, issue.detail) for issue in left_out] == [
        ("BloodImage_00338.xml", 163, "RBC 504 337 504 337"),
        ("BloodImage_00343.xml", 55, "RBC 181 329 181 329"),
    ]
    assert {sample.size_hw for sample in data.samples} == {(480, 640)}


@pytest.mark.parametrize("place", ["path: *d", "train: [*d]", "names: *d"])
def test_aliases_that_multiply_are_refused(place: str, tmp_path: Path) -> None:
    rows = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abc", "bcd", strict=True)]
    (tmp_path / "data.yaml").write_text("\n".join([*rows, place]))
    with pytest.raises(DataError, match=r"data\.yaml: no YAML \(an alias of a list or a mapping, which is not read\)"):
        load_yaml(tmp_path / "data.yaml")


def test_an_alias_of_a_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("train: &t images\nval: *t")
    assert load_yaml(tmp_path / "data.yaml") == {"train": "images", "val": "images"}


def test_class_ids_are_numbers_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: {0: x, 01: y}")
    assert read_yaml(tmp_path / "data.yaml", Listing(tmp_path)).names == {"0": "x", "1": "y"}
    (tmp_path / "data.yaml").write_text("names: {1: x, 01: y}")
    with pytest.raises(DataError, match="a class id stands twice in 'names'"):
        read_yaml(tmp_path / "data.yaml", Listing(tmp_path))


def test_names_that_no_file_can_have_are_no_files(tmp_path: Path) -> None:
    for name in ("x" * 300, "a\0b"):
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)


def test_label_files_that_would_be_waited_for_or_have_no_end_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xml")
    (tmp_path / "b.xml").write_text(f"<a>{'<b/>' * 200_001}</a>")
    for name, said in (("a.xml", "no plain file"), ("b.xml", "more than 200,000 elements")):
        with pytest.raises(UnreadableLabels) as caught:
            read_xml(tmp_path / name)
        assert caught.value.detail == said
