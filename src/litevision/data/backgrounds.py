"""Images that show none of the objects, from a plain folder: a detector learns from them where it finds nothing."""

import os
from pathlib import Path

import numpy as np

from litevision.data.dataset import DetectionSample
from litevision.data.image_stats import inspect_images
from litevision.data.issues import Issue
from litevision.data.listing import is_image, walk
from litevision.errors import DataError
from litevision.image.files import PassedOver


def read_backgrounds(
    folder: str | os.PathLike[str], *, workers: int | None = None
) -> tuple[tuple[DetectionSample, ...], tuple[Issue, ...], PassedOver]:
    """Read the images in ``folder`` and in folders down to four below it, as training images without boxes.

    Of each image the header is read, as of images with boxes.

    Args:
        folder: holds images of anything that is not to be found; what else lies there is passed over.
        workers: threads; by default one for each processor, up to 8.

    Returns:
        The images sorted by their paths, an issue for each that cannot be read, and what was passed over.

    Raises:
        DataError: no folder, or none that can be read or holds a usable image.
    """
    root = Path(folder).absolute()
    if not root.is_dir():
        raise DataError(f"{root}: no folder; expected one of images that show none of the objects")
    paths, passed_over = [], PassedOver()
    for inside, names in walk(root):
        for name in names:
            if is_image(name):
                paths.append(inside / name)
            else:
                passed_over.add_file(name)
    paths.sort()
    stats = inspect_images(paths, quick=True, workers=workers)
    none = np.zeros(0, np.int64)
    samples = tuple(
        DetectionSample(path, np.zeros((0, 4), np.float32), none, none > 0, "train", size_hw)
        for path, size_hw in zip(paths, stats.sizes_hw, strict=True)
        if size_hw
    )
    issues = [
        Issue.of(rule, path, detail) for path, found in zip(paths, stats.found, strict=True) for rule, detail in found
    ]
    if not samples:
        why = f"; first of {len(issues):,}: {issues[0].path}: {issues[0].detail}" if issues else ""
        raise DataError(f"{root}: no image that can be used as background{why}")
    return samples, tuple(sorted(issues, key=lambda issue: issue.order)), passed_over
