"""Image decoding, preprocessing and drawing. No torch."""

from litevision.image.decode import Limits, decode
from litevision.image.files import ANIMATION_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES, list_images, shipped_images
from litevision.image.sources import ImageLike
from litevision.image.transforms import Crop, Interpolation, LetterboxTransform, Preprocess

__all__ = [
    "ANIMATION_SUFFIXES",
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Crop",
    "ImageLike",
    "Interpolation",
    "LetterboxTransform",
    "Limits",
    "Preprocess",
    "decode",
    "list_images",
    "shipped_images",
]
