"""Images: the only code that reads them and the only preprocessing. No torch."""

from litevision.image.decode import ImageLike, Limits, decode
from litevision.image.files import ANIMATION_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES, list_images, shipped_images
from litevision.image.preprocess import Crop, Interpolation, Placement, Preprocess

__all__ = [
    "ANIMATION_SUFFIXES",
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Crop",
    "ImageLike",
    "Interpolation",
    "Limits",
    "Placement",
    "Preprocess",
    "decode",
    "list_images",
    "shipped_images",
]
