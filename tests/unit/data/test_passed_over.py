"""What lies in a data folder and is not used is counted by kind, whatever the format of the labels."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labelled import write_classes
from labelled_boxes import scenes, write_coco, write_voc, write_yolo
from litevision.data import check_data, read_boxes


def write_cats(root: Path, data: Any) -> Path:
    write_classes(root, ("cat", "dog"), 12, itertools.count())
    return root


@pytest.mark.parametrize(
    ("write", "folder"),
    [
        (write_cats, "cat"),
        (write_voc, "JPEGImages"),
        (write_coco, "train2017"),
        (write_yolo, "images/train"),
    ],
)
def test_files_beside_images_are_counted_by_kind(tmp_path: Path, write: Callable[..., Path], folder: str) -> None:
    root = write(tmp_path, scenes())
    assert "passed_over" in check_data(root).to_dict()
    assert not check_data(root).data.passed_over
    for name in ("a.dng", "b.DNG", "clip.mp4", "nothing", "._a.png", "Thumbs.db"):
        (root / folder / name).write_bytes(b"x")
    report = check_data(root)
    assert report.to_dict()["passed_over"] == {".dng": 2, ".mp4": 1, "no suffix": 1}
    assert "\n4 files passed over (2 .dng, 1 .mp4, 1 no suffix)\n" in str(report)


def test_readers_of_training_count_the_same(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, scenes())
    (root / "images/train/clip.mp4").write_bytes(b"x")
    assert read_boxes(root).passed_over.to_dict() == {".mp4": 1}


def test_a_folder_that_none_can_be_is_passed_over(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat", "dog"), 12, itertools.count())
    rows = [f"{name}/{number}.png,{name}" for name in ("cat", "dog") for number in range(12)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows, "a\0b/1.png,cat", "/\0/2.png,dog"]))
    report = check_data(tmp_path / "list.csv", quick=True)
    assert (len(report.data.samples), report.counts["missing-file"]) == (24, 2)
