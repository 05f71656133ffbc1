"""Training a classifier: augmentation, the loss of a batch, and the validation score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import InterpolationMode, v2

from litevision.data.dataset import Sample
from litevision.runtime import Normalisation
from litevision.tasks.classification.recipe import Augment, ClassificationRecipe
from litevision.tasks.classification.teacher import Teacher
from litevision.training.balance import class_weights
from litevision.training.batches import Batch, PixelNormaliser, Transform
from litevision.training.frozen import Split
from litevision.training.image_cache import ImageCache

Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes images [N, 3, H, W] and classes [N]; gives images and the parts of the classes [N, classes]."""

_VALIDATION_BATCH = 32
_GREY = [124, 116, 104]  # ImageNet's mean, where a rotation or a shear leaves the image's edge
_RATIO = (3 / 4, 4 / 3)


@dataclass(frozen=True, slots=True)
class Validation:
    """The validation images' mean loss, and how many of them are named right, in percent."""

    loss: float
    top1: float

    @property
    def score(self) -> float:
        """What more is better of."""
        return self.top1

    def record(self) -> dict[str, float]:
        """The figures for the epoch's record."""
        return {"validation_loss": self.loss, "validation_top1": self.top1}


class ClassificationObjective:
    """The loss of a training batch, and the score on the validation images."""

    def __init__(
        self,
        recipe: ClassificationRecipe,
        normalisation: Normalisation,
        train_counts: Sequence[int],
        validation: Sequence[Sample],
        store: ImageCache,
        teacher: Teacher | None,
        in_channels: int = 3,
    ) -> None:
        """Takes how many training images each class has, and ``store``, which reads the ``validation`` images."""
        self._loss = recipe.loss
        self._mix = batch_mix(recipe.augment, len(train_counts))
        self._normalise = PixelNormaliser(normalisation, in_channels)
        self._weights = class_weights(train_counts) if recipe.loss.class_weights == "balanced" else None
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
        loss = self._cross_entropy(logits, targets)
        if self._teacher is None:
            return loss
        # Hinton et al. 2015: the factor T^2 keeps the gradients' size while T changes.
        temperature = self._loss.teacher_temperature
        from_teacher = (self._teacher.logits(images) / temperature).log_softmax(-1)
        from_network = (logits / temperature).log_softmax(-1)
        distance = F.kl_div(from_network, from_teacher, reduction="batchmean", log_target=True) * temperature**2
        return loss + self._loss.teacher_weight * (distance - loss)

    def split(self, network: nn.Module) -> Split | None:
        """The backbone up to its pooled features, and the head; None where mixup, CutMix or a teacher need images."""
        if self._mix is not None or self._teacher is not None:
            return None
        features: Any = network.features
        head: Any = network.head

        def pooled(images_u8: Tensor) -> Tensor:
            maps: Tensor = features(self._normalised(images_u8.float()))
            return maps.mean((2, 3), keepdim=True)

        return Split(pooled, lambda kept, classes: self._cross_entropy(head(kept), classes))

    def _cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        weights = None if self._weights is None else self._weights.to(logits)
        return F.cross_entropy(logits, targets, weights, label_smoothing=self._loss.label_smoothing)

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
        return self._normalise(images).contiguous(memory_format=torch.channels_last)


def image_transform(options: Augment, size_hw: tuple[int, int]) -> Transform:
    """Pillow image to ``uint8[3, H, W]``; every draw comes from torch's own generator."""
    steps: list[Callable[..., object]] = [
        v2.RandomResizedCrop(list(size_hw), options.crop_scale, _RATIO, InterpolationMode.BILINEAR, antialias=True)
    ]
    if options.flip:
        steps.append(v2.RandomHorizontalFlip())
    if options.policy == "trivialaugment":
        steps.append(v2.TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR, fill=_GREY))
    if options.policy == "randaugment":
        steps.append(v2.RandAugment(interpolation=InterpolationMode.BILINEAR, fill=_GREY))
    steps.append(v2.PILToTensor())
    if options.erasing:
        steps.append(v2.RandomErasing(options.erasing, value=_GREY))
    transform: Transform = v2.Compose(steps)
    return transform


def batch_mix(options: Augment, num_classes: int) -> Mix | None:
    """Mixup, CutMix, or one of the two by chance; None without either."""
    mixes: list[Mix] = []
    if options.mixup:
        mixes.append(v2.MixUp(alpha=options.mixup, num_classes=num_classes))
    if options.cutmix:
        mixes.append(v2.CutMix(alpha=options.cutmix, num_classes=num_classes))
    if not mixes:
        return None
    mix: Mix = v2.RandomChoice(mixes)
    return mix
