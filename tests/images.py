"""Images for tests, made on the spot."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

# EXIF orientation, and what was done to the upright image before it was stored.
STORED_BY = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def noise(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def scene(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Smooth, and without any symmetry."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    channels = (x, 0.5 + 0.5 * np.sin(9 * x * y + 3 * y), y * y)
    return (255 * np.stack(channels, axis=2)).astype(np.uint8)


def encoded(image: Image.Image | npt.NDArray[np.uint8], kind: str = "PNG", **options: Any) -> bytes:
    pillow = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    pillow.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def stored_as(upright: npt.NDArray[np.uint8], orientation: int, kind: str = "PNG", **options: Any) -> bytes:
    method = STORED_BY[orientation]
    image = Image.fromarray(upright)
    turned = image if method is None else image.transpose(method)
    return encoded(turned, kind, exif=exif(orientation), **options)


def write_many() -> None:
    """Write a folder ``many`` of 23 images, the seventh of them broken, into the working folder."""
    shades = np.random.default_rng(0).integers(0, 256, (23, 3), np.uint8)
    Path("many").mkdir()
    for number, shade in enumerate(shades):
        data = b"oops" if number == 7 else encoded(np.full((9, 12, 3), shade, np.uint8))
        Path(f"many/{number:02}.png").write_bytes(data)
