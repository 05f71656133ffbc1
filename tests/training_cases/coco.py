"""COCO, as programs and people write it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labelled_boxes import coco, scenes, write_coco, write_image
from training_cases.case import Build, case

Plain = dict[str, list[dict[str, Any]]]

COCO = "20 images with 60 boxes of 2 classes (COCO)"


def coco_file(
    change: Callable[[Plain], None] = lambda plain: None, images: str = "images", file: str = "labels.json"
) -> Build:
    def build(root: Path) -> None:
        data = scenes(20, 0, 0)
        for scene in data:
            write_image(root / images / f"{scene.name}.png", scene)
        plain: Plain = coco(data)
        change(plain)
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(json.dumps(plain))

    return build


def each(table: str, key: str, write_as: Callable[[Any], Any]) -> Callable[[Plain], None]:
    def change(plain: Plain) -> None:
        for row in plain[table]:
            row[key] = write_as(row.get(key))

    return change


def as_outlines(plain: Plain) -> None:
    for row in plain["annotations"]:
        x, y, width, height = row.pop("bbox")
        row["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]


def root_category(plain: Plain) -> None:
    for row in plain["categories"]:
        row["supercategory"] = "things"
    plain["categories"].insert(0, {"id": 0, "name": "things", "supercategory": "none"})


def exchanged(plain: Plain) -> None:
    for row in plain["images"]:
        row["width"], row["height"] = row["height"], row["width"]


def to_fractions(box: list[float]) -> list[float]:
    return [side / whole for side, whole in zip(box, (64, 48, 64, 48), strict=True)]


def to_corners(box: list[float]) -> list[float]:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


_NONE = "0 images with 0 boxes of 2 classes (COCO)"
case("COCO", COCO)(coco_file())
case("COCO of Roboflow, with its root category", COCO)(coco_file(root_category))
case("COCO with ids with gaps", COCO)(
    coco_file(
        lambda plain: (
            each("categories", "id", lambda id_: 10 * id_)(plain),
            each("annotations", "category_id", lambda id_: 10 * id_)(plain),
        )[0]
    )
)
case("COCO with ids of text", COCO)(coco_file(each("categories", "id", str)))
case("COCO with ids of pandas", COCO)(coco_file(each("annotations", "category_id", float)))
case("COCO with image ids of text", COCO)(coco_file(each("annotations", "image_id", str)))
case("COCO with numbers as text", COCO)(coco_file(each("annotations", "bbox", lambda box: [str(side) for side in box])))
case("COCO with outlines alone", COCO)(coco_file(as_outlines))
case("COCO all crowds", "20 images with 0 boxes of 2 classes (COCO)", trains=False)(
    coco_file(each("annotations", "iscrowd", lambda _: 1))
)
case("COCO all ignored", "20 images with 0 boxes of 2 classes (COCO)", trains=False)(
    coco_file(each("annotations", "ignore", lambda _: 1))
)
case("COCO with names of Windows", COCO)(coco_file(each("images", "file_name", lambda name: f"images\\{name}")))
case("COCO with names of another machine", COCO)(
    coco_file(each("images", "file_name", lambda name: f"/home/alice/ds/{name}"))
)
case("COCO with Label Studio's prefix", COCO)(
    coco_file(each("images", "file_name", lambda name: f"images/3/0a1b2c3d-{name}"))
)
case("COCO in fractions", _NONE, trains=False)(coco_file(each("annotations", "bbox", to_fractions)))
case("COCO as corners", _NONE, trains=False)(coco_file(each("annotations", "bbox", to_corners)))
case("COCO with sizes exchanged", _NONE, trains=False)(coco_file(exchanged))
case("COCO without sizes", COCO)(
    coco_file(
        lambda plain: (each("images", "width", lambda _: None)(plain), each("images", "height", lambda _: None)(plain))[
            0
        ]
    )
)
case("COCO of FiftyOne", COCO)(coco_file(images="data"))
case("COCO of CVAT", COCO)(coco_file(images="images", file="annotations/instances_default.json"))
case("COCO of CVAT, a subset in capitals", COCO)(
    coco_file(images="images/Train/Data", file="annotations/instances_Train.json")
)
case("COCO with names in folders", COCO)(
    coco_file(each("images", "file_name", lambda name: f"a/{name}"), images="images/a")
)
case("COCO without annotations", "")(coco_file(lambda plain: plain.pop("annotations") and None))
case("COCO without annotations or categories", "")(
    coco_file(lambda plain: (plain.pop("annotations"), plain.pop("categories"))[:0] and None)
)
case("COCO with ids twice", COCO)(coco_file(each("annotations", "id", lambda _: 7)))


@case("COCO with a box that is no number", "19 images with 57 boxes of 2 classes (COCO)")
def _(root: Path) -> None:
    def change(plain: Plain) -> None:
        plain["annotations"][0]["bbox"][0] = float("nan")

    coco_file(change)(root)


@case("COCO with negative sizes", "19 images with 57 boxes of 2 classes (COCO)")
def _(root: Path) -> None:
    def change(plain: Plain) -> None:
        plain["annotations"][0]["bbox"][2] = -8

    coco_file(change)(root)


@case("COCO with a byte order mark", COCO)
def _(root: Path) -> None:
    coco_file()(root)
    (root / "labels.json").write_text("\ufeff" + (root / "labels.json").read_text())


@case("COCO of each split, with captions beside", "28 images with 84 boxes of 2 classes (COCO)")
def _(root: Path) -> None:
    write_coco(root, scenes())
    for split in ("train", "val"):
        captions = {"images": [], "annotations": [], "info": {}}
        (root / f"annotations/captions_{split}2017.json").write_text(json.dumps(captions))


def coco_in_folders(*folders: str) -> Build:
    def build(root: Path) -> None:
        for folder, split in zip(folders, ("train", "val", "test"), strict=False):
            part = [scene for scene in scenes() if scene.split == split]
            for scene in part:
                write_image(root / folder / f"{scene.name}.png", scene)
            (root / folder / "_annotations.coco.json").write_text(json.dumps(coco(part)))

    return build


case("COCO in Training and Testing", "26 images with 78 boxes of 2 classes (COCO)")(
    coco_in_folders("Training", "Testing")
)
case("COCO in train, dev and eval", "28 images with 84 boxes of 2 classes (COCO)")(
    coco_in_folders("train", "dev", "eval")
)


@case("COCO with test files without annotations", "26 images with 78 boxes of 2 classes (COCO)")
def _(root: Path) -> None:
    write_coco(root, scenes())
    file = root / "annotations/instances_test2017.json"
    plain = json.loads(file.read_text())
    del plain["annotations"]
    file.unlink()
    (root / "annotations/image_info_test2017.json").write_text(json.dumps(plain))
