"""The class names of ImageNet-1k and COCO, in the order of every network trained on them."""

import functools
from importlib import resources


@functools.cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1000 class names, for example ``African_elephant`` at index 386.

    Two names stand for two classes each, ``crane`` (134 a bird, 517 a machine) and ``maillot`` (638 and 639), so a name
    is no key: count and compare by index.

    Source: ``imagenet_class_index.json``, which Keras' ``decode_predictions`` reads; spelling as there.
    """
    text = resources.files(__package__).joinpath("imagenet_labels.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


@functools.cache
def coco_labels() -> tuple[str, ...]:
    """The 80 class names of COCO, ``person`` to ``toothbrush``, in the order of detectors trained on them."""
    return tuple(resources.files(__package__).joinpath("coco_labels.txt").read_text(encoding="utf-8").splitlines())


COCO_UNUSED_IDS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Of COCO's category ids 0 to 90, those that no class has; the others are those of the 80 names, in their order."""
