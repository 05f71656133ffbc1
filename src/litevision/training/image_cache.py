"""Decoded images of a run, those to train on at a reduced size, in bounded caches on disk."""

import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from litevision.data import Split
from litevision.files import atomic_write
from litevision.image import Preprocess
from litevision.image.decode import open_image

if TYPE_CHECKING:
    from litevision.training.plan import Plan

Read = Callable[[Path], npt.NDArray[np.uint8]]


class ImageCache:
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


class ImageStores:
    """A run's images within reach: those to train on, reduced, and those to validate with, ready for the network.

    Attributes:
        train: the training images as the task caches them.
        validation: the validation images as the finished model's preprocessing makes them.
    """

    def __init__(self, plan: "Plan[Any, Any]", folder: Path) -> None:
        """Keeps them in a new folder in the run's ``folder``, which `close` removes."""
        self._folder = Path(tempfile.mkdtemp(prefix="cache-", dir=folder))
        recipe = plan.recipe
        limit_bytes = recipe.run.cache_mb * 1_000_000 // recipe.run.devices

        def cache(name: str, splits: tuple[Split, ...], read: Read) -> ImageCache:
            return ImageCache(self._folder / name, [one.path for one in plan.data.of(*splits)], read, limit_bytes)

        self.train = cache("train", recipe.schedule.splits, plan.task.read_for_training(plan))
        self.validation = cache("validation", ("validation",), plan.preprocess)

    def close(self) -> None:
        """Removes what was cached."""
        shutil.rmtree(self._folder, ignore_errors=True)


def read_reduced(path: Path, shorter_px: int) -> npt.NDArray[np.uint8]:
    """The whole upright image, its shorter side reduced to ``shorter_px``; a smaller one as it is."""
    image = open_image(path)
    height, width = image.upright_hw
    scale = min(1.0, shorter_px / min(height, width))
    size_hw = max(1, round(height * scale)), max(1, round(width * scale))
    return Preprocess(size_hw, 1, "stretch")(image)
