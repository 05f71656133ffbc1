"""Detections of seconds: images of coloured shapes on grey, as Pascal VOC."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from images import encoded
from labelled_boxes import Scene, voc_xml
from trainings import settings

COLOURS = {"green": (40, 200, 60), "red": (210, 40, 50)}
CLASSES = tuple(COLOURS)
SIZE_HW = (64, 96)
# A network of four layers gives no map at stride 4 and beyond, so a whole small one is taken.
RECIPE: dict[str, dict[str, Any]] = {
    "model": {"name": "mobilenet_v1", "weights": "none", "width": 0.25, "size_hw": [64, 96]},
    "schedule": {"epochs": 2, "freeze_backbone_epochs": 1, "batch_size": 4},
    "detection": {"neck_channels": 16, "head_channels": 16, "top_k": 20},
    "run": {"precision": "fp32", "workers": 0, "ema_decay": 0.9},
}


def shapes(name: str, split: str, seed: int, count: int = 2) -> tuple[Scene, npt.NDArray[np.uint8]]:
    """One rectangle in the left half and one in the right, or fewer, each filled with its colour."""
    random = np.random.default_rng(seed)
    image = np.clip(128 + random.integers(-20, 21, (*SIZE_HW, 3)), 0, 255).astype(np.uint8)
    boxes = []
    for place in range(count):
        width, height = (int(side) for side in random.integers(14, 32, 2))
        x = place * 48 + int(random.integers(0, 48 - width))
        y = int(random.integers(0, SIZE_HW[0] - height))
        label = CLASSES[(seed + place) % 2]
        image[y : y + height, x : x + width] = COLOURS[label]
        boxes.append((label, x, y, x + width, y + height))
    return Scene(name, split, boxes, SIZE_HW), image


def write_shapes(
    root: Path, train: int = 10, validation: int = 4, test: int = 4, *, empty: int = 0, repeated: Sequence[int] = ()
) -> Path:
    """A data set in Pascal VOC's form; the first ``empty`` images of each split show nothing.

    The validation images are others, or those of train with the numbers ``repeated``.
    """
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    seeds = {
        "train": range(train),
        "val": repeated or range(train, train + validation),
        "test": range(train + validation, train + validation + test),
    }
    for split, of_split in seeds.items():
        names = []
        for number, seed in enumerate(of_split):
            is_empty = number < empty and not (split == "val" and repeated)
            scene, image = shapes(f"{split}{number}", split, seed, 0 if is_empty else 2)
            (root / "JPEGImages" / f"{scene.name}.png").write_bytes(encoded(image))
            (root / "Annotations" / f"{scene.name}.xml").write_text(voc_xml(scene))
            names.append(scene.name)
        (root / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return root


def shape_settings(*changes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The recipe as arguments of the command line."""
    return settings(RECIPE, *changes, base={})
