"""Images with boxes for tests, written as each form writes them."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from images import encoded
from labelled import blobs

CLASSES = ("cell", "dot")
Box = tuple[str, float, float, float, float]


@dataclass
class Scene:
    """One image: its name without a suffix, its split, and its boxes (class, x1, y1, x2, y2)."""

    name: str
    split: str
    boxes: Sequence[Box] = field(default_factory=list)
    size_hw: tuple[int, int] = (48, 64)


def scenes(train: int = 24, validation: int = 2, test: int = 2) -> list[Scene]:
    """Images that differ, each with two boxes of the one class and one of the other."""
    found = []
    for split, count in (("train", train), ("val", validation), ("test", test)):
        for number in range(count):
            x, y = number % 8, number % 5
            boxes: list[Box] = [
                ("dot", 40 + x, 4 + y, 50 + x, 12 + y),
                ("cell", 2 + x, 3 + y, 30 + x, 25 + y),
                ("dot", 10 + x, 28 + y, 20 + x, 40 + y),
            ]
            found.append(Scene(f"{split}{number:02}", split, boxes))
    return found


def write_image(path: Path, scene: Scene) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(blobs(zlib.crc32(scene.name.encode()), *scene.size_hw)))


def voc_xml(scene: Scene, *, difficult: Sequence[int] = (), database: str = "Unknown") -> str:
    height, width = scene.size_hw
    objects = "".join(
        f"<object>\n<name>{label}</name>\n<difficult>{int(place in difficult)}</difficult>\n<bndbox>"
        f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>\n</object>\n"
        for place, (label, x1, y1, x2, y2) in enumerate(scene.boxes)
    )
    return (
        f"<annotation>\n<filename>{scene.name}.png</filename>\n<source><database>{database}</database></source>\n"
        f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n{objects}</annotation>\n"
    )


def write_voc(root: Path, data: Sequence[Scene], *, lists: bool = True) -> Path:
    (root / "Annotations").mkdir(parents=True)
    for scene in data:
        write_image(root / "JPEGImages" / f"{scene.name}.png", scene)
        (root / "Annotations" / f"{scene.name}.xml").write_text(voc_xml(scene))
    if lists:
        (root / "ImageSets/Main").mkdir(parents=True)
        for split in ("train", "val", "test"):
            names = [scene.name for scene in data if scene.split == split]
            (root / "ImageSets/Main" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return root


def coco(data: Sequence[Scene], ids: Sequence[int] = (1, 2)) -> dict[str, list[dict[str, object]]]:
    """What COCO's file of these images holds."""
    annotations: list[dict[str, object]] = []
    for place, scene in enumerate(data):
        for label, x1, y1, x2, y2 in scene.boxes:
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1) / 2, "iscrowd": 0}
            named = {"image_id": 100 + place, "category_id": ids[CLASSES.index(label)]}
            annotations.append({"id": len(annotations) + 1, **named, **box})
    return {
        "images": [
            {"id": 100 + place, "file_name": f"{one.name}.png", "height": one.size_hw[0], "width": one.size_hw[1]}
            for place, one in enumerate(data)
        ],
        "annotations": annotations,
        "categories": [{"id": id_, "name": name} for id_, name in zip(ids, CLASSES, strict=True)],
    }


def write_coco(root: Path, data: Sequence[Scene], ids: Sequence[int] = (1, 2)) -> Path:
    (root / "annotations").mkdir(parents=True)
    for split in dict.fromkeys(scene.split for scene in data):
        part = [scene for scene in data if scene.split == split]
        for scene in part:
            write_image(root / f"{split}2017" / f"{scene.name}.png", scene)
        (root / f"annotations/instances_{split}2017.json").write_text(json.dumps(coco(part, ids)))
    return root


def yolo_txt(scene: Scene) -> str:
    height, width = scene.size_hw
    return "".join(
        f"{CLASSES.index(label)} {(x1 + x2) / 2 / width:.6f} {(y1 + y2) / 2 / height:.6f} "
        f"{(x2 - x1) / width:.6f} {(y2 - y1) / height:.6f}\n"
        for label, x1, y1, x2, y2 in scene.boxes
    )


def write_yolo(root: Path, data: Sequence[Scene]) -> Path:
    for scene in data:
        write_image(root / "images" / scene.split / f"{scene.name}.png", scene)
        labels = root / "labels" / scene.split / f"{scene.name}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text(yolo_txt(scene))
    splits = "".join(f"{split}: images/{split}\n" for split in dict.fromkeys(scene.split for scene in data))
    names = "".join(f"  {place}: {name}\n" for place, name in enumerate(CLASSES))
    (root / "data.yaml").write_text(f"# a data set\npath: .\n{splits}\nnc: {len(CLASSES)}\nnames:\n{names}")
    return root
