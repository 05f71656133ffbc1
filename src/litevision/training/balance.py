"""Classes of different size, balanced: by what a class counts in the loss, or by how often its images are drawn."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor


def class_weights(counts: Sequence[int]) -> Tensor:
    """A weight for each class in inverse proportion to its count, 1 on average over all; 1 for a class of none."""
    counted = torch.tensor(counts, dtype=torch.float32)
    present = counted > 0
    weights = counted.sum() / (int(present.sum()) * counted.clamp(min=1))
    return torch.where(present, weights, 1.0)


def class_chances(labels: Sequence[int]) -> list[float]:
    """The chance of each image, of one class each, by which all classes are drawn equally often."""
    chances: list[float] = (1.0 / np.bincount(labels)[np.asarray(labels)]).tolist()
    return chances


def repeat_factors(shown: Sequence[Collection[int]]) -> list[float]:
    """The chance of each image by which those that show a rare class are drawn more often.

    It is that of its rarest class: ``sqrt(t / f)``, where ``f`` is the share of the images that show the class, and
    ``t`` that of the most frequent one. An image that shows nothing has the chance of one with that class.

    Source: Gupta et al. 2019, "LVIS", arXiv:1908.03195, section 5. Differs: there, ``t`` is 0.001 for classes by the
    thousand; here every class is balanced against the most frequent one.

    Args:
        shown: the classes in each image.
    """
    images = np.bincount([label for labels in shown for label in set(labels)])
    most = int(images.max()) if len(images) else 1
    return [max((float(np.sqrt(most / images[label])) for label in labels), default=1.0) for labels in shown]
