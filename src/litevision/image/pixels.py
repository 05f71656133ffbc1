"""Pixels as a person sees them: any Pillow mode to 8-bit RGB, and EXIF orientation.

An orientation leads from the *stored* frame (pixels as the file holds them) to the *upright* one.
"""

from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from litevision.errors import ImageError

BoxXyxy = tuple[float, float, float, float]


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to RGB: 16 bits are scaled to 8 (65535 becomes 255), transparency is laid on white.

    Raises:
        ImageError: the mode holds floats, whose range nobody knows.
    """
    if image.mode == "F":
        raise ImageError("an image of floats (mode F) has no known range. Scale it to 8 bits first.")
    if image.mode.startswith("I"):
        # Pillow's own conversion clips at 255, which makes nearly every 16-bit image white.
        grey_u16 = np.asarray(image).astype(np.uint32).clip(0, 65535)
        return Image.fromarray(((grey_u16 + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


@dataclass(frozen=True, slots=True)
class Orientation:
    """How to turn a stored image upright.

    A point of the upright frame is found in the stored frame by the flips first, then by the swap of x and y.
    """

    method: Image.Transpose | None
    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def swapped(self, size: tuple[int, int]) -> tuple[int, int]:
        """Map a size of one frame to the other."""
        return size[::-1] if self.swap else size

    def stored_box(self, box_xyxy: BoxXyxy, upright_wh: tuple[int, int]) -> BoxXyxy:
        """Map a box of the upright frame to the stored frame."""
        x1, y1, x2, y2 = box_xyxy
        width, height = upright_wh
        if self.flip_x:
            x1, x2 = width - x2, width - x1
        if self.flip_y:
            y1, y2 = height - y2, height - y1
        return (y1, x1, y2, x2) if self.swap else (x1, y1, x2, y2)

    def upright(self, stored: Image.Image) -> Image.Image:
        """Turn a stored image upright."""
        return stored if self.method is None else stored.transpose(self.method)


UPRIGHT = Orientation(None)

# EXIF 2.32, tag 0x0112. fmt: off
#   value          method                           swap   flip_x flip_y
_BY_EXIF_VALUE = {
    2: Orientation(Image.Transpose.FLIP_LEFT_RIGHT, False, True, False),
    3: Orientation(Image.Transpose.ROTATE_180, False, True, True),
    4: Orientation(Image.Transpose.FLIP_TOP_BOTTOM, False, False, True),
    5: Orientation(Image.Transpose.TRANSPOSE, True, False, False),
    6: Orientation(Image.Transpose.ROTATE_270, True, True, False),
    7: Orientation(Image.Transpose.TRANSVERSE, True, True, True),
    8: Orientation(Image.Transpose.ROTATE_90, True, False, True),
}
# fmt: on


def read_orientation(image: Image.Image) -> Orientation:
    """Read the orientation that the image's EXIF or XMP states; upright where it is missing, invalid or damaged."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # EXIF is a TIFF file of its own, and damage in it raises nearly anything; the pixels may be fine
        return UPRIGHT
    return _BY_EXIF_VALUE.get(value, UPRIGHT) if isinstance(value, int) else UPRIGHT
