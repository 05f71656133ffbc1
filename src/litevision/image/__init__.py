"""Image decoding, preprocessing and drawing. No torch."""

from litevision.image.decode import Limits, decode
from litevision.image.files import ANIMATION_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES, PassedOver, shipped_images
from litevision.image.found import FoundImages, find_images
from litevision.image.sources import ImageLike
from litevision.image.transforms import Crop, Interpolation, LetterboxTransform, Preprocess

__all__ = [
    "ANIMATION_SUFFIXES",
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Crop",
    "FoundImages",
    "ImageLike",
    "Interpolation",
    "LetterboxTransform",
    "Limits",
    "PassedOver",
    "Preprocess",
    "decode",
    "find_images",
    "shipped_images",
]
