"""EXIF orientation: from the *stored* frame (pixels as the file holds them) to the *upright* one, as seen."""

from dataclasses import dataclass

from PIL import ExifTags, Image

BoxXyxy = tuple[float, float, float, float]


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
        """A size of one frame, in the other frame."""
        return size[::-1] if self.swap else size

    def stored_box(self, box_xyxy: BoxXyxy, upright_wh: tuple[int, int]) -> BoxXyxy:
        """Where a box of the upright frame lies in the stored frame."""
        x1, y1, x2, y2 = box_xyxy
        width, height = upright_wh
        if self.flip_x:
            x1, x2 = width - x2, width - x1
        if self.flip_y:
            y1, y2 = height - y2, height - y1
        return (y1, x1, y2, x2) if self.swap else (x1, y1, x2, y2)

    def upright(self, stored: Image.Image) -> Image.Image:
        """The image turned upright."""
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
    """The orientation that the image's EXIF or XMP states; upright where it is missing, invalid or damaged."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # EXIF is a TIFF file of its own, and damage in it raises nearly anything; the pixels may be fine
        return UPRIGHT
    return _BY_EXIF_VALUE.get(value, UPRIGHT) if isinstance(value, int) else UPRIGHT
