"""What is wrong with one image."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import ImageError, ImageTooLargeError
from litevision.image import Limits, Preprocess
from litevision.image.decode import DEFAULT_LIMITS, OpenedImage, open_image

THUMB_PX = 16
_thumb = Preprocess((THUMB_PX, THUMB_PX), THUMB_PX, "stretch", "bilinear")

_TINY_PX = 32
_EXTREME_ASPECT = 5
_UNIFORM_LEVELS = 2  # of 255; compression alone moves a level by one
_HEAD_BYTES = 256 * 1024  # all that stands before the pixels of nearly every JPEG: its thumbnail has 64 kB at most

_END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TAIL_BYTES = 4096  # some programs append a few bytes of their own

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),  # a JPEG with further images behind it
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
}
_ANIMATED = ("PNG", "WEBP", "GIF")

Found = tuple[str, str]
"""A rule and what was found."""


@dataclass(frozen=True, slots=True)
class Look:
    """What looking at one file gave.

    Attributes:
        found: the rules that it breaks.
        upright_hw: its size in px as a person sees it; None where it cannot be read.
        thumb: ``uint8[16, 16, 3]``, the whole image; None where it was not decoded.
    """

    found: tuple[Found, ...] = ()
    upright_hw: tuple[int, int] | None = None
    thumb: npt.NDArray[np.uint8] | None = None


def open_header(path: Path, limits: Limits = DEFAULT_LIMITS) -> Look:
    """What is wrong with a file whose header is read and its pixels are not, unless its end is missing.

    Of a large JPEG the beginning and the end are read.
    """
    image = _opened(path, limits, whole=False)
    if isinstance(image, tuple):
        return Look((image,))
    if _lacks_end(path, image):
        found = look_at(path, limits)
        if found.upright_hw is None:
            return found
    return Look((), image.upright_hw)


def look_at(path: Path, limits: Limits = DEFAULT_LIMITS) -> Look:
    """What is wrong with a file all of which is decoded, a JPEG at reduced size."""
    image = _opened(path, limits, whole=True)
    if isinstance(image, tuple):
        return Look((image,))
    found = [*_of_file(path, image), *_of_shape(*image.upright_hw)]
    try:
        thumb = _thumb(image)
    except ImageError as error:
        return Look((_fault_of(error, path.read_bytes()),))
    low, high = thumb.min(axis=(0, 1)).astype(int), thumb.max(axis=(0, 1)).astype(int)
    if max(high - low) <= _UNIFORM_LEVELS:
        found.append(("uniform", f"RGB {' '.join(map(str, (low + high) // 2))}"))
    return Look(tuple(found), image.upright_hw, thumb)


def _opened(path: Path, limits: Limits, *, whole: bool) -> OpenedImage | Found:
    """The image, or why there is none."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "unreadable", "no file"
        if status.st_size > limits.max_bytes:
            return "too-large", f"{status.st_size:,} bytes, more than the limit of {limits.max_bytes:,}"
        with path.open("rb") as file:
            data = file.read(-1 if whole else _HEAD_BYTES)
            image = _image(data, limits)
            if isinstance(image, tuple) and len(data) < status.st_size:
                image = _image(data + file.read(), limits)
            return image
    except FileNotFoundError:
        return "missing-file", "no such file"
    except OSError as error:
        return "unreadable", error.strerror or str(error)
    except ValueError as error:
        return "missing-file", f"no path ({error})"


def _image(data: bytes, limits: Limits) -> OpenedImage | Found:
    if not data:
        return "empty-file", "0 bytes"
    try:
        return open_image(data, limits=limits)
    except ImageError as error:
        return _fault_of(error, data)


def _fault_of(error: ImageError, data: bytes) -> Found:
    detail = str(error).partition(": ")[2].rstrip(".")  # the bytes that it calls by their number have a path here
    if isinstance(error, ImageTooLargeError):
        return "too-large", detail.removeprefix("the image: ").removesuffix(". Make the image smaller first")
    if "damaged" not in detail:
        return "not-a-image", detail
    cause = detail.partition("(")[2].rpartition(")")[0]
    return "truncated" if "truncated" in cause or _is_cut_short(data) else "unreadable", cause


def _is_cut_short(data: bytes) -> bool:
    """Whether a file ends before its format says so."""
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in data
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-1024:]
    if data.startswith(b"GIF8"):
        return not data.rstrip(b"\0").endswith(b";")
    offset, extra = (4, 8) if data.startswith(b"RIFF") else (2, 0)  # WebP, BMP
    return int.from_bytes(data[offset : offset + 4], "little") + extra > len(data)


def _lacks_end(path: Path, image: OpenedImage) -> bool:
    """Whether the mark that ends a file is not in its last bytes: most such are cut short, some decode all the same."""
    mark = _END_MARKS.get(image.image.format or "")
    if mark is None:
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return mark not in file.read()


def _of_file(path: Path, image: OpenedImage) -> list[Found]:
    pillow: Any = image.image
    found = []
    if path.suffix.lower() not in _SUFFIXES[pillow.format]:
        found.append(("wrong-extension", f"{pillow.format} content, {path.suffix or 'no suffix'}"))
    if image.orientation.method is not None:
        found.append(("exif-rotated", f"to be turned by {image.orientation.method.name.lower().replace('_', ' ')}"))
    if pillow.mode not in ("RGB", "L") and pillow.format != "GIF":  # every GIF has a palette
        found.append(("odd-mode", f"mode {pillow.mode}"))
    if pillow.format in _ANIMATED and getattr(pillow, "is_animated", False):
        found.append(("animated", f"{pillow.n_frames} frames"))
    return found


def _of_shape(height: int, width: int) -> list[Found]:
    found = []
    if min(height, width) < _TINY_PX:
        found.append(("tiny", f"{width} x {height} px"))
    if max(height, width) > _EXTREME_ASPECT * min(height, width):
        found.append(("extreme-shape", f"{width} x {height} px"))
    return found
