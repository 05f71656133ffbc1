"""Decoding of images: many formats by content, upright, in sRGB, within limits."""

import itertools
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# The five common readers: what is registered, Pillow need not look for. `formats` imports others where a file needs it.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from litevision.errors import ImageError, ImageTooLargeError, UsageError
from litevision.image import budget
from litevision.image.faults import faults_of, quiet_pillow, too_many_bytes, too_many_pixels
from litevision.image.formats import EXPECTED, ImageFormat, format_of, identify
from litevision.image.pixels import UPRIGHT, Orientation, RgbPixels, read_orientation
from litevision.image.reading import JPEGS, decoded_bytes, draft, image_of, is_reduced
from litevision.image.repair import ended_jpeg, is_too_short
from litevision.image.sources import ImageLike, image_of_array, image_of_tensor, is_tensor, read_file, read_object

_TURNED_BY_PILLOW = ("TIFF",)  # when it decodes them
_PIXEL_BYTES = 4  # of RGB
_MOST_PIXELS_IN_PYTHON = 2**20  # Pillow decodes some kinds in Python, at some microseconds a pixel


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on an image: pixels as its header states them, bytes of its file, and bytes of memory to decode it."""

    max_pixels: int = 178_956_970  # twice Pillow's MAX_IMAGE_PIXELS, where Pillow itself refuses
    max_bytes: int = 256 * 1024 * 1024
    max_decoded_bytes: int = 1536 * 1024 * 1024


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
        limits: that it was opened within.
        data: the file, where there is one.
    """

    image: Image.Image
    name: str
    orientation: Orientation
    upright_hw: tuple[int, int]
    ours: bool
    limits: Limits = DEFAULT_LIMITS
    data: bytes = field(default=b"", repr=False)

    @contextmanager
    def decoding(
        self, *, max_shrink: float = 1.0, further_bytes: int = 0
    ) -> Iterator[tuple[RgbPixels, tuple[float, float]]]:
        """Decode the pixels in the stored frame, for the length of a with block, within the process's `budget`.

        A JPEG opened from a file is decoded at 1/2, 1/4 or 1/8 of its size where that is at most ``max_shrink``:
        libjpeg's DCT scaling then skips most of the inverse transform.

        Args:
            max_shrink: how much smaller it may be.
            further_bytes: what the block itself takes beside the pixels.

        Yields:
            The pixels, and their number per pixel of the file, in x and in y.

        Raises:
            ImageTooLargeError: it takes more memory than the limit.
            ImageError: the file is damaged or cut short.
        """
        format_ = self._format
        with faults_of(self.name, format_.name if format_ else None):
            ratio_xy = (draft(self.image, max_shrink) if self.ours else None) or (1.0, 1.0)
            needed_bytes = further_bytes
            if self.ours:
                height, width = self.upright_hw
                needed_bytes += decoded_bytes(self.image, self.data, format_, height * width)
            if needed_bytes > self.limits.max_decoded_bytes:
                width, height = self.image.size
                raise ImageTooLargeError(
                    f"{self.name}: {width} x {height} pixels need {needed_bytes / 1e6:,.0f} MB of memory"
                    f"{f' as {format_.name}' if format_ else ''}, more than the limit of "
                    f"{self.limits.max_decoded_bytes / 1e6:,.0f} MB. Make the image smaller first."
                )
            with budget.PIXELS.reserve(needed_bytes):
                image = self._another(max_shrink) if needed_bytes > budget.SMALL_BYTES else self.image
                try:
                    yield RgbPixels(self._loaded(image)), ratio_xy
                finally:
                    if image is not self.image:
                        image.close()

    @contextmanager
    def upright(self) -> Iterator[Image.Image]:
        """Decode the whole image as a person sees it, for the length of a with block; errors as for `decoding`."""
        width, height = self.image.size
        format_ = self._format
        is_shared = self.ours and (format_ is None or format_.frames is None)  # by this image and the file's
        copies = (self.orientation.method is not None) + (self.image.mode != "RGB" or not is_shared)
        with self.decoding(further_bytes=_PIXEL_BYTES * width * height * copies) as (pixels, _):
            stored = pixels.whole()
            upright = self.orientation.upright(stored)
            if upright is stored and isinstance(upright, ImageFile.ImageFile):
                upright = upright._new(upright.im) if is_shared else upright.copy()
            elif upright is self.image:
                upright = upright.copy()
            upright.info = {}  # its EXIF would turn the image a second time, wherever it goes next
            del stored, pixels
            yield upright
            del upright

    def upright_rgb(self) -> Image.Image:
        """Decode the whole image as a person sees it, in an image of its own; errors as for `decoding`."""
        with self.upright() as upright:
            return upright

    def frames(self) -> "Iterator[OpenedImage]":
        """Iterate over the frames of an animation or the pages of a file; read each before the next is asked for.

        Reduced copies of a page, as pyramids and previews in TIFF files, are no pages.

        Raises:
            ImageError: the file is damaged or cut short; the frames before are good.
        """
        yield self
        if self._format is None or self._format.frames is None:
            return
        image: Any = self.image
        for index in itertools.count(image.tell() + 1):
            with faults_of(self.name, self._format.name), quiet_pillow():
                try:
                    image.seek(index)
                except EOFError:
                    return
                if is_reduced(image):
                    continue
                width, height = image.size
                if width * height > self.limits.max_pixels:
                    raise too_many_pixels(f"{self.name}: {width} x {height} pixels", self.limits.max_pixels)
            if self._format.frames == "pages":  # each has a size and an orientation of its own
                yield _as_opened(image, self.name, self.limits, self.ours, self.data)
            else:
                yield self

    @property
    def _is_animation(self) -> bool:
        return self._format is not None and self._format.frames == "animation"

    @property
    def _format(self) -> ImageFormat | None:
        return format_of(self.image)

    def _another(self, max_shrink: float) -> Image.Image:
        """The same image, opened anew: its pixels go with it, however long this one or an error is kept."""
        if not (self.ours and self.data) or (self._is_animation and self.image.tell() > 0):
            return self.image
        with quiet_pillow():
            image: Any = image_of(self.data, identify(self.data))
            draft(image, max_shrink)
            if image.tell() != self.image.tell():
                image.seek(self.image.tell())
        return image  # type: ignore[no-any-return]

    def _loaded(self, image: Image.Image) -> Image.Image:
        """The image with its pixels; a JPEG that lacks its end marker alone is given one."""
        warns = math.prod(image.size) > (Image.MAX_IMAGE_PIXELS or math.inf)  # some plugins count again as they load
        try:
            with quiet_pillow() if warns else nullcontext():
                image.load()
        except OSError as error:
            if image.format not in JPEGS or "truncated" not in str(error) or not self.data:
                raise
            ended = ended_jpeg(self.data)
            if ended is None:
                raise
            size = image.size
            with quiet_pillow():
                image = identify(ended).open(ended)
                image.draft(None, size)
            image.load()
        return image


def decode(source: ImageLike, *, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Decode an image whole, upright, in RGB.

    Args:
        source: an image in any form of `ImageLike`.
        limits: what the image may cost.

    Raises:
        FileMissingError: no file at the path.
        ImageTooLargeError: more pixels, bytes or memory than the limits.
        ImageError: not an image of a format that is read, or damaged.
    """
    with opening(source, limits=limits) as image:
        return image.upright_rgb()


@contextmanager
def opening(source: ImageLike | OpenedImage, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[OpenedImage]:
    """Open an image for the length of a with block, its file within the process's `budget`; as `open_image`.

    One that is open already is given as it is.
    """
    if isinstance(source, OpenedImage):
        yield source
        return
    size_bytes = 0
    if isinstance(source, (str, os.PathLike)):
        with suppress(OSError, ValueError):  # whoever opens it says what is wrong
            size_bytes = min(os.stat(source).st_size, limits.max_bytes)  # noqa: PTH116  # a Path costs more
    with budget.FILE_BYTES.reserve(size_bytes):
        yield open_image(source, limits=limits)


def open_image(source: ImageLike, *, limits: Limits = DEFAULT_LIMITS) -> OpenedImage:
    """Open an image: read and check its header; arguments and errors as for `decode`."""
    if isinstance(source, (str, os.PathLike)):
        return _opened_bytes(read_file(source, limits.max_bytes), str(source), limits)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        return _opened_bytes(data, f"image of {len(data)} bytes", limits)
    if isinstance(source, Image.Image):
        return _opened_callers(source, limits)
    if isinstance(source, np.ndarray):
        return _opened(image_of_array(source), "array", limits, ours=True)
    if is_tensor(source):
        return _opened(image_of_tensor(source), "tensor", limits, ours=True)
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        name = name if isinstance(name, str) else "file object"
        return _opened_bytes(read_object(source, name, limits.max_bytes), name, limits)
    raise UsageError(
        f"an image of type {type(source).__name__}; expected a path, bytes, a file opened with mode 'rb', a Pillow "
        "image, a uint8 array or a torch tensor."
    )


def _opened_bytes(data: bytes, name: str, limits: Limits) -> OpenedImage:
    if not data:
        raise ImageError(f"{name}: the file is empty (0 bytes); {EXPECTED}.")
    if len(data) > limits.max_bytes:
        raise too_many_bytes(name, len(data), limits.max_bytes)
    try:
        format_ = identify(data)
        with faults_of("", format_.name), quiet_pillow():
            image = image_of(data, format_)
    except ImageError as error:
        raise type(error)(f"{name}: {str(error).removeprefix(': ')}") from error.__cause__
    return _opened(image, name, limits, ours=True, data=data)


def _opened_callers(image: Image.Image, limits: Limits) -> OpenedImage:
    if image.format == "PNG":  # its EXIF may stand after the pixels
        _check_pixels(image, "Pillow image", limits)
        with faults_of("Pillow image"):
            image.load()
    return _opened(image, "Pillow image", limits, ours=False)


def _opened(image: Image.Image, name: str, limits: Limits, *, ours: bool, data: bytes = b"") -> OpenedImage:
    _check_pixels(image, name, limits)
    width, height = image.size
    codec = image.tile[0][0] if isinstance(image, ImageFile.ImageFile) and image.tile else ""
    if codec in Image.DECODERS and width * height > _MOST_PIXELS_IN_PYTHON:
        raise ImageTooLargeError(
            f"{name}: {width} x {height} = {width * height} pixels: more than the limit of {_MOST_PIXELS_IN_PYTHON} "
            f"pixels for this kind of {image.format}, which is decoded slowly. Convert it to PNG first."
        )
    with faults_of(name), quiet_pillow():
        if image.format in JPEGS and data and is_too_short(data, image.size):
            raise OSError(f"{len(data)} bytes cannot hold {width} x {height} pixels")  # nor is memory taken for them
        return _as_opened(image, name, limits, ours, data)


def _check_pixels(image: Image.Image, name: str, limits: Limits) -> None:
    width, height = image.size
    max_pixels = min(limits.max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or limits.max_pixels))
    if width * height > max_pixels:
        raise too_many_pixels(f"{name}: {width} x {height} = {width * height} pixels", max_pixels)
    if width * height == 0:
        raise ImageError(f"{name}: {width} x {height} pixels; expected at least one.")


def _as_opened(image: Image.Image, name: str, limits: Limits, ours: bool, data: bytes) -> OpenedImage:
    orientation = UPRIGHT if image.format in _TURNED_BY_PILLOW else read_orientation(image)
    upright_width, upright_height = orientation.swapped(image.size)
    return OpenedImage(image, name, orientation, (upright_height, upright_width), ours, limits, data)
