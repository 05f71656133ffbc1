"""Images to objects with boxes; V views of an image, K boxes of a view."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from litevision.detections import box_area, clip_boxes
from litevision.errors import BundleError, UsageError
from litevision.image import ImageLike, LetterboxTransform, Preprocess
from litevision.image.decode import OpenedImage, open_image
from litevision.image.orientation import BoxXyxy
from litevision.runtime.bundle import Bundle
from litevision.runtime.classifier import Prediction
from litevision.runtime.engines import TensorInfo
from litevision.runtime.tiles import MOST_TILES, merged, tile_boxes, touches_tile_edge

DEFAULT_SCORE_THRESHOLD = 0.3
"""The least score of a box where neither the caller nor the bundle names one."""

_OUTPUTS = (
    TensorInfo("boxes", "float", (None, None, 4)),
    TensorInfo("scores", "float", (None, None)),
    TensorInfo("classes", "int64", (None, None)),
)


@dataclass(frozen=True, slots=True)
class Detection(Prediction):
    """One object: its class, and the box around it.

    Attributes:
        box_xyxy: (x1, y1, x2, y2) in px of the upright image, continuous edges.
    """

    box_xyxy: BoxXyxy


@dataclass(frozen=True, eq=False, slots=True)
class Views:
    """An image as the network sees it: whole, and then in tiles where there are any.

    Attributes:
        images_u8_nhwc: ``uint8[V, H, W, 3]``.
        placements: which part of the upright image each shows, and where.
        image_hw: of the upright image.
        image: the upright image itself, where it was to be kept.
    """

    images_u8_nhwc: npt.NDArray[np.uint8]
    placements: tuple[LetterboxTransform, ...]
    image_hw: tuple[int, int]
    image: Image.Image | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Boxes:
    """``float32[M, 4]``, ``float32[M]`` and ``int64[M]``, the surest first."""

    boxes_xyxy: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]

    def take(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "_Boxes":
        return _Boxes(self.boxes_xyxy[which], self.scores[which], self.classes[which])


class Detector:
    """Finds objects in images; may be used from several threads at once.

    Attributes:
        bundle: the model.
        labels: the class names, in the order of the graph's classes.
        preprocess: what makes the model's input of an image.
        thresholds: ``float32[classes]``, from which score on a box of each class counts where the caller names none:
            the bundle's, or 0.3.
    """

    def __init__(self, bundle: Bundle) -> None:
        metadata = bundle.metadata
        metadata.check_task("detection", str(bundle.path))
        self.bundle = bundle
        self.labels: tuple[str, ...] = metadata.labels
        self.preprocess: Preprocess = metadata.preprocess
        self.thresholds = np.array(
            metadata.score_thresholds or [DEFAULT_SCORE_THRESHOLD] * len(self.labels), np.float32
        )
        _check(bundle)

    def detect(self, image: ImageLike, score: float | None = None, *, tiles: int = 1) -> list[Detection]:
        """The objects in one image, the surest first.

        Args:
            image: a path, the bytes of a file, a Pillow image, or a uint8 array of H x W x 3, RGB.
            score: the least score, in [0, 1]; None for the thresholds of the bundle's classes, or 0.3 where it has
                none.
            tiles: for objects that are small in a large image: also look at overlapping tiles, so many of them on
                the longer side. Of boxes that overlap (IoU 0.5) in two views, the surer one is given.

        Raises:
            FileMissingError: no file at the path.
            ImageError: no readable image.
            UsageError: ``score`` or ``tiles`` out of their range.
        """
        return self.find([self.views(image, tiles)], score)[0]

    def views(self, source: ImageLike | OpenedImage, tiles: int = 1, *, keep: bool = False) -> Views:
        """The image as `find` takes it.

        Args:
            source: the image.
            tiles: as for `detect`.
            keep: the upright image too.

        Raises:
            LitevisionError: as for `detect`.
        """
        if not 1 <= tiles <= MOST_TILES:
            raise UsageError(f"tiles {tiles}; expected 1 to {MOST_TILES} on the longer side.")
        image = source if isinstance(source, OpenedImage) else open_image(source)
        image_hw = image.upright_hw
        if tiles == 1 and not keep:
            return Views(self.preprocess(image)[None], (self.preprocess.geometry(image_hw),), image_hw)
        upright = image.upright_rgb()
        images, placements = [self.preprocess(upright)], [self.preprocess.geometry(image_hw)]
        for box in tile_boxes(image_hw, self.preprocess, tiles) if tiles > 1 else ():
            images.append(self.preprocess(upright.crop(box)))
            placements.append(_moved(self.preprocess.geometry((box[3] - box[1], box[2] - box[0])), box[:2]))
        return Views(np.stack(images), tuple(placements), image_hw, upright if keep else None)

    def find(self, inputs: Sequence[Views], score: float | None = None) -> list[list[Detection]]:
        """The objects in each of ``inputs``, the surest first; the network sees as many views at once.

        Args:
            inputs: what `views` made; at least one.
            score: as for `detect`.

        Raises:
            UsageError: ``score`` out of its range.
            BundleError: the model gives infinities or NaN, or classes that have no label.
        """
        if score is not None and not 0 <= score <= 1:
            raise UsageError(f"score {score}; expected 0 to 1.")
        thresholds = self.thresholds if score is None else np.full_like(self.thresholds, score)
        images = [image[None] for it in inputs for image in it.images_u8_nhwc]
        found: list[_Boxes] = []
        for start in range(0, len(images), len(inputs)):
            found += self._run(np.concatenate(images[start : start + len(inputs)]))
        views = iter(found)
        return [self._named(self._of_image(it, [next(views) for _ in it.placements], thresholds)) for it in inputs]

    def _run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> list[_Boxes]:
        """The boxes of each image of a batch, in px of the model's input."""
        outputs = self.bundle.run(batch_u8_nhwc)
        arrays = [outputs[info.name] for info in _OUTPUTS]
        if not all(np.isfinite(array).all() for array in arrays[:2]):
            raise BundleError(f"{self.bundle.path}: gives boxes that are no numbers. Its weights are broken.")
        classes = arrays[2]
        if classes.size and not 0 <= classes.min() <= classes.max() < len(self.labels):
            raise BundleError(
                f"{self.bundle.path}: gives classes from {classes.min()} to {classes.max()} for {len(self.labels)} "
                "labels. Make the bundle again with 'litevision export'."
            )
        return [_Boxes(*each) for each in zip(*arrays, strict=True)]

    def _of_image(self, image: Views, found: Sequence[_Boxes], thresholds: npt.NDArray[np.float32]) -> _Boxes:
        """What is sure enough, in px of the image, the surest first."""
        height, width = image.image_hw
        parts = []
        for it, placement in zip(found, image.placements, strict=True):
            it = it.take(it.scores >= thresholds[it.classes])
            moved = replace(it, boxes_xyxy=clip_boxes(placement.invert_boxes(it.boxes_xyxy), (height, width)))
            seen = box_area(moved.boxes_xyxy) > 0  # not in the padding alone
            if len(found) > 1:
                x1, y1, x2, y2 = (round(edge) for edge in placement.source_xyxy)
                seen &= ~touches_tile_edge(moved.boxes_xyxy, (x1, y1, x2, y2), (height, width), self.preprocess.size_hw)
            parts.append(moved.take(seen))
        joined = _Boxes(
            np.concatenate([it.boxes_xyxy for it in parts]),
            np.concatenate([it.scores for it in parts]),
            np.concatenate([it.classes for it in parts]),
        )
        order = np.argsort(-joined.scores, kind="stable")
        joined = joined.take(order)
        if len(parts) == 1:
            return joined
        views = np.repeat(np.arange(len(parts)), [len(it.scores) for it in parts])[order]
        return joined.take(merged(joined.boxes_xyxy, joined.classes, views))

    def _named(self, found: _Boxes) -> list[Detection]:
        rows = zip(found.boxes_xyxy.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
        return [
            Detection(self.labels[index], score, index, (x1, y1, x2, y2)) for (x1, y1, x2, y2), score, index in rows
        ]


class Finding:
    """What the many images of a `litevision.runtime.pipeline` are to be asked; arguments as for `Detector.detect`."""

    def __init__(self, detector: Detector, score: float | None = None, tiles: int = 1) -> None:
        self._detector = detector
        self._score = score
        self._tiles = tiles

    def prepare(self, source: ImageLike | OpenedImage) -> Views:
        return self._detector.views(source, self._tiles)

    def answer(self, inputs: Sequence[Views]) -> list[list[Detection]]:
        return self._detector.find(inputs, self._score)


def _moved(placement: LetterboxTransform, by_xy: tuple[int, ...]) -> LetterboxTransform:
    x1, y1, x2, y2 = placement.source_xyxy
    left, top = by_xy
    return replace(placement, source_xyxy=(x1 + left, y1 + top, x2 + left, y2 + top))


def _check(bundle: Bundle) -> None:
    outputs = bundle.engine.outputs
    forms = {(it.name, it.dtype, len(it.shape), it.shape[-1] if it.name == "boxes" else None) for it in outputs}
    if not all((it.name, it.dtype, len(it.shape), it.shape[-1]) in forms for it in _OUTPUTS):
        raise BundleError(
            f"{bundle.path}: its outputs are {'; '.join(map(str, outputs))}; expected boxes [N, K, 4] and scores "
            "[N, K] of float and classes [N, K] of int64. Make the bundle again with 'litevision export'."
        )
    if bundle.metadata.preprocess.crop == "center":
        raise BundleError(
            f"{bundle.path}: its preprocessing cuts the middle out of images; expected crop 'letterbox' or 'stretch'"
            ", which let a detector see all of them. Make the bundle again with 'litevision export'."
        )
