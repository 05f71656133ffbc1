"""Decoding of images: JPEG, PNG, WebP, BMP or GIF by content, upright, in RGB, within limits."""

import io
import itertools
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# The five readers by name: what is registered, Pillow need not look for, and its fifty others stay unloaded.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,
    PngImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from litevision.errors import (
    FileMissingError,
    ImageError,
    ImageTooLargeError,
    LitevisionError,
    UsageError,
)
from litevision.image.pixels import Orientation, read_orientation, to_rgb
from litevision.image.sources import ImageLike, image_of_array, image_of_tensor, is_tensor

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_ANIMATED = ("PNG", "WEBP", "GIF")  # a JPEG may hold more images too: previews and depths, which are no frames
_EXPECTED = "expected JPEG, PNG, WebP, BMP or GIF"
_DAMAGED, _COPY_AGAIN = "damaged or cut short", "Copy or download it again."

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8")  # BMP's two letters are too few to tell
# What people try that is not read, by (offset, magic).
_FOREIGN = {
    (0, b"II*\0"): "TIFF",
    (0, b"MM\0*"): "TIFF",
    (0, b"%PDF"): "PDF",
    (4, b"ftyp"): "HEIC, AVIF or video",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on an image: pixels as its header states them, and bytes of its file."""

    max_pixels: int = 178_956_970  # twice Pillow's MAX_IMAGE_PIXELS, where Pillow itself refuses
    max_bytes: int = 256 * 1024 * 1024


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An opened image within the limits, whose pixels need not be decoded yet.

    Attributes:
        image: as Pillow opened it, in the stored frame.
        name: what messages call it.
        orientation: from the stored frame to the upright one.
        upright_hw: height and width as a person sees the image, whatever size it is decoded at.
        ours: opened here, so that it may be decoded at reduced size; a caller's own image would shrink under their
            hands.
    """

    image: Image.Image
    name: str
    orientation: Orientation
    upright_hw: tuple[int, int]
    ours: bool

    def stored_rgb(self, *, max_shrink: float = 1.0) -> tuple[Image.Image, tuple[float, float]]:
        """Decode the RGB pixels in the stored frame; also return their number per pixel of the file, in x and in y.

        A JPEG opened from a file is decoded at 1/2, 1/4 or 1/8 of its size where that is at most ``max_shrink``:
        libjpeg's DCT scaling then skips most of the inverse transform.

        Raises:
            ImageError: the file is damaged or cut short.
        """
        with _faults_of(self.name):
            ratio_xy = (_draft(self.image, max_shrink) if self.ours else None) or (1.0, 1.0)
            self.image.load()
            return to_rgb(self.image), ratio_xy

    def upright_rgb(self) -> Image.Image:
        """Decode the whole image as a person sees it, in an image of its own; errors as for `stored_rgb`."""
        stored, _ = self.stored_rgb()
        upright = self.orientation.upright(stored).copy()
        upright.info.clear()  # its EXIF would turn the image a second time, wherever it goes next
        return upright

    def frames(self) -> "Iterator[OpenedImage]":
        """Iterate over the frames of an animation, each as this image; read each before the next is asked for.

        Raises:
            ImageError: the file is damaged or cut short; the frames before are good.
        """
        yield self
        if self.image.format not in _ANIMATED:
            return
        for index in itertools.count(1):
            with _faults_of(self.name):
                try:
                    self.image.seek(index)
                except EOFError:
                    return
            yield self


def decode(source: ImageLike, *, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Decode an image whole, upright, in RGB.

    Args:
        source: an image in any form of `ImageLike`.
        limits: what the image may cost.

    Raises:
        FileMissingError: no file at the path.
        ImageTooLargeError: more pixels or bytes than the limits.
        ImageError: not an image of a format that is read, or damaged.
    """
    return open_image(source, limits=limits).upright_rgb()


def open_image(source: ImageLike, *, limits: Limits = DEFAULT_LIMITS) -> OpenedImage:
    """Open an image: read and check its header; arguments and errors as for `decode`."""
    if isinstance(source, (str, os.PathLike)):
        return _opened_bytes(_read_file(source, limits), str(source), limits)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        return _opened_bytes(data, f"image of {len(data)} bytes", limits)
    if isinstance(source, Image.Image):
        return _opened(source, "Pillow image", limits, ours=False)
    if isinstance(source, np.ndarray):
        return _opened(image_of_array(source), "array", limits, ours=True)
    if is_tensor(source):
        return _opened(image_of_tensor(source), "tensor", limits, ours=True)
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        name = name if isinstance(name, str) else "file object"
        return _opened_bytes(_read_object(source, name, limits), name, limits)
    raise UsageError(
        f"an image of type {type(source).__name__}; expected a path, bytes, a file opened with mode 'rb', a Pillow "
        "image, a uint8 array or a torch tensor."
    )


def _opened_bytes(data: bytes, name: str, limits: Limits) -> OpenedImage:
    if not data:
        raise ImageError(f"{name}: the file is empty (0 bytes); {_EXPECTED}.")
    if len(data) > limits.max_bytes:
        raise _too_many_bytes(name, len(data), limits)
    with _faults_of(name, limits):
        try:
            with _quiet_pillow():
                image = Image.open(io.BytesIO(data), formats=_FORMATS)
        except UnidentifiedImageError:
            raise ImageError(f"{name}: {_why_unidentified(data)}") from None
    return _opened(image, name, limits, ours=True)


def _opened(image: Image.Image, name: str, limits: Limits, *, ours: bool) -> OpenedImage:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise _too_many_pixels(f"{name}: {width} x {height} = {width * height} pixels", limits.max_pixels)
    if width * height == 0:
        raise ImageError(f"{name}: {width} x {height} pixels; expected at least one.")
    if image.format == "PNG":  # its EXIF may stand after the pixels
        with _faults_of(name):
            image.load()
    with _faults_of(name), _quiet_pillow():
        orientation = read_orientation(image)
    upright_width, upright_height = orientation.swapped(image.size)
    return OpenedImage(image, name, orientation, (upright_height, upright_width), ours)


def _draft(image: Image.Image, max_shrink: float) -> tuple[float, float] | None:
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or max_shrink < 2:
        return None
    width, height = image.size
    shrink = next(step for step in (8, 4, 2) if max_shrink >= step)
    drafted = image.draft(None, (max(1, width // shrink), max(1, height // shrink)))
    if drafted is None:
        return None
    _, (_, _, drafted_width, drafted_height) = drafted
    return drafted_width / width, drafted_height / height


def _read_file(source: str | os.PathLike[str], limits: Limits) -> bytes:
    path = Path(source)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > limits.max_bytes:
                raise _too_many_bytes(str(path), status.st_size, limits)
            return file.read() if stat.S_ISREG(status.st_mode) else file.read(limits.max_bytes + 1)
    except ImageTooLargeError:
        raise
    except MemoryError as error:
        raise ImageTooLargeError(f"{path}: not enough memory to read it. Make the image smaller first.") from error
    except FileNotFoundError:
        if isinstance(source, str) and "://" in source:
            raise FileMissingError(f"{source}: an address, not a file. Download it first.") from None
        raise FileMissingError(f"{path}: no such file. Check the path.") from None
    except IsADirectoryError:
        raise ImageError(f"{path}: a folder, not an image; {_EXPECTED}.") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except ValueError as error:
        raise FileMissingError(f"{str(path)!r}: no path ({error}). Check it.") from None


def _read_object(file: Any, name: str, limits: Limits) -> bytes:
    try:
        data = file.read(limits.max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a closed file
        raise ImageError(f"{name}: cannot be read ({error}).") from error
    if not isinstance(data, bytes):
        raise UsageError(f"{name}: a file that gives {type(data).__name__}; expected bytes. Open it with mode 'rb'.")
    return data


_warnings_lock = threading.Lock()


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    # Pillow warns of big images and of odd EXIF, both of which are judged here. catch_warnings swaps state of the
    # whole process (Python < 3.14), so two threads must not do it at once; headers are read in microseconds.
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _faults_of(name: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[None]:
    try:
        yield
    except LitevisionError:
        raise
    except Image.DecompressionBombError as error:
        own_limit = 2 * (Image.MAX_IMAGE_PIXELS or limits.max_pixels)
        raise _too_many_pixels(f"{name}: the image", min(limits.max_pixels, own_limit)) from error
    except MemoryError as error:
        raise ImageTooLargeError(f"{name}: not enough memory to decode it. Make the image smaller first.") from error
    except Exception as error:  # damage raises OSError, SyntaxError, ValueError, struct.error, EOFError, ... in Pillow
        raise ImageError(f"{name}: {_DAMAGED} ({error}). {_COPY_AGAIN}") from error


def _too_many_pixels(subject: str, max_pixels: int) -> ImageTooLargeError:
    return ImageTooLargeError(f"{subject}: more than the limit of {max_pixels} pixels. Make the image smaller first.")


def _too_many_bytes(name: str, size_bytes: int, limits: Limits) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{name}: {size_bytes} bytes, more than the limit of {limits.max_bytes}. Make the image smaller first."
    )


def _why_unidentified(data: bytes) -> str:
    if data.startswith(_MAGIC):
        return f"{_DAMAGED} (its header cannot be read). {_COPY_AGAIN}"
    for (offset, magic), foreign in _FOREIGN.items():
        if data[offset:].startswith(magic):
            return f"a {foreign} file, which is not read; {_EXPECTED}. Save it as JPEG first."
    return f"not an image that can be read; {_EXPECTED}."
