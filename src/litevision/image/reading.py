"""Reading of image files by Pillow: opening by the header, reduced decoding, and what decoding takes of memory."""

from typing import Any

from PIL import Image, JpegImagePlugin

from litevision.errors import ImageError
from litevision.image import budget
from litevision.image.formats import ImageFormat, identify
from litevision.image.repair import bare_png, keeps_coefficients, tidy_png

JPEGS = ("JPEG", "MPO")
"""What Pillow calls a JPEG; the second has further images behind it."""

_REDUCED, _ROWS_PER_STRIP, _TILE_ROWS, _SUB_IMAGES, _DNG_VERSION = 254, 278, 323, 330, 50706  # tags of TIFF
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # all others have 4
_ROW_BYTES = 8  # Pillow keeps a pointer to each
_STRIP_BYTES = 8  # four channels of 16 bits
_COEFFICIENT_BYTES = 2  # libjpeg keeps them all where several scans make one image


def image_of(data: bytes, format_: ImageFormat) -> Image.Image:
    """Open a file of a known format by its header, past faults that do not touch its pixels.

    Raises:
        ImageError: a camera's raw file, or a package that is not installed.
        Exception: whatever Pillow raises of what it cannot read.
    """
    if format_.key == "BMP":
        image: Any = _image_of_bmp(data, format_)
    elif format_.key != "PNG":
        image = format_.open(data)
    else:
        data, profile = tidy_png(data)
        try:
            image = format_.open(data)
        except (SyntaxError, ValueError):
            image = format_.open(bare_png(data))
        if profile:
            image.info["icc_profile"] = profile
    if format_.key == "TIFF":
        is_raw = _DNG_VERSION in image.tag_v2 or data[8:10] == b"CR"
        while not is_raw and is_reduced(image) and image.tell() + 1 < image.n_frames:
            image.seek(image.tell() + 1)
        if is_raw or (is_reduced(image) and _SUB_IMAGES in image.tag_v2):
            raise ImageError("a camera's raw file, which is not read. Develop it to JPEG first.")
    return image  # type: ignore[no-any-return]


def _image_of_bmp(data: bytes, format_: ImageFormat) -> Image.Image:
    from litevision.image.bmp import plain_bmp, with_short_palette

    try:
        return format_.open(with_short_palette(data))
    except (OSError, ValueError):
        with budget.PIXELS.reserve(3 * len(data)):
            plain = plain_bmp(data)
        if plain is None:
            raise
        inner = identify(plain)
        return image_of(plain, inner) if inner.key in ("PNG", *JPEGS) else inner.open(plain)


def is_reduced(image: Any) -> bool:
    """Whether it is a TIFF's reduced copy of another page."""
    return image.format == "TIFF" and bool(image.tag_v2.get(_REDUCED, 0) & 1)


def draft(image: Image.Image, max_shrink: float) -> tuple[float, float] | None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size; returns the pixels per pixel of the file, in x and in y."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or max_shrink < 2:
        return None
    width, height = image.size
    shrink = next(step for step in (8, 4, 2) if max_shrink >= step)
    drafted = image.draft(None, (max(1, width // shrink), max(1, height // shrink)))
    if drafted is None:
        return None
    _, (_, _, drafted_width, drafted_height) = drafted
    return drafted_width / width, drafted_height / height


def decoded_bytes(image: Image.Image, data: bytes, format_: ImageFormat | None, file_pixels: int) -> int:
    """Estimate what decoding takes: the pixels as Pillow keeps them, and what the decoder holds beside them.

    Args:
        image: opened, and drafted.
        data: the file.
        format_: None for arrays, whose pixels are there already.
        file_pixels: of the image in the file, however much smaller it is decoded.
    """
    if format_ is None:
        return 0
    width, height = image.size
    row_bytes = (width * _BYTES_OF_MODE.get(image.mode, 4) + 3) // 4 * 4
    kept_bytes = height * (_ROW_BYTES + row_bytes)
    held_bytes = format_.extra_bytes * width * height
    if format_.key == "TIFF":  # libtiff decodes a strip, or a row of tiles, at a time
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        rows = tags.get(_ROWS_PER_STRIP) or tags.get(_TILE_ROWS) or height
        held_bytes += _STRIP_BYTES * width * min(height, rows)
    if isinstance(image, JpegImagePlugin.JpegImageFile) and keeps_coefficients(data):
        shares = [across * down for _, across, down, _ in image.layer]  # of each component, in a block of the image
        held_bytes += _COEFFICIENT_BYTES * file_pixels * sum(shares) / max(shares, default=1)
    return int(kept_bytes + held_bytes)
