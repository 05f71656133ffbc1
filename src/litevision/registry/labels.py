"""The names of the 1000 ImageNet-1k classes, in the order of every classifier trained on them."""

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
