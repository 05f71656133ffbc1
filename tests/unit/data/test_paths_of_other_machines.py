"""Images are found by the names that labels have for them, wherever they were written."""

import json
from pathlib import Path

import pytest

from labelled_boxes import coco, scenes, voc_xml, write_image, write_voc
from litevision.data import read_boxes
from litevision.data.formats.image_paths import resolve


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("images", "images\\{}.png"),
        ("images", "C:\\Users\\me\\set\\images\\{}.png"),
        ("images", "/home/alice/set/images/{}.png"),
        ("data", "{}.png"),
        ("photos/deep", "{}.png"),
        ("images", "0a1b2c3d-{}.png"),
        ("images", "/data/local-files/?d=photos/{}.png"),
        ("images", "{}.PNG"),
        ("images", "https://host/set/{}.png?x=1"),
    ],
)
def test_coco_names_of_another_machine(tmp_path: Path, folder: str, name: str) -> None:
    data = scenes(4)
    for scene in data:
        write_image(tmp_path / folder / f"{scene.name}.png", scene)
    plain = coco(data)
    for image, scene in zip(plain["images"], data, strict=True):
        image["file_name"] = name.format(scene.name)
    (tmp_path / "labels.json").write_text(json.dumps(plain))
    found = read_boxes(tmp_path)
    assert (len(found.samples), found.issues) == (8, ())


def test_voc_by_stem_then_by_filename_then_without_case(tmp_path: Path) -> None:
    root = write_voc(tmp_path, scenes(4), lists=False)
    before = {one.path.name: one.boxes_xyxy.tolist() for one in read_boxes(root).samples}
    for place, scene in enumerate(scenes(4)):
        xml = root / "Annotations" / f"{scene.name}.xml"
        if place % 3 == 0:
            xml.rename(xml.with_name(f"frame_{place}.xml"))
        elif place % 3 == 1:
            xml.write_text(voc_xml(scene).replace(f"{scene.name}.png", "unnamed.jpg"))
            xml.rename(xml.with_name(f"{scene.name.upper()}.XML"))
    found = read_boxes(root)
    assert (len(found.samples), found.issues) == (8, ())
    assert {one.path.name: one.boxes_xyxy.tolist() for one in found.samples} == before


def test_a_name_means_one_image_or_none(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/2.jpg", "c/2.jpg", "d/e/3.jpg", "f/e/3.jpg", "4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    def direct(name: str) -> Path | None:
        return tmp_path / name if (tmp_path / name).is_file() else None

    wanted = ["a/1.jpg", "x/1.jpg", "2.jpg", "y/c/2.jpg", "/z/f/e/3.jpg", "e/3.jpg", "p/4.jpg", "q/4.jpg", "5.jpg"]
    found = resolve(wanted, direct, tmp_path)
    assert {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()} == {
        "a/1.jpg": "a/1.jpg",  # and so x/1.jpg, of which nothing is there, is none
        "y/c/2.jpg": "c/2.jpg",
        "/z/f/e/3.jpg": "f/e/3.jpg",
    }


def test_a_missing_image_is_never_one_of_another_split(tmp_path: Path) -> None:
    for split in ("train", "val"):
        part = [scene for scene in scenes(4, 4, 0) if scene.split == split]
        plain = coco(part)
        for place, (image, scene) in enumerate(zip(plain["images"], part, strict=True)):
            image["file_name"] = f"{place}.png"
            if (split, place) != ("train", 3):
                write_image(tmp_path / split / f"{place}.png", scene)
        (tmp_path / f"{split}.json").write_text(json.dumps(plain))
    data = read_boxes(tmp_path)
    assert [len(data.of(split)) for split in ("train", "validation")] == [3, 4]
    assert [issue.rule for issue in data.issues] == ["missing-image"]
