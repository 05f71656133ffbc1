"""What a detector's start is worth: COCO, ImageNet or random weights, the same few epochs, on three small data sets.

    python benchmarks/detection_starts.py --bccd BCCD --clothing CLOTHES --nanodet nanodet_m.onnx --weights v2.pth
    python benchmarks/detection_starts.py --quick

BCCD holds blood cells in Pascal VOC, CLOTHING a folder of garments' photos for each class. The sets: 96 images of blood
cells; 24 of them; and 96 scenes of one to four garments, each photo pasted at a random place and size on grey noise.
The starts: NanoDet-m with its COCO weights, whole; its backbone alone under a CenterNet; the same with random weights;
and a CenterNet on MobileNetV2 with ImageNet weights, and with random ones. All train as ``litevision train`` does, for
as many steps and at the same size, with three seeds; the test images are always the same. ``--runs``
keeps the runs, and goes on with them. Takes about 90 minutes.
"""

import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _common import Row, conditions, finished_run, parser, report, row, workplace
from _images import sources
from PIL import Image

from litevision.data import read_boxes
from litevision.image import decode, find_images

SIZE_HW = (160, 208)
STEPS, BATCH = 240, 8
COUNTS = {"train": 96, "val": 24, "test": 48}
SCENE_HW = (240, 320)
GARMENTS = ("dress", "hat", "pants", "shoes", "t-shirt")

Boxes = list[tuple[str, tuple[float, float, float, float]]]


def main() -> None:
    """Makes the sets, trains, reports."""
    options = parser(__doc__, rounds=3, threads=False)
    options.add_argument("--bccd", type=Path, metavar="FOLDER", help="blood cells, Pascal VOC")
    options.add_argument("--clothing", type=Path, metavar="FOLDER", help="class folders of garments' photos")
    options.add_argument("--nanodet", type=Path, metavar="FILE", help="NanoDet-m's weights")
    options.add_argument("--runs", type=Path, metavar="FOLDER", help="where the runs are kept (they are not)")
    options.add_argument("--only", metavar="TEXT", default="", help="sets and starts whose name holds this text")
    arguments = options.parse_args()
    arguments.steps, arguments.size_hw, arguments.counts = STEPS, SIZE_HW, COUNTS
    if arguments.quick:
        arguments.steps, arguments.size_hw, arguments.rounds = 2, (32, 32), 1
        arguments.counts = {"train": 8, "val": 4, "test": 4}
    elif None in (arguments.bccd, arguments.clothing, arguments.nanodet, arguments.weights):
        options.error("--bccd, --clothing, --nanodet and --weights are needed")
    found = conditions(arguments)
    with workplace() as place:
        output = arguments.runs or place
        sets = dict(data_sets(output / "data", arguments))
        results: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for seed, name, start in product(range(arguments.rounds), sets, starts(arguments)):
            if arguments.only in f"{name}, {start}":
                result = trained(place, output, sets[name], start, seed, arguments)
                results.setdefault((name, start), []).append(result)
    report([line for (name, start), found_ in results.items() for line in rows(name, start, found_)], found, arguments,
           "detection_starts")  # fmt: skip


def starts(arguments: Namespace) -> dict[str, Sequence[str | Path]]:
    """The options of each start, by its name."""
    coco: str | Path = arguments.nanodet or "none"
    shuffle = ("--model", "shufflenet_v2_x1_0", "--set", "model.dialect=nanodet", "--weights")
    mobile = ("--model", "mobilenet_v2", "--weights")
    if arguments.quick:
        return {"MobileNetV2 CenterNet, random": (*mobile, "none", "--set", "model.width=0.35")}
    return {
        "NanoDet-m, COCO": ("--model", "nanodet_m", "--weights", coco),
        "NanoDet-m, random": ("--model", "nanodet_m", "--weights", "none"),
        "ShuffleNetV2 CenterNet, COCO backbone": (*shuffle, coco),
        "ShuffleNetV2 CenterNet, random": (*shuffle, "none"),
        "MobileNetV2 CenterNet, ImageNet backbone": (*mobile, arguments.weights),
        "MobileNetV2 CenterNet, random": (*mobile, "none"),
    }


def data_sets(folder: Path, arguments: Namespace) -> Iterator[tuple[str, Path]]:
    """The sets as COCO, by name; what is there already is taken as it is."""
    counts, few = arguments.counts, max(1, arguments.counts["train"] // 4)
    if arguments.bccd is not None:
        yield "blood cells", written(folder / "blood", blood_cells(arguments.bccd, counts), counts)
        fewer = {**counts, "train": few}
        yield f"{few} images of blood cells", written(folder / "blood_few", blood_cells(arguments.bccd, fewer), fewer)
    yield "scenes of garments", written(folder / "scenes", made_scenes(arguments), counts)


def blood_cells(folder: Path, counts: dict[str, int]) -> Iterator[tuple[Image.Image, Boxes]]:
    """The first images of each of its splits."""
    data = read_boxes(folder)
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        for sample in [one for one in data.samples if one.split == name][: counts[split]]:
            boxes = zip(sample.labels, sample.boxes_xyxy.tolist(), strict=True)
            yield decode(sample.path), [(data.classes[label], tuple(box)) for label, box in boxes]


def made_scenes(arguments: Namespace) -> Iterator[tuple[Image.Image, Boxes]]:
    """Photos of garments, pasted on noise; each split has photos of its own."""
    height, width = SCENE_HW
    for place, (split, count) in enumerate(arguments.counts.items()):
        rng = np.random.default_rng(place)
        if arguments.clothing is None:
            photos = {"elephant": sources(None)}
        else:
            folder = arguments.clothing / ("validation" if split == "val" else split)
            photos = {name: list(find_images(folder / name)) for name in GARMENTS}
        for _ in range(count):
            scene = Image.fromarray(rng.integers(96, 160, (height, width, 3), np.uint8))
            boxes: Boxes = []
            for quarter in rng.permutation(4)[: rng.integers(1, 5)]:
                name = str(rng.choice(list(photos)))
                photo = decode(photos[name][rng.integers(len(photos[name]))])
                share = rng.uniform(0.5, 0.95)
                photo.thumbnail((round(share * width / 2), round(share * height / 2)))
                left = int(quarter % 2) * width // 2 + int(rng.integers(width // 2 - photo.width + 1))
                top = int(quarter // 2) * height // 2 + int(rng.integers(height // 2 - photo.height + 1))
                scene.paste(photo, (left, top))
                boxes.append((name, (left, top, left + photo.width, top + photo.height)))
            yield scene, boxes


def written(folder: Path, images: Iterator[tuple[Image.Image, Boxes]], counts: dict[str, int]) -> Path:
    """The images in COCO's form, a JSON for each split."""
    if folder.exists():
        return folder
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    names: list[str] = []
    for split, count in counts.items():
        (partial / split).mkdir(parents=True)
        content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
        for number in range(count):
            image, boxes = next(images)
            image.save(partial / split / f"{number}.png")
            content["images"].append(
                {"id": number, "file_name": f"{number}.png", "width": image.width, "height": image.height}
            )
            for name, (left, top, right, bottom) in boxes:
                if name not in names:
                    names.append(name)
                box = [left, top, right - left, bottom - top]
                content["annotations"].append(
                    {"id": len(content["annotations"]), "image_id": number, "category_id": names.index(name),
                     "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
                )  # fmt: skip
        content["categories"] = [{"id": place, "name": name} for place, name in enumerate(sorted(names))]
        order = {names.index(one["name"]): one["id"] for one in content["categories"]}
        for one in content["annotations"]:
            one["category_id"] = order[one["category_id"]]
        (partial / split / "_annotations.coco.json").write_text(json.dumps(content))
    partial.rename(folder)
    return folder


def trained(place: Path, output: Path, data: Path, start: str, seed: int, arguments: Namespace) -> dict[str, Any]:
    """The scores of one training."""
    run = output / f"{data.name}-{start.lower().replace(',', '').replace(' ', '-')}-{seed}"
    images = len(json.loads((data / "train/_annotations.coco.json").read_text())["images"])
    epochs = max(1, round(arguments.steps * BATCH / images))
    size = "x".join(map(str, arguments.size_hw))
    options = (data, *starts(arguments)[start], "--size", size, "--epochs", epochs, "--batch", BATCH, "--seed", seed)
    results = finished_run(place, run, [*options, "--set", "schedule.min_steps=0"])
    return {**results["scores"]["test"], "minutes": sum(one["seconds"] for one in results["epochs"]) / 60}


def rows(name: str, start: str, results: list[dict[str, Any]]) -> Iterator[Row]:
    """Scores on test images, and what they took."""
    for key, unit in (("ap", "AP"), ("ap50", "AP50"), ("minutes", "minutes of training")):
        values = [result[key] for result in results]
        yield row("detection_starts", name, start, unit, values, engine="torch")
    print(f"{name}: {start}: AP {median(result['ap'] for result in results):.3f}", file=sys.stderr)


if __name__ == "__main__":
    main()
