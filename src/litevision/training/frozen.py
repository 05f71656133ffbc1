"""Learning from kept features: what a frozen backbone answers is computed once for several passes of the head."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from litevision.training.batches import Batch


class Split(NamedTuple):
    """A network in two: its frozen backbone, and what is trained on it.

    Attributes:
        features: of images ``uint8[N, 3, H, W]``; the same for an image whatever the head has learned.
        loss: the mean loss of a batch, of features and what is true of them.
    """

    features: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Any], Tensor]


def in_precision(split: Split, autocast: Callable[[], AbstractContextManager[Any]]) -> Split:
    """The same, computed within ``autocast``: it does not pass through the module that Fabric makes of a network."""

    def features(images: Tensor) -> Tensor:
        with autocast():
            return split.features(images).float()

    def loss(kept: Tensor, truth: Any) -> Tensor:
        with autocast():
            return split.loss(kept, truth)

    return Split(features, loss)


def losses(
    split: Split, batches: Iterable[Batch], seed: Sequence[int], passes: int, first: int
) -> Generator[Callable[[], Tensor], None, None]:
    """The loss of each step of an epoch with a frozen backbone, to be called when the step is taken.

    The first pass learns from each batch as its images come. The passes after it deal the same images, as they were
    augmented then, into other batches. Which these are depends on ``seed`` and the pass alone, and features are always
    computed in the batches of the first pass: a resumed run computes once more what it needs, to the last bit.

    Args:
        split: the network.
        batches: all of the epoch, on the device.
        seed: of the epoch.
        passes: how often each image is learned from, 1 or more.
        first: the first step that is still to be taken.
    """
    features: list[Tensor] = []
    truths: list[Any] = []
    for place, (images, truth) in enumerate(batches):
        with torch.no_grad():
            features.append(split.features(images))
        truths.append(truth)
        if place >= first:
            yield partial(split.loss, features[-1], truth)
    steps, size = len(features), len(truths[0])
    every_feature, every_truth = torch.cat(features), torch.cat(truths)
    for number in range(max(1, first // steps), passes):
        order = torch.from_numpy(np.random.default_rng((*seed, number)).permutation(len(every_truth)))
        for place in range(max(0, first - number * steps), steps):
            picked = order[place * size : (place + 1) * size].to(every_truth.device)
            yield partial(split.loss, every_feature[picked], every_truth[picked])
