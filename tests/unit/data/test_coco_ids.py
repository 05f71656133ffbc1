"""Ids of a COCO file: images by name with or without folders, classes by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from litevision.data.coco_ids import CocoIds
from litevision.errors import DataError, FileMissingError


def write(
    folder: Path, images: list[tuple[str, Any]], categories: list[tuple[str, Any]], used: tuple[int, ...] = ()
) -> Path:
    file = folder / "truth.json"
    document = {
        "images": [{"id": image_id, "file_name": name} for name, image_id in images],
        "categories": [{"id": category_id, "name": name} for name, category_id in categories],
        "annotations": [{"category_id": it} for it in used],
    }
    file.write_text(json.dumps(document))
    return file


@pytest.mark.parametrize(
    ("path", "image_id"),
    [
        ("a.jpg", 7),
        ("/somewhere/else/a.jpg", 7),
        ("val/b.jpg", 8),
        ("./images/val/b.jpg", 8),
        ("train/b.jpg", 9),
        ("b.jpg", None),
        ("other/b.jpg", None),
        ("x/c.jpg", 10),
        ("d.jpg", None),
        ("clip.mp4#t=1.000", None),
    ],
)
def test_images_are_found_by_the_end_of_their_path(tmp_path: Path, path: str, image_id: int | None) -> None:
    images = [("a.jpg", 7), ("images/val/b.jpg", 8), ("images/train/b.jpg", 9), ("C:\\data\\x\\c.jpg", "10")]
    assert CocoIds.read(write(tmp_path, images, [])).image_id(path) == image_id


def test_classes_are_found_by_name(tmp_path: Path) -> None:
    # Roboflow's root category bears the data set's name, which may be a class's too.
    categories = [("Cells", 0), ("RBC", 1), ("wbc", 5), ("RBC", 9)]
    ids = CocoIds.read(write(tmp_path, [], categories, used=(1, 5)))
    assert ids.category_ids(("RBC", "WBC", " cells", "Platelets")) == [1, 5, 0, None]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"images": [{"id": 1}], "categories": []}', '{"images": 3, "categories": []}', "[" * 9999),
        *(f'{{"images": [{{"file_name": "a", "id": {huge}}}], "categories": []}}' for huge in ("1e400", "9" * 400)),
    ],
)
def test_what_is_no_file_of_annotations_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"no COCO file of annotations .*; expected lists of images and categories"):
        CocoIds.read(tmp_path / "x.json")
    with pytest.raises(FileMissingError):
        CocoIds.read(tmp_path / "none.json")
