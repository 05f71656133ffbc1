"""Folders of labelled images for tests."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from images import encoded


def blobs(seed: int, height: int = 48, width: int = 64) -> npt.NDArray[np.uint8]:
    """An image that looks like no other: coarse noise, made smooth as photos are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def write_classes(folder: Path, names: Sequence[str], count: int, seeds: Iterator[int]) -> None:
    """A class folder for each of ``names`` with ``count`` images, 0.png and so on."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.png").write_bytes(encoded(blobs(next(seeds))))
