"""Object detection with a bundle."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from litevision.detections import Detections, box_area, clip_boxes
from litevision.errors import BundleError, UsageError
from litevision.image import ImageLike, LetterboxTransform
from litevision.image.decode import OpenedImage, opening
from litevision.runtime.bundle import Bundle
from litevision.runtime.engines import TensorInfo
from litevision.runtime.predictor import BATCH_SIZE, NAMED_TYPES, Inference, OnError, Predictor, stream_results
from litevision.runtime.results import Result
from litevision.runtime.tiles import MOST_TILES, merge_tiles, tile_boxes, touches_tile_edge

DEFAULT_SCORE_THRESHOLD = 0.3
"""The least score of a box where neither the caller nor the bundle names one."""

_OUTPUTS = (
    TensorInfo("boxes", "float", (None, None, 4)),
    TensorInfo("scores", "float", (None, None)),
    TensorInfo("classes", "int64", (None, None)),
)


@dataclass(frozen=True, eq=False, slots=True)
class Slices:
    """An image as the network sees it: whole, and then in tiles where there are any; V slices.

    Attributes:
        images_u8_nhwc: ``uint8[V, H, W, 3]``.
        geometries: which part of the upright image each shows, and where.
        image_hw: of the upright image.
        image: the upright image itself, where it was to be kept.
    """

    images_u8_nhwc: npt.NDArray[np.uint8]
    geometries: tuple[LetterboxTransform, ...]
    image_hw: tuple[int, int]
    image: Image.Image | None = None


class Detector(Predictor[Detections]):
    """Finds objects in images; may be used from several threads at once.

    Attributes:
        bundle: the model.
        labels: the class names, in the order of the graph's classes.
        preprocess: what makes the model's input of an image.
        thresholds: ``float32[classes]``, from which score on a box of each class counts where the caller names none:
            the bundle's, or 0.3.

    Raises:
        BundleError: a bundle for another task, with other outputs, or whose preprocessing cuts images.

    Example:
        >>> import litevision
        >>> detector = litevision.load_detector("blood-cells")
        >>> detector.predict("examples/blood.jpg").counts()
        {'Platelets': 3, 'RBC': 16, 'WBC': 1}
    """

    task = "detection"
    row_types: ClassVar[Mapping[str, str]] = {**NAMED_TYPES, "boxes_xyxy": "list<list<float>>"}

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        thresholds = bundle.metadata.score_thresholds or [DEFAULT_SCORE_THRESHOLD] * len(self.labels)
        self.thresholds = np.array(thresholds, np.float32)
        _check(bundle)

    def predict(self, image: ImageLike, score: float | None = None, *, tiles: int = 1) -> Detections:
        """Find the objects in one image.

        Args:
            image: a path, file object, bytes, Pillow image, array or tensor, as `litevision.image.ImageLike` says.
            score: the least score, in [0, 1]; None for the thresholds of the bundle's classes, or 0.3 where it has
                none.
            tiles: for objects that are small in a large image: also look at overlapping tiles, so many of them on
                the longer side. Of boxes that overlap (IoU 0.5) in two slices, the surer one is given.

        Returns:
            The objects, the surest first; boxes in px of the upright image.

        Raises:
            FileMissingError: no file at the path.
            ImageError: no readable image.
            UsageError: ``score`` or ``tiles`` out of their range.
        """
        return self.inference(score, tiles=tiles).predict([image])[0]

    def predict_batch(
        self,
        images: Iterable[ImageLike],
        score: float | None = None,
        *,
        tiles: int = 1,
        batch_size: int = BATCH_SIZE,
    ) -> list[Detections]:
        """Find the objects in each image.

        Args:
            images: as for `predict`.
            score: as for `predict`.
            tiles: as for `predict`.
            batch_size: how many images, and of those in tiles how many slices, the network sees at once.

        Raises:
            LitevisionError: as for `predict`, for the first image that cannot be read.
        """
        return self.inference(score, tiles=tiles).predict(images, batch_size)

    def stream(
        self,
        images: Iterable[ImageLike],
        score: float | None = None,
        *,
        tiles: int = 1,
        on_error: OnError = "raise",
        workers: int | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Result[Detections]]:
        """Find the objects in any number of images on all cores, in their order and in bounded memory.

        Args:
            images: read as they are used; at most 2 batches a worker are under way. ``litevision.find_images(folder)``
                gives those of a folder; one in it that cannot be read is an error in its place.
            score: as for `predict`.
            tiles: as for `predict`.
            on_error: as for `litevision.Classifier.stream`.
            workers: as for `litevision.Classifier.stream`.
            batch_size: how many images the network sees at once; by default 4, and 1 of those in tiles.

        Raises:
            LitevisionError: as for `predict`, when its turn comes.
            UsageError: a count below 1.
        """
        batch_size = batch_size if batch_size is not None else BATCH_SIZE if tiles == 1 else 1
        predictor, workers = self._with_workers(workers)
        inference = predictor.inference(score, tiles=tiles)
        return stream_results(inference, images, on_error=on_error, workers=workers, batch_size=batch_size)

    def inference(
        self, score: float | None = None, *, tiles: int = 1, keep_image: bool = False
    ) -> Inference[Slices, Detections]:
        """Bind the options to the steps from images to detections, for `litevision.runtime.pipeline`.

        Args:
            score: as for `predict`.
            tiles: as for `predict`.
            keep_image: keep the decoded image in the detections, for frames, which cannot be read again.

        Raises:
            UsageError: ``score`` or ``tiles`` out of their range.
        """
        if score is not None and not 0 <= score <= 1:
            raise UsageError(f"score {score}; expected 0 to 1.")
        if not 1 <= tiles <= MOST_TILES:
            raise UsageError(f"tiles {tiles}; expected 1 to {MOST_TILES} on the longer side.")
        thresholds = self.thresholds if score is None else np.full_like(self.thresholds, score)
        return Inference(
            partial(self._slices, tiles=tiles, keep_image=keep_image), partial(self._infer, thresholds=thresholds)
        )

    def _slices(self, source: ImageLike | OpenedImage, *, tiles: int, keep_image: bool) -> Slices:
        with opening(source) as image:
            image_hw = image.upright_hw
            if tiles == 1 and not keep_image:
                return Slices(self.preprocess(image)[None], (self.preprocess.geometry(image_hw),), image_hw)
            with image.upright() as upright:
                images, geometries = [self.preprocess(upright)], [self.preprocess.geometry(image_hw)]
                for box in tile_boxes(image_hw, self.preprocess, tiles) if tiles > 1 else ():
                    images.append(self.preprocess(upright.crop(box)))
                    geometries.append(_shifted(self.preprocess.geometry((box[3] - box[1], box[2] - box[0])), box[:2]))
                kept = upright if keep_image else None
                del upright  # while what it takes is counted
            return Slices(np.stack(images), tuple(geometries), image_hw, kept)

    def _infer(
        self,
        inputs: Sequence[Slices],
        images: Sequence[ImageLike | None],
        *,
        thresholds: npt.NDArray[np.float32],
    ) -> list[Detections]:
        """Detect in each of ``inputs``; the network sees as many slices at once as there are inputs."""
        slices = [image[None] for it in inputs for image in it.images_u8_nhwc]
        found: list[Detections] = []
        for start in range(0, len(slices), len(inputs)):
            found += self._run(np.concatenate(slices[start : start + len(inputs)]))
        rest = iter(found)
        return [
            self._of_image(it, image, [next(rest) for _ in it.geometries], thresholds)
            for it, image in zip(inputs, images, strict=True)
        ]

    def _run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> list[Detections]:
        """Run the network: the detections in each image of a batch, in px of the model's input."""
        outputs = self.bundle.run(batch_u8_nhwc)
        arrays = [outputs[info.name] for info in _OUTPUTS]
        shapes = [array.shape for array in arrays]
        if shapes != [(*shapes[1], 4), shapes[1], shapes[1]] or shapes[1][:1] != batch_u8_nhwc.shape[:1]:
            raise BundleError(
                f"{self.bundle.path}: gives boxes {shapes[0]}, scores {shapes[1]} and classes {shapes[2]} for a batch "
                f"of {len(batch_u8_nhwc)}; expected (N, K, 4), (N, K) and (N, K). "
                "Make the bundle again with 'litevision export'."
            )
        if not all(np.isfinite(array).all() for array in arrays[:2]):
            raise BundleError(f"{self.bundle.path}: outputs NaN or inf; its weights are corrupted.")
        classes = arrays[2]
        if classes.size and not 0 <= classes.min() <= classes.max() < len(self.labels):
            raise BundleError(
                f"{self.bundle.path}: gives classes from {classes.min()} to {classes.max()} for {len(self.labels)} "
                "labels. Make the bundle again with 'litevision export'."
            )
        return [
            Detections(xyxy, scores, class_ids, self.labels, self.preprocess.size_hw)
            for xyxy, scores, class_ids in zip(*arrays, strict=True)
        ]

    def _of_image(
        self,
        slices: Slices,
        image: ImageLike | None,
        found: Sequence[Detections],
        thresholds: npt.NDArray[np.float32],
    ) -> Detections:
        """Map the detections of all slices to the image, keep those above the thresholds, and sort by score."""
        image_hw = slices.image_hw
        image = slices.image if image is None else image
        parts = []
        for it, geometry in zip(found, slices.geometries, strict=True):
            it = it[it.scores >= thresholds[it.class_ids]]
            xyxy = clip_boxes(geometry.invert_boxes(it.xyxy), image_hw)
            seen = box_area(xyxy) > 0  # not in the padding alone
            if len(found) > 1:
                x1, y1, x2, y2 = (round(edge) for edge in geometry.source_xyxy)
                seen &= ~touches_tile_edge(xyxy, (x1, y1, x2, y2), image_hw, self.preprocess.size_hw)
            parts.append(Detections(xyxy, it.scores, it.class_ids, self.labels, image_hw, image)[seen])
        joined = replace(
            parts[0],
            xyxy=np.concatenate([it.xyxy for it in parts]),
            scores=np.concatenate([it.scores for it in parts]),
            class_ids=np.concatenate([it.class_ids for it in parts]),
        )
        order = np.argsort(-joined.scores, kind="stable")
        joined = joined[order]
        if len(parts) == 1:
            return joined
        places = np.repeat(np.arange(len(parts)), [len(it) for it in parts])[order]
        return joined[merge_tiles(joined.xyxy, joined.class_ids, places)]


def _shifted(geometry: LetterboxTransform, by_xy: tuple[int, ...]) -> LetterboxTransform:
    x1, y1, x2, y2 = geometry.source_xyxy
    left, top = by_xy
    return replace(geometry, source_xyxy=(x1 + left, y1 + top, x2 + left, y2 + top))


def _check(bundle: Bundle) -> None:
    outputs = bundle.engine.outputs
    forms = {(it.name, it.dtype, len(it.shape), it.shape[2:]) for it in outputs}
    if not all((it.name, it.dtype, len(it.shape), it.shape[2:]) in forms for it in _OUTPUTS):
        raise BundleError(
            f"{bundle.path}: its outputs are {'; '.join(map(str, outputs))}; expected boxes [N, K, 4] and scores "
            "[N, K] of float and classes [N, K] of int64. Make the bundle again with 'litevision export'."
        )
    if bundle.metadata.preprocess.crop == "center":
        raise BundleError(
            f"{bundle.path}: its preprocessing cuts the middle out of images; expected crop 'letterbox' or 'stretch'"
            ", which let a detector see all of them. Make the bundle again with 'litevision export'."
        )
