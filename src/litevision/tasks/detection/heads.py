"""What each kind of detector learns from boxes, what its answers cost, and what boxes they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor
from torchvision.ops import batched_nms

from litevision.models.centernet import CenterNetMaps, decode
from litevision.models.kinds import AnyConfig
from litevision.models.nanodet import NMS_IOU, NMS_SCORE, NanoDetConfig, NanoDetMaps, cell_points, decode_cells
from litevision.tasks.detection.loss import centernet_loss
from litevision.tasks.detection.nanodet_loss import BoxTargets, box_targets, nanodet_loss
from litevision.tasks.detection.recipe import Detection
from litevision.tasks.detection.targets import CenterNetTargets, make_targets

Tensors = Sequence[Tensor]
"""One of each image of a batch."""


class Found(NamedTuple):
    """What was found in an image, the surest first: x1, y1, x2, y2 in px of the input; scores; classes."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class Heads(Protocol):
    """The heads of one kind of detector."""

    def targets(
        self,
        boxes_xyxy: Sequence[Tensor],
        labels: Sequence[Tensor],
        ignored: Sequence[Tensor],
        size_hw: tuple[int, int],
    ) -> Any:
        """What should be answered to a batch, as tensors with a ``to``."""
        ...

    def loss(self, maps: Any, targets: Any, size_hw: tuple[int, int], class_weights: Tensor | None = None) -> Tensor:
        """What the answers ``maps`` cost, a scalar."""
        ...

    def decode(self, maps: Any, size_hw: tuple[int, int]) -> list[Found]:
        """The boxes of each image of a batch."""
        ...


@dataclass(frozen=True)
class CenterNetHeads:
    """Heatmap, size and offset."""

    options: Detection
    num_classes: int

    def targets(
        self,
        boxes_xyxy: Sequence[Tensor],
        labels: Sequence[Tensor],
        ignored: Sequence[Tensor],
        size_hw: tuple[int, int],
    ) -> CenterNetTargets:
        return make_targets(
            boxes_xyxy,
            labels,
            size_hw,
            self.num_classes,
            ignored=ignored,
            radius=self.options.radius,
            center_radius=self.options.center_radius,
        )

    def loss(
        self,
        maps: CenterNetMaps,
        targets: CenterNetTargets,
        size_hw: tuple[int, int],
        class_weights: Tensor | None = None,
    ) -> Tensor:
        options = self.options
        return centernet_loss(
            CenterNetMaps(*maps),
            targets,
            size_weight=options.size_weight,
            offset_weight=options.offset_weight,
            iou_weight=options.iou_weight,
            class_weights=class_weights,
        ).total

    def decode(self, maps: CenterNetMaps, size_hw: tuple[int, int]) -> list[Found]:
        return [Found(*one) for one in zip(*decode(CenterNetMaps(*maps), self.options.top_k), strict=True)]


@dataclass(frozen=True)
class NanoDetHeads:
    """Classes and edges of each cell, of which what overlaps is suppressed, as in the exported graph."""

    options: Detection
    config: NanoDetConfig

    def targets(
        self,
        boxes_xyxy: Sequence[Tensor],
        labels: Sequence[Tensor],
        ignored: Sequence[Tensor],
        size_hw: tuple[int, int],
    ) -> BoxTargets:
        return box_targets(boxes_xyxy, labels, ignored)

    def loss(
        self, maps: NanoDetMaps, targets: BoxTargets, size_hw: tuple[int, int], class_weights: Tensor | None = None
    ) -> Tensor:
        return nanodet_loss(NanoDetMaps(*maps), targets, self.config.form, size_hw, class_weights).total

    def decode(self, maps: NanoDetMaps, size_hw: tuple[int, int]) -> list[Found]:
        maps = NanoDetMaps(*maps)
        points = cell_points(self.config.form, size_hw).to(maps.logits.device)
        found = []
        for boxes, scores in zip(*decode_cells(maps, points, size_hw), strict=True):
            cells, labels = (scores > NMS_SCORE).nonzero(as_tuple=True)
            chosen = scores[cells, labels]
            kept = batched_nms(boxes[cells], chosen, labels, NMS_IOU)[: self.options.top_k]
            found.append(Found(boxes[cells[kept]], chosen[kept], labels[kept]))
        return found


def heads_of(config: AnyConfig, options: Detection) -> Heads:
    """The heads of the detector that ``config`` builds."""
    return (
        NanoDetHeads(options, config)
        if isinstance(config, NanoDetConfig)
        else CenterNetHeads(options, config.num_classes)
    )
