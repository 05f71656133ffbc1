"""Images outside the data's folder are used and named: labels may lead to any file of the machine."""

import itertools
import json
from pathlib import Path

import pytest

from labelled import write_classes
from labelled_boxes import Scene, coco, scenes, write_image, write_voc, write_yolo, yolo_txt
from litevision.data import check_data
from litevision.data.outside import DataFolder

SCENES = scenes(20, 0, 0)


def outside(root: Path) -> list[tuple[str | None, str]]:
    issues = check_data(root).issues
    assert "image-without-labels" not in {issue.rule for issue in issues}
    return [(issue.path and issue.path.name, issue.detail) for issue in issues if issue.rule == "outside-data"]


@pytest.mark.parametrize("prefix", ["../private/", "{root}/private/", "images/../../private/"])
def test_coco_with_names_that_lead_out(tmp_path: Path, prefix: str) -> None:
    plain = coco(SCENES)
    for number, scene in enumerate(SCENES):
        place = "private" if number < 3 else "ds/images"
        write_image(tmp_path / place / f"{scene.name}.png", scene)
        if number < 3:
            plain["images"][number]["file_name"] = prefix.format(root=tmp_path) + f"{scene.name}.png"
    write_image(tmp_path / "private/secret.png", Scene("secret", "train"))
    (tmp_path / "ds/labels.json").write_text(json.dumps(plain))
    told = [("private", f"3 images, such as {tmp_path / 'private/train00.png'}")]
    assert outside(tmp_path / "ds") == told
    assert outside(tmp_path / "ds/labels.json") == told


def test_yolo_with_a_split_elsewhere(tmp_path: Path) -> None:
    write_yolo(tmp_path / "ds", SCENES)
    for scene in SCENES:
        write_image(tmp_path / "other" / f"{scene.name}.png", scene)
        (tmp_path / "other" / f"{scene.name}.txt").write_text(yolo_txt(scene))
    (tmp_path / "ds/data.yaml").write_text(f"train: images/train\nval: {tmp_path}/other\nnames: [cell, dot]\n")
    assert outside(tmp_path / "ds") == [("other", f"20 images, such as {tmp_path / 'other/train00.png'}")]


def test_links_out_of_class_folders(tmp_path: Path) -> None:
    write_classes(tmp_path / "ds", ("cat", "dog"), 12, itertools.count())
    write_classes(tmp_path / "store", ("eel",), 12, itertools.count(100))
    (tmp_path / "ds/eel").symlink_to(tmp_path / "store/eel")
    (tmp_path / "ds/cat/0.png").unlink()
    (tmp_path / "ds/cat/0.png").symlink_to(tmp_path / "store/one.png")
    (tmp_path / "ds/dog/0.png").rename(tmp_path / "store/one.png")
    (tmp_path / "ds/dog/0.png").symlink_to(tmp_path / "ds/dog/1.png")  # within, so that it is nobody's business
    assert outside(tmp_path / "ds") == [
        ("store", f"1 image, such as {tmp_path / 'ds/cat/0.png'}"),
        ("eel", f"12 images, such as {tmp_path / 'ds/eel/0.png'}"),
    ]


def test_data_behind_a_link_and_labels_beside_images_are_inside(tmp_path: Path) -> None:
    write_voc(tmp_path / "real", scenes())
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert outside(tmp_path / "link") == []
    folder = DataFolder(tmp_path / "real/Annotations/instances.json")
    assert folder.place_outside(tmp_path / "real/JPEGImages/a.png") is None
    assert folder.place_outside(tmp_path / "a.png") == tmp_path


def test_many_folders_are_counted(tmp_path: Path) -> None:
    (tmp_path / "ds").mkdir()
    rows = []
    for number in range(24):
        write_image(tmp_path / f"far{number:02}/a.png", Scene(str(number), "train"))
        rows.append(f"../far{number:02}/a.png,{'ab'[number % 2]}")
    (tmp_path / "ds/list.csv").write_text("\n".join(["path,label", *rows]))
    found = outside(tmp_path / "ds/list.csv")
    assert (len(found), found[0]) == (21, (None, "4 images in 4 more folders"))
