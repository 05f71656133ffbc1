"""Preprocessing of images to network input: resize, crop and letterbox, alike in training and inference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from litevision.errors import UnknownNameError, UsageError
from litevision.image.decode import DEFAULT_LIMITS, Limits, OpenedImage, opening
from litevision.image.pixels import STRIP_PIXELS, BoxXyxy, RgbPixels
from litevision.image.sources import ImageLike

Crop = Literal["center", "stretch", "letterbox"]
Interpolation = Literal["bilinear", "bicubic"]
Align = Literal["center", "top-left"]

_LETTERBOX_GREY = 114
# The sizes come with bundles of strangers; a pixel of the input costs a network a thousand times what it costs here.
_MOST_SIZE_PX, _MOST_RESIZE_PX = 8192, 65536
# A reduced-size JPEG must keep this many pixels to a pixel of the output. Measured on 19 images of 2 to 12 megapixels:
# at 2 the output differs by 0.2 to 0.3 of 255 on average (edges by 11) and no best class changes; at 1.4 by up to 0.8.
_MIN_PIXELS_PER_PIXEL = 2
_PIXEL_BYTES = 4  # of RGB, as Pillow keeps it
_MAX_WHOLE_PIXELS = 2**20  # 16 times a usual input, and 3 MB


@dataclass(frozen=True, slots=True)
class LetterboxTransform:
    """Geometry of one preprocessing: a part of the upright image, scaled to a part of the network's input.

    Attributes:
        source_xyxy: the part of the upright image; (x1, y1, x2, y2) in px, continuous edges.
        target_xyxy: where it lands in the input, px.

    Example:
        >>> import numpy as np
        >>> transform = LetterboxTransform((0, 0, 640, 480), (0, 64, 512, 448))
        >>> transform.apply_boxes(np.array([[10, 20, 30, 40]], np.float32)).tolist()
        [[8.0, 80.0, 24.0, 96.0]]
    """

    source_xyxy: BoxXyxy
    target_xyxy: tuple[int, int, int, int]

    def apply_boxes(self, boxes_xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map boxes of the image to px of the input, ``float32[N, 4]``; they may reach out of it."""
        return _scale_boxes(boxes_xyxy, self.source_xyxy, self.target_xyxy)

    def invert_boxes(self, boxes_xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map boxes of the input to px of the image, ``float32[N, 4]``; they may reach out of it."""
        return _scale_boxes(boxes_xyxy, self.target_xyxy, self.source_xyxy)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Preprocessing: resize and crop any image to ``uint8[H, W, 3]``, RGB.

    Attributes:
        size_hw: height and width of the output, px.
        resize_px: what the shorter side is resized to before a "center" crop; the other crops do not read it.
        crop: "center" (resize the shorter side, cut out the middle, pad with black where the crop is larger),
            "stretch" (resize straight to ``size_hw``) or "letterbox" (fit inside, pad with grey).
        interpolation: the filter, always with antialiasing.
        pad_value: of a "letterbox", the grey of the padding, 0 to 255; None for 114.
        align: of a "letterbox", where the image lies, with the padding around it or right and below; None for "center".

    Source: "center" gives the pixels of torchvision's ``Resize(resize_px)`` and ``CenterCrop(size_hw)`` on a Pillow
    image, up to 1 of 255. Differs: where Pillow 13 resizes columns first (images over twice as tall as wide).

    Example:
        >>> import numpy as np
        >>> preprocess = Preprocess((224, 224), 256, "center", "bilinear")
        >>> preprocess(np.zeros((480, 640, 3), np.uint8)).shape
        (224, 224, 3)
    """

    size_hw: tuple[int, int]
    resize_px: int
    crop: Crop = "center"
    interpolation: Interpolation = "bilinear"
    # A bundle without the following has none to write.
    pad_value: int | None = field(default=None, metadata={"optional": True})
    align: Align | None = field(default=None, metadata={"optional": True})

    def __post_init__(self) -> None:
        if not 1 <= min(self.size_hw) <= max(self.size_hw) <= _MOST_SIZE_PX:
            raise UsageError(f"size_hw is {self.size_hw}; expected a height and a width of 1 to {_MOST_SIZE_PX} px.")
        if not 1 <= self.resize_px <= _MOST_RESIZE_PX:
            raise UsageError(f"resize_px is {str(self.resize_px)[:20]}; expected 1 to {_MOST_RESIZE_PX} px.")
        if self.crop not in get_args(Crop):
            raise UnknownNameError.of("crop", self.crop, get_args(Crop))
        if self.interpolation not in get_args(Interpolation):
            raise UnknownNameError.of("interpolation", self.interpolation, get_args(Interpolation))
        if self.pad_value is not None and not 0 <= self.pad_value <= 255:
            raise UsageError(f"pad_value is {str(self.pad_value)[:20]}; expected a grey of 0 to 255.")
        if self.align is not None and self.align not in get_args(Align):
            raise UnknownNameError.of("align", self.align, get_args(Align))

    @property
    def padding(self) -> int:
        """The grey of what the image does not cover."""
        if self.crop != "letterbox":
            return 0
        return _LETTERBOX_GREY if self.pad_value is None else self.pad_value

    def with_resize(
        self,
        crop: Crop | None = None,
        crop_fraction: float | None = None,
        interpolation: Interpolation | None = None,
    ) -> "Preprocess":
        """Return this preprocessing with another way in which an image becomes the input; None leaves what there is.

        Args:
            crop: as the attribute.
            crop_fraction: the part of the resized shorter side that "center" keeps, such as 0.875 (224 of 256).
            interpolation: as the attribute.

        Raises:
            UsageError: a part beyond 0 to 1, or one for another crop.
        """
        resize_px = self.resize_px
        if crop_fraction is not None:
            if not 0 < crop_fraction <= 1:
                raise UsageError(f"crop_fraction is a part of the image above 0 and up to 1, got {crop_fraction:g}")
            if (crop or self.crop) != "center":
                raise UsageError(f"crop_fraction goes with crop 'center', got {crop or self.crop!r}")
            resize_px = round(min(self.size_hw) / crop_fraction)
        return replace(
            self, resize_px=resize_px, crop=crop or self.crop, interpolation=interpolation or self.interpolation
        )

    def __call__(self, source: ImageLike | OpenedImage, *, limits: Limits = DEFAULT_LIMITS) -> npt.NDArray[np.uint8]:
        """Make the network input ``uint8[H, W, 3]``; arguments and errors as for `litevision.image.decode`."""
        with opening(source, limits=limits) as image:
            place = self.geometry(image.upright_hw)
            x1, y1, x2, y2 = place.target_xyxy
            image_u8_hwc = np.full((*self.size_hw, 3), self.padding, np.uint8)
            image_u8_hwc[y1:y2, x1:x2] = np.asarray(self._resized(image, place.source_xyxy, (x2 - x1, y2 - y1)))
            return image_u8_hwc

    def batch(self, sources: Sequence[ImageLike], *, limits: Limits = DEFAULT_LIMITS) -> npt.NDArray[np.uint8]:
        """Make the network input of several images, ``uint8[N, H, W, 3]``."""
        batch_u8_nhwc = np.empty((len(sources), *self.size_hw, 3), np.uint8)
        for image_u8_hwc, source in zip(batch_u8_nhwc, sources, strict=True):
            image_u8_hwc[:] = self(source, limits=limits)
        return batch_u8_nhwc

    def geometry(self, image_hw: tuple[int, int]) -> LetterboxTransform:
        """Compute which part of an upright image of ``image_hw`` is used, and where it lands in the input."""
        height, width = image_hw
        out_height, out_width = self.size_hw
        if self.crop == "stretch":
            resized_hw = self.size_hw
        elif self.crop == "letterbox":
            scale = min(out_height / height, out_width / width)
            resized_hw = max(1, round(height * scale)), max(1, round(width * scale))
        else:
            # torchvision's Resize truncates the long side: int(256 * 500 / 375) = 341.
            short, long = min(image_hw), max(image_hw)
            resized_long = int(self.resize_px * long / short)
            resized_hw = (self.resize_px, resized_long) if height == short else (resized_long, self.resize_px)
        is_first = self.crop == "letterbox" and self.align == "top-left"
        top, bottom, y1, y2 = _place_axis(height, resized_hw[0], out_height, is_first=is_first)
        left, right, x1, x2 = _place_axis(width, resized_hw[1], out_width, is_first=is_first)
        return LetterboxTransform((left, top, right, bottom), (x1, y1, x2, y2))

    def _resized(self, image: OpenedImage, source_xyxy: BoxXyxy, target_wh: tuple[int, int]) -> Image.Image:
        """Resize the part of the image inside ``source_xyxy``; only these pixels are computed."""
        x1, y1, x2, y2 = source_xyxy
        pixels_per_pixel = min((x2 - x1) / target_wh[0], (y2 - y1) / target_wh[1])
        height, width = image.upright_hw
        box = image.orientation.stored_box(source_xyxy, (width, height))
        halfway_bytes = _PIXEL_BYTES * min(  # between the passes: all rows or columns of the part, one way resized
            target_wh[0] * (int(y2 - y1) + 2), image.image.width * image.image.height
        )
        with image.decoding(max_shrink=pixels_per_pixel / _MIN_PIXELS_PER_PIXEL, further_bytes=halfway_bytes) as (
            pixels,
            ratio_xy,
        ):
            small = _resize_part(
                pixels,
                _scaled_into(box, ratio_xy, pixels.size),
                image.orientation.swapped(target_wh),
                Image.Resampling[self.interpolation.upper()],
                rows_first=not image.orientation.swap,
            )
        return image.orientation.upright(small)


def _scale_boxes(boxes_xyxy: npt.NDArray[np.float32], from_xyxy: BoxXyxy, to_xyxy: BoxXyxy) -> npt.NDArray[np.float32]:
    source, target = np.array(from_xyxy), np.array(to_xyxy)  # float64: a large image's edges keep their digits
    scale = np.tile((target[2:] - target[:2]) / (source[2:] - source[:2]), 2)
    scaled: npt.NDArray[np.float32] = ((boxes_xyxy - np.tile(source[:2], 2)) * scale + np.tile(target[:2], 2)).astype(
        np.float32
    )
    return scaled


def _place_axis(length: int, resized: int, out: int, *, is_first: bool) -> tuple[float, float, int, int]:
    """Place one axis of ``length`` px, resized and cut or padded to ``out``; returns source from, to, target from, to.

    ``is_first`` pads behind alone.

    Source: ``torchvision.transforms.functional.center_crop``: the padding rounds down in front, the crop rounds half
    to even.
    """
    if resized <= out:
        before = 0 if is_first else (out - resized) // 2
        return 0.0, float(length), before, before + resized
    start = round((resized - out) / 2)
    return start * length / resized, (start + out) * length / resized, 0, out


def _scaled_into(box_xyxy: BoxXyxy, ratio_xy: tuple[float, float], size_wh: tuple[int, int]) -> BoxXyxy:
    # Rounding may leave an edge 1e-13 px outside, which Pillow refuses.
    x1, y1, x2, y2 = box_xyxy
    ratio_x, ratio_y = ratio_xy
    width, height = size_wh
    return max(0.0, x1 * ratio_x), max(0.0, y1 * ratio_y), min(width, x2 * ratio_x), min(height, y2 * ratio_y)


def _resize_part(
    pixels: RgbPixels, box_xyxy: BoxXyxy, size_wh: tuple[int, int], filter_: Image.Resampling, *, rows_first: bool
) -> Image.Image:
    """Resize a part of an image to the very pixels that resizing the whole and cutting the part out would give.

    Pixels around the part take part at its edges.

    Args:
        pixels: of the whole image.
        box_xyxy: px, continuous edges.
        size_wh: px.
        filter_: bilinear or bicubic; antialiased.
        rows_first: which of the two passes comes first.
    """
    x1, y1, x2, y2 = box_xyxy
    width, height = size_wh
    scale_x, scale_y = (x2 - x1) / width, (y2 - y1) / height
    whole_wh = round(pixels.size[0] / scale_x), round(pixels.size[1] / scale_y)
    if max(scale_x, scale_y) >= 1.5 or whole_wh[0] * whole_wh[1] > _MAX_WHOLE_PIXELS:
        return _resize_box(pixels, box_xyxy, size_wh, filter_, rows_first=rows_first)
    # Pillow keeps box edges in float32. In noise that hardly shrinks or grows, single pixels then differ by 2 of 255;
    # from 1.5 on by 1 at most. An image that small is resized whole at little cost.
    whole = _resize_box(pixels, (0, 0, *pixels.size), whole_wh, filter_, rows_first=rows_first)
    left, top = round(x1 / scale_x), round(y1 / scale_y)
    return whole.crop((left, top, left + width, top + height))


def _resize_box(
    pixels: RgbPixels, box_xyxy: BoxXyxy, size_wh: tuple[int, int], filter_: Image.Resampling, *, rows_first: bool
) -> Image.Image:
    """Compute ``image.resize(size_wh, filter_, box_xyxy)`` with the order of its two passes fixed.

    The order shows: each pass rounds and clips to 8 bits, and bicubic overshoots. Pillow up to 12 resized every row
    first, which is what published scores were measured with; Pillow 13 chooses by size.
    """
    x1, y1, x2, y2 = box_xyxy
    width, height = size_wh
    whole_width, whole_height = pixels.size
    reach_x, reach_y = (2 * max(1.0, extent / out) + 1 for extent, out in ((x2 - x1, width), (y2 - y1, height)))
    if rows_first:
        top, bottom = max(0, int(y1 - reach_y)), min(whole_height, int(y2 + reach_y) + 1)
        half = _resize_rows(pixels, (x1, top, x2, bottom), width, filter_)
        return half.resize(size_wh, filter_, (0, y1 - top, width, y2 - top))
    left, right = max(0, int(x1 - reach_x)), min(whole_width, int(x2 + reach_x) + 1)
    half = _resize_columns(pixels, (left, y1, right, y2), height, filter_)
    return half.resize(size_wh, filter_, (x1 - left, 0, x2 - left, height))


def _resize_rows(
    pixels: RgbPixels, box: tuple[float, int, float, int], width: int, filter_: Image.Resampling
) -> Image.Image:
    """Resize each row by itself; some rows at a time where the whole would be held twice."""
    x1, top, x2, bottom = box
    if not pixels.is_large:
        return pixels.whole().resize((width, bottom - top), filter_, box)
    half = Image.new("RGB", (width, bottom - top))
    for start, end in _strips(top, bottom, pixels.size[0]):
        strip = pixels.part((0, start, pixels.size[0], end))
        half.paste(strip.resize((width, end - start), filter_, (x1, 0, x2, end - start)), (0, start - top))
    return half


def _resize_columns(
    pixels: RgbPixels, box: tuple[int, float, int, float], height: int, filter_: Image.Resampling
) -> Image.Image:
    """Resize each column by itself; some columns at a time where the whole would be held twice."""
    left, y1, right, y2 = box
    if not pixels.is_large:
        return pixels.whole().resize((right - left, height), filter_, box)
    half = Image.new("RGB", (right - left, height))
    for start, end in _strips(left, right, pixels.size[1]):
        strip = pixels.part((start, 0, end, pixels.size[1]))
        half.paste(strip.resize((end - start, height), filter_, (0, y1, end - start, y2)), (start - left, 0))
    return half


def _strips(start: int, end: int, across: int) -> Iterator[tuple[int, int]]:
    """Cut a range of rows, or columns, of ``across`` px each into parts of about `STRIP_PIXELS`."""
    step = max(1, STRIP_PIXELS // across)
    for first in range(start, end, step):
        yield first, min(end, first + step)
