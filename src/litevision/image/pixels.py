"""Pixels as a person sees them: any Pillow mode to 8-bit sRGB, and EXIF orientation.

An orientation leads from the *stored* frame (pixels as the file holds them) to the *upright* one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from litevision.image.colour import Convert, lab_to_srgb, profile_of, to_srgb
from litevision.image.faults import UnknownRangeError

BoxXyxy = tuple[float, float, float, float]

STRIP_PIXELS = 2**22
"""Of a large image, converted at once: 16 MB."""

_BITS_PER_SAMPLE, _COLOUR_MEANING, _WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF


class RgbPixels:
    """The pixels of a decoded image as 8-bit sRGB, converted part by part: a large image is never held twice.

    - 16 bits are scaled to 8 (65535 becomes 255). Integers of 32 bits count as 8 bits where all are up to 255, and as
      16 bits otherwise; floats count as [0, 1], or as 8 bits where any is larger.
    - Colours of an ICC profile and of CIE Lab are converted to sRGB.
    - Transparency is laid on white.

    Attributes:
        size: width and height, px.
    """

    def __init__(self, image: Image.Image) -> None:
        """Takes a decoded image in any mode.

        Raises:
            UnknownRangeError: numbers outside the ranges that can be told.
        """
        self.size = image.size
        self._image = image
        self._white = _white_level(image) if image.mode[0] in "IF" else 0.0
        self._inverted = self._white > 0 and _tag(image, _COLOUR_MEANING) == _WHITE_IS_ZERO
        self._convert = _conversion(image)
        self._is_rgb = image.mode == "RGB" and self._convert is None and not image.has_transparency_data

    @property
    def is_large(self) -> bool:
        """Whether it is better converted part by part."""
        return not self._is_rgb and self.size[0] * self.size[1] > STRIP_PIXELS

    def part(self, box: tuple[int, int, int, int]) -> Image.Image:
        """Convert the part inside ``box``, (x1, y1, x2, y2) in px."""
        return self._converted(self._image.crop(box))

    def whole(self) -> Image.Image:
        """Convert all of it; the image itself where there is nothing to convert."""
        if self._is_rgb:
            return self._image
        if not self.is_large:
            return self._converted(self._image)
        width, height = self.size
        whole = Image.new("RGB", self.size)
        rows = max(1, STRIP_PIXELS // width)
        for top in range(0, height, rows):
            whole.paste(self.part((0, top, width, min(height, top + rows))), (0, top))
        return whole

    def _converted(self, part: Image.Image) -> Image.Image:
        if self._white:
            return self._scaled(part)
        if part.has_transparency_data:
            alpha = part.convert("RGBA")
            colours = self._coloured(part)
            if colours is not None:
                colours.putalpha(alpha.getchannel("A"))
                alpha = colours
            return Image.alpha_composite(Image.new("RGBA", part.size, "white"), alpha).convert("RGB")
        return self._coloured(part) or (part if part.mode == "RGB" else part.convert("RGB"))

    def _coloured(self, part: Image.Image) -> Image.Image | None:
        """Its colours in sRGB, without transparency; None where they are sRGB already."""
        if self._convert is None:
            return None
        mode, convert = self._convert
        if part.mode in ("RGBA", "RGBa", "LA", "La", "PA", "P"):  # a plain conversion would forget no colour
            part = part.convert("RGBA")
            part = Image.merge("RGB", part.split()[:3])
        return convert(part if part.mode == mode else part.convert(mode))

    def _scaled(self, part: Image.Image) -> Image.Image:
        numbers = np.asarray(part)
        if numbers.dtype.kind == "f":
            if not np.isfinite(numbers).all():
                raise UnknownRangeError("floats that are NaN or infinite; expected 0 to 1, or 0 to 255.")
            grey_u8 = np.rint(numbers * (255 / self._white)).clip(0, 255).astype(np.uint8)
        elif self._white == 65535:
            # Pillow's own conversion clips at 255, which makes nearly every 16-bit image white.
            grey_u8 = ((numbers.astype(np.uint32).clip(0, 65535) + 128) // 257).astype(np.uint8)
        else:
            white = int(self._white)
            grey_u8 = ((numbers.astype(np.uint32).clip(0, white) * 255 + white // 2) // white).astype(np.uint8)
        grey = Image.fromarray(255 - grey_u8 if self._inverted else grey_u8)
        rgb = self._coloured(grey) or grey.convert("RGB")
        clear = part.info.get("transparency")  # of a PNG: the one grey that is transparent
        if isinstance(clear, int):
            rgb.paste((255, 255, 255), None, Image.fromarray(np.where(numbers == clear, 255, 0).astype(np.uint8)))
        return rgb


def _white_level(image: Image.Image) -> float:
    """The number that stands for white in an image of 16-bit or 32-bit integers, or of floats."""
    if image.mode.startswith("I;"):
        bits = _tag(image, _BITS_PER_SAMPLE)
        bits = bits[0] if isinstance(bits, tuple) and bits else bits
        return 2.0**bits - 1 if isinstance(bits, int) and 8 < bits < 16 else 65535.0
    low, high = (float(it) for it in image.getextrema())  # type: ignore[arg-type]  # of one channel
    if image.mode == "F":
        if not 0 <= low <= high <= 255:
            raise UnknownRangeError(f"floats from {low:g} to {high:g}; expected 0 to 1, or 0 to 255.")
        return 1.0 if high <= 1 else 255.0
    if not 0 <= low <= high <= 65535:
        raise UnknownRangeError(f"integers from {low:.0f} to {high:.0f}; expected 0 to 255, or 0 to 65535.")
    return 255.0 if high <= 255 and image.format != "PPM" else 65535.0  # a PPM states its range, and Pillow scales it


def _tag(image: Any, number: int) -> Any:
    tags = getattr(image, "tag_v2", None)
    return tags.get(number) if tags is not None else None


def _conversion(image: Image.Image) -> tuple[str, Convert] | None:
    profile = profile_of(image)
    found = to_srgb(profile) if profile else None
    if image.mode == "LAB":
        return "LAB", lab_to_srgb()
    if found is None:
        return None
    is_grey = image.mode[0] in "1LIF"
    fits = {"L": is_grey, "CMYK": image.mode == "CMYK", "RGB": image.mode not in ("CMYK", "YCbCr", "HSV")}
    return found if fits.get(found[0]) else None


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

    def upright_box(self, box_xyxy: tuple[float, ...], upright_wh: tuple[int, int]) -> tuple[float, ...]:
        """Map a box of the stored frame to the upright frame."""
        x1, y1, x2, y2 = box_xyxy
        if self.swap:
            x1, y1, x2, y2 = y1, x1, y2, x2
        width, height = upright_wh
        if self.flip_x:
            x1, x2 = width - x2, width - x1
        if self.flip_y:
            y1, y2 = height - y2, height - y1
        return x1, y1, x2, y2

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
        # Not image.getexif(): that of a PNG decodes it first, swallows no error, and leaves half an image behind.
        value = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    except Exception:  # EXIF is a TIFF file of its own, and damage in it raises nearly anything; the pixels may be fine
        return UPRIGHT
    return _BY_EXIF_VALUE.get(value, UPRIGHT) if isinstance(value, int) else UPRIGHT
