"""Pretrained facts: the preprocessing, labels, licence and source of the weights in a network."""

import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from litevision.errors import UsageError
from litevision.image import Preprocess
from litevision.runtime import Calibration, DetectionScore, Normalisation, Score, Weights
from litevision.runtime.metadata import GREY, Activation
from litevision.runtime.schema import OPTIONAL

if TYPE_CHECKING:
    from torchvision.transforms import v2

    from litevision.models.kinds import AnyNetwork
    from litevision.models.network import FeaturePyramid


@dataclass(frozen=True)
class Pretrained:
    """The facts that travel with pretrained weights, as ``network.pretrained``.

    Attributes:
        name: of the weight set, the run or the file.
        preprocess: what makes ``uint8[H, W, 3]`` of an image.
        normalisation: what makes the network's float input of that.
        labels: the name of each class; None where they have none, or the classifier was replaced.
        licence: of the weights, by its SPDX name where it is known.
        source: where they come from: an address, or how they were trained.
        sha256: digest of the file that was read.
        training_data: what they were trained on.
        score: measured or claimed with this preprocessing; None where nothing was, or the classifier was replaced.
        score_thresholds: of a detector, the score from which a box of each class counts.
        calibration: of a classifier, when it is unsure; None where that was not measured.
        top_k: of a detector, the most boxes that it gives for an image; None where that is not known.
        task: what the weights were made for.
        activation: of a classifier, what makes probabilities of its logits: ``softmax``, or ``sigmoid`` where each
            class has its own; None where that is not known.
        fingerprint: of the weights in the network; another one there means that they were trained since.
        in_channels: of the network.

    Example:
        >>> import litevision
        >>> network = litevision.create("mobilenet_v2", weights="clothing")
        >>> network.pretrained.labels[:3]
        ('dress', 'hat', 'longsleeve')
    """

    name: str
    preprocess: Preprocess
    normalisation: Normalisation
    labels: tuple[str, ...] | None
    licence: str
    source: str
    sha256: str
    training_data: str = "unknown"
    score: Score | DetectionScore | None = None
    score_thresholds: tuple[float, ...] | None = None
    calibration: Calibration | None = field(default=None, metadata=OPTIONAL)
    top_k: int | None = field(default=None, metadata=OPTIONAL)
    task: str = "classification"
    activation: Activation | None = field(default=None, metadata=OPTIONAL)
    fingerprint: int | None = field(default=None, repr=False, compare=False)
    in_channels: int = field(default=3, repr=False, compare=False)

    @property
    def weights(self) -> Weights:
        """The name, source, licence and digest, as a bundle records them."""
        return Weights(self.name, self.source, self.licence, self.sha256)

    def within(self, network: "AnyNetwork | FeaturePyramid") -> Self:
        """Returns the facts for the network that has these weights now."""
        return replace(self, fingerprint=fingerprint(network), in_channels=network.config.in_channels)

    def without_classes(self) -> Self:
        """Returns the facts that hold when the classifier is replaced: no labels, activation and score."""
        return self.unmeasured(labels=None, activation=None)

    def unmeasured(self, **changes: Any) -> Self:
        """Returns the facts with ``changes`` that what was measured with the weights does not outlive."""
        return replace(self, **{"score": None, "score_thresholds": None, "calibration": None, **changes})

    def transform(self, *, train: bool = False) -> "v2.Transform":
        """Returns a transform of ``torchvision.transforms.v2`` for your own data loader.

        It takes a Pillow image or a tensor [3, H, W] (uint8, or float in [0, 1]), alone or beside a label, and gives
        a normalised float32 tensor [C, height, width], with the C channels that the network takes: 3, or 1 for the grey
        value. A Pillow image is turned upright by its EXIF orientation.

        Args:
            train: random resized crop and random horizontal flip, with the same size and normalisation. Without it
                the pixels are those that the exported model sees: ``preprocess`` makes them.

        Raises:
            UsageError: ``train`` for a detector, whose boxes would have to be cropped along; or a network that takes
                neither 3 channels nor 1.
        """
        from litevision.models.kinds import config_type
        from litevision.models.transforms import ModelInput, training_transform

        if self.in_channels not in (1, 3):
            raise UsageError(
                f"the network takes {self.in_channels} channels, whose meaning is not known; expected 3 (RGB) "
                "or 1 (grey). Write a transform of your own"
            )
        if not train:
            return ModelInput(self.preprocess, self.normalisation, self.in_channels)
        if config_type(self.task).crop_needs_labels:
            raise UsageError(
                "transform(train=True) crops images without their boxes, and these weights are a detector's; "
                "use transform() with boxes of your own, or train with litevision.train"
            )
        return training_transform(self.preprocess, self.normalisation, self.in_channels)


def as_grey(normalisation: Normalisation) -> Normalisation:
    """Returns the normalisation of grey values: the means of those of the three channels."""
    mean, std = sum(normalisation.mean) / 3, sum(normalisation.std) / 3
    return Normalisation((mean,) * 3, (std,) * 3)


def normalise(images_u8: Tensor, normalisation: Normalisation, in_channels: int = 3) -> Tensor:
    """Normalises [..., 3, H, W] to ``(pixel / 255 - mean) / std`` per channel, as an exported graph computes it.

    Args:
        in_channels: of the network; 1 gives the grey value of each pixel, [..., 1, H, W], normalised by `as_grey`.
    """
    if in_channels == 1:
        luma = torch.tensor(GREY, device=images_u8.device)[:, None, None]
        images_u8 = (images_u8.float() * luma).sum(-3, keepdim=True)
        normalisation = as_grey(normalisation)
    channels = images_u8.shape[-3]
    mean, std = (torch.tensor(values[:channels]).double() for values in (normalisation.mean, normalisation.std))
    scale, shift = (1 / (255 * std)).float(), (-mean / std).float()
    return images_u8.float() * scale[:, None, None] + shift[:, None, None]


def fingerprint(network: nn.Module) -> int:
    """Computes a checksum of a network's weights, to see whether they have changed."""
    checksum = 0
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            checksum = zlib.crc32(tensor.detach().cpu().contiguous().float().numpy(), checksum)
    return checksum
