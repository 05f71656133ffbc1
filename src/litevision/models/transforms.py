"""Transforms of ``torchvision.transforms.v2`` that give a network the input of its pretrained weights."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from litevision.image import Preprocess, decode
from litevision.models.pretrained import normalise
from litevision.runtime import Normalisation

_CROP_SCALE = (0.35, 1.0)  # of the image's area, as in litevision's own recipe


class ModelInput(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Makes exactly the input of the exported model: `Preprocess`, then the normalisation, float32 [C, H, W]."""

    def __init__(self, preprocess: Preprocess, normalisation: Normalisation, in_channels: int) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.normalisation = normalisation
        self.in_channels = in_channels

    def transform(self, inpt: Any, params: dict[str, Any]) -> Tensor:
        """Transforms one image."""
        image_u8_hwc = torch.from_numpy(self.preprocess(_array_or_image(inpt)))
        return normalise(image_u8_hwc.permute(2, 0, 1), self.normalisation, self.in_channels)


class UprightImage(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Turns a Pillow image, or a tensor, into an upright RGB Pillow image; the EXIF orientation is applied."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Image.Image:
        """Transforms one image."""
        return decode(_array_or_image(inpt))


class ToNormalised(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Turns a Pillow image into the normalised float32 tensor [C, H, W] that a network takes."""

    def __init__(self, normalisation: Normalisation, in_channels: int) -> None:
        super().__init__()
        self.normalisation = normalisation
        self.in_channels = in_channels

    def transform(self, inpt: Any, params: dict[str, Any]) -> Tensor:
        """Transforms one image."""
        return normalise(F.pil_to_tensor(inpt), self.normalisation, self.in_channels)


def training_transform(preprocess: Preprocess, normalisation: Normalisation, in_channels: int) -> v2.Transform:
    """Returns random resized crop, random horizontal flip and normalisation: float32 [C, H, W]."""
    interpolation = InterpolationMode(preprocess.interpolation)
    return v2.Compose(
        [
            UprightImage(),
            v2.RandomResizedCrop(list(preprocess.size_hw), _CROP_SCALE, interpolation=interpolation, antialias=True),
            v2.RandomHorizontalFlip(),
            ToNormalised(normalisation, in_channels),
        ]
    )


def _array_or_image(image: Any) -> Image.Image | npt.NDArray[np.uint8]:
    """Returns a Pillow image as it is; a tensor [3, H, W] as ``uint8[H, W, 3]``."""
    if isinstance(image, Image.Image):
        return image
    if image.is_floating_point():
        image = F.to_dtype(image, torch.uint8, scale=True)
    array: npt.NDArray[np.uint8] = image.as_subclass(Tensor).cpu().permute(1, 2, 0).contiguous().numpy()
    return array
