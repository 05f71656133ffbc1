"""What is done to training images with boxes; the boxes follow the pixels.

N is the number of boxes of an image. Every draw comes from torch's own generator, seeded by the caller's number.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from litevision.data import DetectionSample
from litevision.tasks.detection.recipe import BoxAugment

_GREY = 114.0  # the runtime's letterbox
_LEAST_PX = 2.0  # half a cell of the map


@dataclass(frozen=True, eq=False, slots=True)
class Example:
    """One image with its boxes.

    Attributes:
        image: ``uint8[3, H, W]``.
        boxes_xyxy: ``float32[N, 4]``, px of the image.
        labels: ``int64[N]``.
        ignored: ``bool[N]``, the boxes that are neither learned nor scored.
    """

    image: Tensor
    boxes_xyxy: Tensor
    labels: Tensor
    ignored: Tensor


def as_example(image_u8_hwc: npt.NDArray[np.uint8], sample: DetectionSample) -> Example:
    """The image of a sample at any size, with its boxes in px of that size."""
    height, width = image_u8_hwc.shape[:2]
    scale_y, scale_x = height / sample.size_hw[0], width / sample.size_hw[1]
    boxes_xyxy = torch.from_numpy(sample.boxes_xyxy) * torch.tensor([scale_x, scale_y, scale_x, scale_y])
    return Example(
        torch.from_numpy(np.ascontiguousarray(image_u8_hwc.transpose(2, 0, 1))),
        boxes_xyxy,
        torch.from_numpy(sample.labels),
        torch.from_numpy(sample.ignored),
    )


class Augmenter:
    """Makes training images of one size."""

    def __init__(self, options: BoxAugment, size_hw: tuple[int, int], crop: Literal["letterbox", "stretch"]) -> None:
        """Takes what is done, the size, and how the finished model's input is made of an image."""
        self._options = options
        self._size_hw = size_hw
        self._crop = crop
        flips = ((options.flip, v2.RandomHorizontalFlip()), (options.flip_vertical, v2.RandomVerticalFlip()))
        self._flip = v2.Compose([v2.Identity(), *(step for is_on, step in flips if is_on)])
        self._colour = (
            v2.ColorJitter(options.colour, options.colour, options.colour, options.hue)
            if options.colour or options.hue
            else v2.Identity()
        )

    def __call__(self, load: Callable[[int], Example], count: int, index: int, seed: int) -> Example:
        """Image ``index`` as training sees it; it depends on ``seed`` and the images alone.

        Args:
            load: gives an image by its index; a mosaic asks it for three more.
            count: how many images there are.
            index: the image.
            seed: of every draw.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if _uniform(0, 1) < self._options.mosaic:
                others = torch.randint(count, (3,)).tolist()
                placed = self._mosaic([load(place) for place in (index, *others)])
            else:
                placed = self._placed(load(index), self._size_hw)
            image, boxes = self._flip(tv_tensors.Image(placed.image), _tv_boxes(placed))
            return replace(placed, image=image.as_subclass(Tensor), boxes_xyxy=boxes.as_subclass(Tensor))

    def _mosaic(self, examples: list[Example]) -> Example:
        """Four images around a point near the middle."""
        height, width = self._size_hw
        middle_y, middle_x = (round(side * _uniform(0.3, 0.7)) for side in (height, width))
        image = torch.empty((3, height, width), dtype=torch.uint8)
        parts = []
        for example, (top, bottom, left, right) in zip(
            examples,
            (
                (0, middle_y, 0, middle_x),
                (0, middle_y, middle_x, width),
                (middle_y, height, 0, middle_x),
                (middle_y, height, middle_x, width),
            ),
            strict=True,
        ):
            part = self._placed(example, (bottom - top, right - left))
            image[:, top:bottom, left:right] = part.image
            moved = part.boxes_xyxy + torch.tensor([left, top, left, top], dtype=torch.float32)
            parts.append(replace(part, boxes_xyxy=moved))
        return Example(
            image,
            torch.cat([part.boxes_xyxy for part in parts]),
            torch.cat([part.labels for part in parts]),
            torch.cat([part.ignored for part in parts]),
        )

    def _placed(self, example: Example, out_hw: tuple[int, int]) -> Example:
        """The image at a drawn scale, a part of it or all of it at a drawn place in ``out_hw``."""
        options = self._options
        if options.rot90 and _uniform(0, 1) < 0.5:
            example = _rot90(example)
        height, width = example.image.shape[1:]
        ratio_y, ratio_x = self._size_hw[0] / height, self._size_hw[1] / width
        if self._crop == "letterbox":
            ratio_y = ratio_x = min(ratio_y, ratio_x)
        scale = _log_uniform(*options.scale)
        aspect = _log_uniform(1 / options.aspect_jitter, options.aspect_jitter) ** 0.5
        rows = _part(height, height * ratio_y * scale / aspect, out_hw[0])
        columns = _part(width, width * ratio_x * scale * aspect, out_hw[1])
        image, boxes = tv_tensors.Image(example.image), _tv_boxes(example)
        cut = (rows.start, columns.start, rows.length, columns.length)
        image, boxes = (F.resized_crop(one, *cut, [rows.seen, columns.seen], antialias=True) for one in (image, boxes))
        visible = _clipped(boxes)
        before, after = _areas(boxes), _areas(visible)
        edges = [columns.before, rows.before, columns.after(out_hw[1]), rows.after(out_hw[0])]
        # Colours change before the grey is laid around, which is always the same in the runtime.
        image, visible = F.pad(self._colour(image), edges, fill=_GREY), F.pad(visible, edges)
        sides = (visible[:, 2:] - visible[:, :2]).as_subclass(Tensor)
        small = (after < options.min_visible * before) | (sides.amin(dim=1) < _LEAST_PX)
        kept = after > 0
        return Example(
            image.as_subclass(Tensor),
            visible.as_subclass(Tensor)[kept],
            example.labels[kept],
            (example.ignored | small)[kept],
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """One axis: ``length`` px from ``start`` on become ``seen`` px, behind ``before`` px of grey."""

    start: int
    length: int
    seen: int
    before: int

    def after(self, out: int) -> int:
        """The px of grey behind."""
        return out - self.before - self.seen


def _part(length: int, resized: float, out: int) -> _Part:
    """What of ``length`` px is seen in ``out`` px where all of them would make ``resized``, at a drawn place."""
    if resized <= out:
        seen = max(1, round(resized))
        return _Part(0, length, seen, int(torch.randint(out - seen + 1, ())))
    cut = max(1, min(length, round(out * length / resized)))
    return _Part(int(torch.randint(length - cut + 1, ())), cut, out, 0)


def _rot90(example: Example) -> Example:
    """The image turned by 90 degrees against the clock."""
    width = example.image.shape[2]
    x1, y1, x2, y2 = example.boxes_xyxy.unbind(dim=1)
    boxes_xyxy = torch.stack([y1, width - x2, y2, width - x1], dim=1)
    return replace(example, image=example.image.rot90(1, (1, 2)), boxes_xyxy=boxes_xyxy)


def _tv_boxes(example: Example) -> tv_tensors.BoundingBoxes:
    # Not clamped to the canvas on the way: what a cut leaves of a box is measured after it.
    return tv_tensors.BoundingBoxes(
        example.boxes_xyxy, format="XYXY", canvas_size=tuple(example.image.shape[1:]), clamping_mode=None
    )


def _clipped(boxes: tv_tensors.BoundingBoxes) -> tv_tensors.BoundingBoxes:
    """The boxes cut at the edges of the image, without area where they lie outside."""
    return F.clamp_bounding_boxes(boxes, clamping_mode="hard")


def _areas(boxes: tv_tensors.BoundingBoxes) -> Tensor:
    x1, y1, x2, y2 = boxes.as_subclass(Tensor).unbind(dim=1)
    areas: Tensor = (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)
    return areas


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def _log_uniform(low: float, high: float) -> float:
    """Twice as large is as likely as half as large."""
    return float(low * (high / low) ** _uniform(0, 1))
