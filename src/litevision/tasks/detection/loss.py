"""What a CenterNet's answer costs: focal loss of the heatmap, L1 of sizes and offsets, GIoU of boxes."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from litevision.models.centernet import CenterNetMaps
from litevision.tasks.detection.targets import CenterNetTargets

ALPHA, BETA = 2, 4
SIZE_WEIGHT, OFFSET_WEIGHT = 0.1, 1.0


class CenterNetLosses(NamedTuple):
    """The loss of a batch, and its parts without their weights; scalars."""

    total: Tensor
    heatmap: Tensor
    size: Tensor
    offset: Tensor
    overlap: Tensor


def centernet_loss(
    maps: CenterNetMaps,
    targets: CenterNetTargets,
    *,
    size_weight: float = SIZE_WEIGHT,
    offset_weight: float = OFFSET_WEIGHT,
    iou_weight: float = 0.0,
    class_weights: Tensor | None = None,
) -> CenterNetLosses:
    """The loss of ``maps``, in float32, whatever they are in: heatmap + 0.1 size + 1 offset.

    With an ``iou_weight``, 1 - GIoU of the boxes counts as well: L1 in cells weighs an error of a cell alike in a small
    box and in a large one, the overlap by which boxes are judged does not. L1 stays: it alone moves a box without area.

    With ``class_weights``, float32 [C], the heatmap of each class counts by its own.

    Source: section 3 of arXiv:1904.07850 and CenterNet's ``losses.py``; for GIoU arXiv:1902.09630, and
    arXiv:1909.00700 (TTFNet), which trains a CenterNet by it.
    """
    sizes, offsets = _picked(maps.size, targets), _picked(maps.offset, targets)
    size, offset = _l1(sizes, targets.size), _l1(offsets, targets.offset)
    heatmap = focal_loss(maps.heatmap, targets, class_weights)
    total = heatmap + size_weight * size + offset_weight * offset
    if not iou_weight:
        return CenterNetLosses(total, heatmap, size, offset, torch.zeros_like(size))
    answers, wanted = _boxes(offsets, sizes), _boxes(targets.offset, targets.size)
    overlap = generalized_box_iou_loss(answers, wanted, reduction="sum") / max(1, len(wanted))
    return CenterNetLosses(total + iou_weight * overlap, heatmap, size, offset, overlap)


def focal_loss(logits: Tensor, targets: CenterNetTargets, class_weights: Tensor | None = None) -> Tensor:
    """The penalty-reduced focal loss of a heatmap, a scalar.

    With p the score and y the target: (1 - p)^2 log p where a peak should be, and (1 - y)^4 p^2 log(1 - p) elsewhere;
    minus their sum, divided by the number of peaks in the batch, or by 1 where there is none.

    Source: equation 1 of arXiv:1904.07850. Differs: the reference clamps p to [1e-4, 1 - 1e-4], beyond which nothing
    is learned any more; here logarithms are taken of the logits.
    """
    logits = logits.float()
    everywhere = logits.sigmoid().pow(ALPHA) * F.logsigmoid(-logits) * (1 - targets.heatmap).pow(BETA)
    wanted = logits.flatten()[targets.peaks]  # the target is 1 there, so the sum over all places has nothing there
    found = (-wanted).sigmoid().pow(ALPHA) * F.logsigmoid(wanted)
    if class_weights is not None:
        classes, height, width = logits.shape[1:]
        weights = class_weights.to(logits.device)
        everywhere = everywhere * weights.view(1, -1, 1, 1)
        found = found * weights[targets.peaks // (height * width) % classes]
    return -(everywhere.sum() + found.sum()) / max(1, len(targets.peaks))


def _picked(answers: Tensor, targets: CenterNetTargets) -> Tensor:
    """What a map answers in the cells from which boxes are learned, float32 [M, 2]."""
    return answers.float().flatten(2)[targets.image, :, targets.cell]


def _l1(answers: Tensor, wanted: Tensor) -> Tensor:
    """The mean over the objects' centres and both coordinates of |answer - wanted|; 0 without objects.

    Source: ``RegL1Loss`` of CenterNet's ``losses.py``, which halves what the paper's equations 2 and 3 sum.
    """
    return (answers - wanted).abs().sum() / max(1, wanted.numel())


def _boxes(offset: Tensor, size: Tensor) -> Tensor:
    """Boxes around their cells, x1 y1 x2 y2 in cells."""
    half = size.clamp(min=0) / 2
    return torch.cat((offset - half, offset + half), dim=1)
