"""Fuzz targets: labelled data of every format, the metadata of bundles, and lists of paths."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bundles import plain_metadata
from detectors import detection_metadata
from fuzz.files import PREPROCESS
from fuzz.mutations import Mutation, mutate_bytes, mutate_json, mutate_text
from fuzz.target import Target
from images import scene
from labelled_boxes import scenes, write_coco, write_image, write_voc, write_yolo
from litevision.cli.inputs import Finder, images
from litevision.data import check_data
from litevision.data.coco_ids import CocoIds
from litevision.data.reader import read
from litevision.runtime.metadata import BundleMetadata
from litevision.runtime.predictor import preprocess_image
from training_cases import others
from trainings import write_colours

SCENES = scenes(train=3, validation=1, test=1)


def _check(folder: Path, file: Path) -> None:
    """What the check and the reader say; both must not fail."""
    place = file if file.suffix == ".csv" else folder
    try:
        check_data(place, quick=True, workers=1).to_dict()
    finally:
        read(place, workers=1)


def _of(*kinds: str) -> Callable[[Callable[[Path], object]], Callable[[Path], Sequence[Path]]]:
    """The label files of a data set, by the ends of their names."""

    def prepare(write: Callable[[Path], object]) -> Callable[[Path], Sequence[Path]]:
        def written(folder: Path) -> Sequence[Path]:
            write(folder)
            return sorted(path for path in folder.rglob("*") if path.name.endswith(kinds))

        return written

    return prepare


@_of(".xml", "train.txt")
def _voc(folder: Path) -> None:
    write_voc(folder, SCENES)


@_of(".txt", ".yaml")
def _yolo(folder: Path) -> None:
    write_yolo(folder, SCENES)


@_of(".json")
def _coco(folder: Path) -> None:
    write_coco(folder, SCENES)


@_of(".csv")
def _list(folder: Path) -> None:
    write_colours(folder, 2)
    rows = [f"{path.relative_to(folder)},{path.parent.name},{path.parents[1].name}" for path in folder.rglob("*.png")]
    (folder / "list.csv").write_text("\n".join(["path,label,split", *sorted(rows)]))


@_of(".csv")
def _boxes(folder: Path) -> None:
    rows = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for one in SCENES:
        write_image(folder / f"{one.name}.png", one)
        rows += [f"{one.name}.png,64,48,{label},{x1},{y1},{x2},{y2}" for label, x1, y1, x2, y2 in one.boxes]
    (folder / "train.csv").write_text("\n".join(rows))


@_of(".xml")
def _cvat(folder: Path) -> None:
    images = []
    for number, one in enumerate(SCENES):
        write_image(folder / f"{one.name}.png", one)
        shapes = "".join(
            f'<box label="{label}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" rotation="5.0" occluded="0"/>'
            f'<polygon label="{label}" points="{x1},{y1};{x2},{y1};{x2},{y2}"/>'
            f'<ellipse label="{label}" cx="20" cy="20" rx="5" ry="4"/><mask label="dot" left="1" top="2" '
            'width="3" height="4" rle="1,2"/>'
            for label, x1, y1, x2, y2 in one.boxes
        )
        images.append(f'<image id="{number}" name="{one.name}.png" width="64" height="48" subset="">{shapes}</image>')
    (folder / "annotations.xml").write_text(f"<annotations><version>1.1</version>{''.join(images)}</annotations>")


@_of(".json")
def _labelme(folder: Path) -> None:
    for one in SCENES:
        write_image(folder / f"{one.name}.png", one)
        shapes = [
            {"label": label, "points": [[x1, y1], [x2, y2]], "shape_type": kind}
            for label, x1, y1, x2, y2 in one.boxes
            for kind in ("rectangle", "circle", "polygon")
        ]
        document = {"shapes": shapes, "imagePath": f"{one.name}.png", "imageHeight": 48, "imageWidth": 64}
        (folder / f"{one.name}.json").write_text(json.dumps(document))


def _exported(name: str, content: Callable[[], Any]) -> Callable[[Path], Sequence[Path]]:
    """One file of another program, of a few of the scenes that it labels."""

    def prepare(folder: Path) -> Sequence[Path]:
        for one in others.SCENES[:6]:
            write_image(folder / "images" / f"{one.name}.png", one)
        plain = content()
        if isinstance(plain, dict):
            text = json.dumps(dict(list(plain.items())[:6]))
        else:
            text = "\n".join(plain.splitlines()[:19]) if isinstance(plain, str) else json.dumps(plain[:6])
        (folder / name).write_text(text)
        return [folder / name]

    return prepare


@_of(".txt", ".data", ".names")
def _darknet(folder: Path) -> None:
    write_yolo(folder / "data", SCENES)
    (folder / "data/data.yaml").unlink()
    listed = [path for path in (folder / "data").rglob("*.png") if "train" in path.parts]
    (folder / "data/train.txt").write_text("\n".join(str(path.relative_to(folder)) for path in listed))
    (folder / "obj.names").write_text("cell\ndot\n")
    (folder / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = obj.names\n")


def _read_ids(folder: Path, file: Path) -> None:
    ids = CocoIds.read(file)
    ids.category_ids(["cell", "Dot"])
    for one in SCENES:
        ids.image_id(f"images/{one.name}.png")


def _metadata(folder: Path) -> Iterator[Path]:
    score = {"top1": 70.1, "top5": 90.0, "dataset": "a", "count": 5, "size_hw": [8, 8], "measured_by": "b"}
    for name, plain in {"classes": {**plain_metadata(), "score": score}, "boxes": detection_metadata()}.items():
        (folder / f"{name}.json").write_text(json.dumps(plain))
        yield folder / f"{name}.json"


def _read_metadata(folder: Path, file: Path) -> None:
    metadata = BundleMetadata.from_json(file.read_text("utf-8", "replace"))
    metadata.to_json().encode()
    metadata.preprocess(scene(20, 30))


def _paths(folder: Path) -> Iterator[Path]:
    write_colours(folder / "data", 1)
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    names = ["data/train/red/0.png", "data/test/blue", "cut.jpg", "gone.jpg", "webcam:9", "*.jpg", "data/a.mp4"]
    (folder / "list.txt").write_text("\n".join(str(folder / name) for name in names))
    yield folder / "list.txt"


def _read_paths(folder: Path, file: Path) -> None:
    before = sys.stdin
    with file.open() as sys.stdin:
        try:
            for entry in images(Finder().find("-"), PREPROCESS):
                if isinstance(entry, str):
                    preprocess_image(PREPROCESS, entry)
        finally:
            sys.stdin = before


_TEXT: tuple[Mutation, ...] = (mutate_text, mutate_text, mutate_bytes)
_JSON: tuple[Mutation, ...] = (mutate_json, mutate_json, mutate_text, mutate_bytes)

TARGETS = (
    Target("metadata", _metadata, _JSON, _read_metadata, count=100),
    Target("voc", _voc, _TEXT, _check),
    Target("yolo", _yolo, _TEXT, _check),
    Target("coco", _coco, _JSON, _check),
    Target("cvat", _cvat, _TEXT, _check),
    Target("labelme", _labelme, _JSON, _check),
    Target("csv", _list, _TEXT, _check),
    Target("csv-boxes", _boxes, _TEXT, _check),
    Target("create-ml", _exported("a.json", others.create_ml), _JSON, _check),
    Target("label-studio", _exported("a.json", others.label_studio), _JSON, _check),
    Target("label-studio-min", _exported("a.json", others.label_studio_short), _JSON, _check),
    Target("via", _exported("a.json", others.via), _JSON, _check),
    Target("via-csv", _exported("a.csv", others.via_csv), _TEXT, _check),
    Target("open-images", _exported("train.csv", others.open_images), _TEXT, _check),
    Target("darknet", _darknet, _TEXT, _check),
    Target("coco-ids", _coco, _JSON, _read_ids),
    Target("list", _paths, _TEXT, _read_paths),
)
