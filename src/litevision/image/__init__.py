"""Pictures: the only code that reads them and the only preprocessing. No torch."""

from litevision.image.decode import Limits, Source, decode
from litevision.image.files import PICTURE_SUFFIXES, list_pictures
from litevision.image.preprocess import Crop, Interpolation, Placement, Preprocess

__all__ = [
    "PICTURE_SUFFIXES",
    "Crop",
    "Interpolation",
    "Limits",
    "Placement",
    "Preprocess",
    "Source",
    "decode",
    "list_pictures",
]
