"""What is particular to detection: its training images, its loss, and its validation score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from litevision.data import DetectionSample
from litevision.detections import Detections, box_area, clip_boxes
from litevision.errors import ImageError
from litevision.evaluation.coco import detection_scores
from litevision.evaluation.detection import DetectionEvaluation
from litevision.image import Preprocess
from litevision.image.decode import open_image
from litevision.runtime import Normalisation
from litevision.tasks.detection.augment import Augmenter, Example, as_example
from litevision.tasks.detection.heads import Heads
from litevision.tasks.detection.recipe import BoxAugment
from litevision.training.batches import Batch, PixelNormaliser, SampleKey
from litevision.training.image_cache import ImageCache

_VALIDATION_BATCH = 16
_MOST_ENLARGED = 1.5  # what is enlarged more is as sharp from the smaller image


class DetectionImages:
    """Augmented images with the targets of their boxes, by index and seed."""

    def __init__(
        self,
        store: ImageCache,
        samples: Sequence[DetectionSample],
        options: BoxAugment,
        preprocess: Preprocess,
        heads: Heads,
    ) -> None:
        """Takes ``store``, which reads the ``samples`` whole at any size, and what makes the finished model's input."""
        self._store = store
        self._samples = samples
        self._options = options
        self._preprocess = preprocess
        self._size_hw = preprocess.size_hw
        self._heads = heads
        self._augment = Augmenter(
            options, preprocess.size_hw, "stretch" if preprocess.crop == "stretch" else "letterbox"
        )

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, key: SampleKey) -> Example | ImageError:
        index, seed = key
        try:
            return self._augment(self._load, len(self), index, seed)
        except ImageError as error:
            return error  # raised in a worker, it would come with a traceback of many lines

    def collate(self, items: Sequence[Example]) -> Batch:
        """The images, and their targets, which are made where images are read: that takes time too."""
        targets = self._heads.targets(
            [item.boxes_xyxy for item in items],
            [item.labels for item in items],
            [item.ignored for item in items],
            self._size_hw,
        )
        return torch.stack([item.image for item in items]), targets

    def at_size(self, size_hw: tuple[int, int]) -> "DetectionImages":
        """The same images, made at another size."""
        preprocess = replace(self._preprocess, size_hw=size_hw)
        return DetectionImages(self._store, self._samples, self._options, preprocess, self._heads)

    def _load(self, index: int) -> Example:
        return as_example(self._store(index), self._samples[index])


@dataclass(frozen=True, slots=True)
class DetectionValidation:
    """The validation images' mean loss, and COCO's average precision of all overlaps and of 0.5, in [0, 1]."""

    loss: float
    ap: float
    ap50: float

    @property
    def score(self) -> float:
        """What more is better of."""
        return self.ap

    def record(self) -> dict[str, float]:
        """The figures for the epoch's record."""
        return {"validation_loss": self.loss, "validation_ap": self.ap, "validation_ap50": self.ap50}


class DetectionObjective:
    """The loss of a training batch, and the score on the validation images."""

    def __init__(
        self,
        heads: Heads,
        preprocess: Preprocess,
        normalisation: Normalisation,
        classes: tuple[str, ...],
        validation: Sequence[DetectionSample],
        store: ImageCache,
        class_weights: Tensor | None = None,
        in_channels: int = 3,
    ) -> None:
        """Takes ``store``, which reads the ``validation`` images as ``preprocess`` makes them.

        ``class_weights`` count in training alone.
        """
        self._heads = heads
        self._preprocess = preprocess
        self._normalise = PixelNormaliser(normalisation, in_channels)
        self._classes = classes
        self._validation = validation
        self._store = store
        self._weights = class_weights

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""
        images_u8, targets = batch
        size_hw = images_u8.shape[-2], images_u8.shape[-1]
        return self._heads.loss(network(self._normalised(images_u8)), targets, size_hw, self._weights)

    def split(self, network: nn.Module) -> None:
        """Nothing is kept: maps of all strides take hundreds of times the memory of a classifier's features."""

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> DetectionValidation:
        """Mean loss and average precision on the validation images, as the runtime preprocesses them."""
        device = next(network.parameters()).device
        loss_sum, size_hw = 0.0, self._preprocess.size_hw
        found: list[Detections] = []
        for start in range(0, len(self._validation), _VALIDATION_BATCH):
            part = range(start, min(start + _VALIDATION_BATCH, len(self._validation)))
            batch_u8_nhwc = torch.from_numpy(np.stack([self._store(index) for index in part]))
            maps = network(self._normalised(batch_u8_nhwc.to(device).permute(0, 3, 1, 2)))
            samples = [self._validation[index] for index in part]
            loss_sum += len(samples) * float(self._heads.loss(maps, self._targets(samples).to(device), size_hw))
            if not math.isfinite(loss_sum):  # boxes that are no numbers have no score
                return DetectionValidation(loss_sum, 0.0, 0.0)
            answers = self._heads.decode(maps, size_hw)
            found += [
                self._in_image(sample, *(tensor.cpu().numpy() for tensor in answer))
                for sample, answer in zip(samples, answers, strict=True)
            ]
        evaluation = DetectionEvaluation("validation", self._classes, tuple(self._validation), tuple(found))
        scores = detection_scores(evaluation)
        return DetectionValidation(loss_sum / len(self._validation), scores.ap or 0.0, scores.ap50 or 0.0)

    def _targets(self, samples: Sequence[DetectionSample]) -> Any:
        return self._heads.targets(
            [
                torch.from_numpy(self._preprocess.geometry(sample.size_hw).apply_boxes(sample.boxes_xyxy))
                for sample in samples
            ],
            [torch.from_numpy(sample.labels) for sample in samples],
            [torch.from_numpy(sample.ignored) for sample in samples],
            self._preprocess.size_hw,
        )

    def _in_image(
        self,
        sample: DetectionSample,
        boxes_xyxy: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
    ) -> Detections:
        """What was found, as the runtime's detector gives it."""
        with np.errstate(over="ignore", invalid="ignore"):  # sizes of a network that knows nothing yet
            moved = self._preprocess.geometry(sample.size_hw).invert_boxes(boxes_xyxy)
            clipped = clip_boxes(moved, sample.size_hw)
        seen = box_area(clipped) > 0
        return Detections(clipped[seen], scores[seen], labels[seen], self._classes, sample.size_hw)

    def _normalised(self, images: Tensor) -> Tensor:
        """Images of 0 to 255 as the network takes them, channels last."""
        return self._normalise(images).contiguous(memory_format=torch.channels_last)


def read_for_training(preprocess: Preprocess, greatest_scale: float, path: Path) -> npt.NDArray[np.uint8]:
    """The whole upright image at the size from which training images are made; a smaller one as it is."""
    image = open_image(path)
    height, width = image.upright_hw
    enlarged = min(_MOST_ENLARGED, max(1.0, greatest_scale))
    ratios = [enlarged * out / side for out, side in zip(preprocess.size_hw, (height, width), strict=True)]
    if preprocess.crop != "stretch":
        ratios = [min(ratios)] * 2
    size_hw = max(1, round(height * min(1.0, ratios[0]))), max(1, round(width * min(1.0, ratios[1])))
    return Preprocess(size_hw, 1, "stretch")(image)
