"""What is particular to classification: its loss, and its validation score."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litevision.data.dataset import Sample
from litevision.image import Preprocess
from litevision.runtime import Normalisation
from litevision.training.augment import batch_mix
from litevision.training.batches import Batch
from litevision.training.loop import Validation
from litevision.training.recipe import Recipe
from litevision.training.store import Imagestore
from litevision.training.teacher import Teacher

_VALIDATION_BATCH = 32


class ClassificationTask:
    """The loss of a training batch, and the score on the validation images."""

    def __init__(
        self,
        recipe: Recipe,
        normalisation: Normalisation,
        train_counts: Sequence[int],
        validation: Sequence[Sample],
        store: Imagestore,
        teacher: Teacher | None,
    ) -> None:
        """Takes how many training images each class has, and ``store``, which reads the ``validation`` images."""
        self._loss = recipe.loss
        self._mix = batch_mix(recipe.augment, len(train_counts))
        self._mean = torch.tensor(normalisation.mean).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(normalisation.std).view(1, 3, 1, 1) * 255
        self._weights = balanced_weights(train_counts) if recipe.loss.class_weights == "balanced" else None
        self._validation = validation
        self._store = store
        self._teacher = teacher

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The mean loss of a batch, a scalar."""
        images_u8, classes = batch
        images, targets = images_u8.float(), classes
        if self._mix is not None:
            images, targets = self._mix(images, classes)
        logits = network(self._normalised(images))
        weights = None if self._weights is None else self._weights.to(logits)
        loss = F.cross_entropy(logits, targets, weights, label_smoothing=self._loss.label_smoothing)
        if self._teacher is None:
            return loss
        # Hinton et al. 2015: the factor T^2 keeps the gradients' size while T changes.
        temperature = self._loss.teacher_temperature
        told = (self._teacher.logits(images) / temperature).log_softmax(-1)
        said = (logits / temperature).log_softmax(-1)
        distance = F.kl_div(said, told, reduction="batchmean", log_target=True) * temperature**2
        return loss + self._loss.teacher_weight * (distance - loss)

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> Validation:
        """Mean loss and top-1 on the validation images, which come through the runtime's own preprocessing."""
        device = next(network.parameters()).device
        loss_sum, correct = 0.0, 0
        for start in range(0, len(self._validation), _VALIDATION_BATCH):
            part = range(start, min(start + _VALIDATION_BATCH, len(self._validation)))
            batch_u8_nhwc = torch.from_numpy(np.stack([self._store(index) for index in part]))
            images = batch_u8_nhwc.to(device).permute(0, 3, 1, 2).float()
            classes = torch.tensor([self._validation[index].label for index in part], device=device)
            logits = network(self._normalised(images))
            loss_sum += float(F.cross_entropy(logits, classes, reduction="sum"))
            correct += int((logits.argmax(-1) == classes).sum())
        count = len(self._validation)
        return Validation(loss_sum / count, 100 * correct / count)

    def _normalised(self, images: Tensor) -> Tensor:
        """Images of 0 to 255 as the network takes them, channels last."""
        mean, std = self._mean.to(images.device), self._std.to(images.device)
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def balanced_weights(counts: Sequence[int]) -> Tensor:
    """A weight for each class in inverse proportion to its images; 1 on average over the images."""
    counted = torch.tensor(counts, dtype=torch.float32)
    return counted.sum() / (len(counts) * counted)


def preprocessed(preprocess: Preprocess, path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """An image as the runtime makes it, for a `Imagestore`."""
    return preprocess(path)
