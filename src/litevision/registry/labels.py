"""The class names of ImageNet-1k and COCO, in the order of networks trained on them, and ImageNet's WordNet ids."""

import functools
from pathlib import Path


@functools.cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1000 class names, for example ``African_elephant`` at index 386.

    Two names stand for two classes each, ``crane`` (134 a bird, 517 a machine) and ``maillot`` (638 and 639), so a name
    is no key: count and compare by index.

    Source: ``imagenet_class_index.json``, which Keras' ``decode_predictions`` reads; spelling as there.
    """
    return _lines("imagenet_labels.txt")


@functools.cache
def imagenet_wordnet_ids() -> tuple[str, ...]:
    """The 1000 WordNet ids, for example ``n02504458`` at index 386; sorted, and no two alike."""
    return _lines("imagenet_wordnet_ids.txt")


@functools.cache
def coco_labels() -> tuple[str, ...]:
    """The 80 class names of COCO, ``person`` to ``toothbrush``, in the order of detectors trained on them."""
    return _lines("coco_labels.txt")


COCO_UNUSED_IDS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Of COCO's category ids 0 to 90, those that no class has; the others are those of the 80 names, in their order."""


def _lines(name: str) -> tuple[str, ...]:
    return tuple(Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines())
