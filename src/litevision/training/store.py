"""Decoded training images, kept at a reduced size in a bounded cache on disk."""

import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from litevision.files import atomic_write
from litevision.image import Preprocess
from litevision.image.decode import open_image

Read = Callable[[Path], npt.NDArray[np.uint8]]


class Imagestore:
    """Reads images once and keeps their pixels; processes started from this one share what is kept.

    What a call gives does not depend on what is kept: pixels are stored as they were read.

    Attributes:
        folder: where they are kept; made at the start.
    """

    def __init__(self, folder: Path, paths: Sequence[Path], read: Read, limit_bytes: int) -> None:
        """Takes the images at ``paths``, and how to read one; what passes ``limit_bytes`` is read anew each time.

        Raises:
            FileExistsError: ``folder`` is there: what is in it is not this store's to read or to remove.
        """
        self.folder = folder
        self._paths = paths
        self._read = read
        self._limit_bytes = limit_bytes
        self._kept_bytes = multiprocessing.Value("q", 0)
        folder.mkdir(parents=True)

    def __call__(self, index: int) -> npt.NDArray[np.uint8]:
        """The pixels of one image, ``uint8[H, W, 3]``."""
        kept = self.folder / f"{index}.npy"
        try:
            pixels: npt.NDArray[np.uint8] = np.load(kept)
            return pixels
        except FileNotFoundError:
            pass
        pixels = self._read(self._paths[index])
        if self._claim(pixels.nbytes):
            try:
                with atomic_write(kept) as partial, partial.open("wb") as file:
                    np.save(file, pixels)
            except OSError:  # a full disk costs speed alone
                with self._kept_bytes.get_lock():
                    self._kept_bytes.value = self._limit_bytes
        return pixels

    def _claim(self, size_bytes: int) -> bool:
        with self._kept_bytes.get_lock():
            fits: bool = self._kept_bytes.value + size_bytes <= self._limit_bytes
            if fits:
                self._kept_bytes.value += size_bytes
        return fits


def read_reduced(path: Path, shorter_px: int) -> npt.NDArray[np.uint8]:
    """The whole upright image, its shorter side reduced to ``shorter_px``; a smaller one as it is."""
    image = open_image(path)
    height, width = image.upright_hw
    scale = min(1.0, shorter_px / min(height, width))
    size_hw = max(1, round(height * scale)), max(1, round(width * scale))
    return Preprocess(size_hw, 1, "stretch")(image)
