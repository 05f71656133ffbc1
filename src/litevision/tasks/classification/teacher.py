"""Models to learn from: a bundle, or weights that others published."""

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from litevision.errors import UsageError
from litevision.models.network import Network
from litevision.runtime import Bundle, Classifier, Normalisation
from litevision.training.batches import PixelNormaliser
from litevision.weights.load import load_weights


class Teacher(Protocol):
    """Answers for images of 0 to 255, [N, 3, H, W]."""

    def logits(self, images: Tensor) -> Tensor:
        """[N, classes], up to a constant for each image; no gradient."""
        ...


def open_teacher(source: str, classes: tuple[str, ...]) -> Teacher:
    """The teacher of a recipe: the path of a bundle, or a weight set's name or file with as many classes.

    Raises:
        UsageError: it answers with other classes.
    """
    if Path(source).suffix == ".onnx":
        classifier = Classifier(Bundle.open(source))
        if classifier.labels != classes:
            raise UsageError(
                f"loss.teacher {source} names {len(classifier.labels)} classes ({', '.join(classifier.labels[:3])}, "
                f"...); expected the data's {len(classes)} ({', '.join(classes[:3])}, ...)"
            )
        if classifier.bundle.metadata.is_multi_label:
            raise UsageError(
                f"loss.teacher {source} gives each class a probability of its own (sigmoid); expected one whose "
                "classes exclude each other (softmax)"
            )
        return _BundleTeacher(classifier)
    loaded = load_weights(source)
    if loaded.network.config.num_classes != len(classes):  # so one of a single logit is no teacher
        raise UsageError(
            f"loss.teacher {source} has {loaded.network.config.num_classes} classes; expected the data's {len(classes)}"
        )
    facts = loaded.network.pretrained
    assert facts is not None
    return _NetworkTeacher(loaded.network, facts.normalisation, facts.preprocess.size_hw)


class _BundleTeacher:
    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def logits(self, images: Tensor) -> Tensor:
        sized = _sized(images, self._classifier.preprocess.size_hw).round().clamp(0, 255).byte()
        found = self._classifier.probabilities(sized.permute(0, 2, 3, 1).contiguous().cpu().numpy())
        return torch.from_numpy(found).clamp_min(1e-8).log().to(images.device)


class _NetworkTeacher:
    def __init__(self, network: Network, normalisation: Normalisation, size_hw: tuple[int, int]) -> None:
        self._network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self._normalise = PixelNormaliser(normalisation, network.config.in_channels)
        self._size_hw = size_hw

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        self._network.to(images.device)
        found: Tensor = self._network(self._normalise(_sized(images, self._size_hw))).float()
        return found


def _sized(images: Tensor, size_hw: tuple[int, int]) -> Tensor:
    if tuple(images.shape[-2:]) == size_hw:
        return images
    return F.interpolate(images, size_hw, mode="bilinear", antialias=True)
