"""What a NanoDet's answer costs: the generalized focal loss of classes and edges, and GIoU of boxes.

M: cells of all levels together; C: classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou, generalized_box_iou_loss

from litevision.models.nanodet import BINS, Form, NanoDetMaps, cell_points, decode_cells
from litevision.tasks.detection.assign import NOTHING, assign_by_cost, assign_by_overlap

OVERLAP_WEIGHT, EDGE_WEIGHT = 2.0, 0.25
_LAST_PLACE = BINS - 1 - 0.1  # an edge further away is learned as that far


class BoxTargets(NamedTuple):
    """The boxes of a batch, one image after another.

    Attributes:
        boxes: x1, y1, x2, y2 in px of the input, float32 [boxes, 4].
        labels: int64 [boxes].
        ignored: not to be found, and no mistake where something is found in them, bool [boxes].
        image: which of the batch each is in, int64 [boxes].
    """

    boxes: Tensor
    labels: Tensor
    ignored: Tensor
    image: Tensor

    def to(self, device: torch.device | str) -> "BoxTargets":
        """The same on ``device``."""
        return BoxTargets(*(tensor.to(device) for tensor in self))


class NanoDetLosses(NamedTuple):
    """The loss of a batch, and its parts without their weights; scalars."""

    total: Tensor
    classes: Tensor
    edges: Tensor
    overlap: Tensor


def box_targets(boxes_xyxy: Sequence[Tensor], labels: Sequence[Tensor], ignored: Sequence[Tensor]) -> BoxTargets:
    """The targets of a batch, without boxes that have no area."""
    counts = torch.tensor([len(one) for one in labels])
    boxes = torch.cat([one.reshape(-1, 4).float() for one in boxes_xyxy])
    seen = (boxes[:, 2:] > boxes[:, :2]).all(1)
    image = torch.arange(len(labels)).repeat_interleave(counts)
    return BoxTargets(boxes[seen], torch.cat(list(labels)).long()[seen], torch.cat(list(ignored))[seen], image[seen])


def nanodet_loss(
    maps: NanoDetMaps,
    targets: BoxTargets,
    form: Form,
    size_hw: tuple[int, int],
    class_weights: Tensor | None = None,
) -> NanoDetLosses:
    """The loss of ``maps``, in float32, whatever they are in: classes + 2 GIoU + 0.25 edges.

    A class's score learns the overlap of the cell's box with its object's, and nothing inside of ignored boxes; edges
    and overlaps count by the highest score of their cell.

    Source: equations 4 to 6 of arXiv:2006.04388 (generalized focal loss), with beta 2; arXiv:1902.09630 for GIoU.

    Args:
        form: decides the cells, and how boxes are assigned to them.
        size_hw: of the input, px.
        class_weights: what each class counts by, [C].
    """
    logits, edges = maps.logits.float(), maps.edges.float()
    points = cell_points(form, size_hw).to(logits.device)
    levels = [int((points[:, 2] == stride).sum()) for stride in form.strides]
    answers, _ = decode_cells(NanoDetMaps(logits, edges), points, None)
    wanted = torch.zeros_like(logits)
    counts = torch.ones_like(logits)
    picked, owners = [], []
    for index in range(len(logits)):
        own = targets.image == index
        objects = (own & ~targets.ignored).nonzero()[:, 0]
        boxes, labels = targets.boxes[objects], targets.labels[objects]
        with torch.no_grad():
            if form.is_centred:
                owner = assign_by_overlap(points, levels, boxes)
            else:
                owner = assign_by_cost(points, logits[index], answers[index], boxes, labels)
            cells = (owner != NOTHING).nonzero()[:, 0]
            overlap = box_iou(answers[index][cells], boxes).gather(1, owner[cells, None])[:, 0]
            excused = targets.boxes[own & targets.ignored]
            if len(excused):
                xy = points[:, None, :2]
                inside = ((xy > excused[:, :2]) & (xy < excused[:, 2:])).all(-1).any(1)
                counts[index, inside & (owner == NOTHING)] = 0
            wanted[index, cells, labels[owner[cells]]] = overlap
        picked.append(index * len(points) + cells)
        owners.append(objects[owner[cells]])
    cells, objects = torch.cat(picked), torch.cat(owners)
    focal = (wanted - logits.sigmoid()).square() * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    if class_weights is not None:
        focal = focal * class_weights.to(logits.device)
    classes = (focal * counts).sum() / max(1, len(cells))
    weights = logits.detach().sigmoid().amax(2).flatten()[cells]
    total_weight = weights.sum().clamp(min=1e-6)
    boxes = targets.boxes[objects]
    overlaps = generalized_box_iou_loss(answers.flatten(0, 1)[cells], boxes, reduction="none")
    overlap_loss = (overlaps * weights).sum() / total_weight
    point = points[cells % len(points)]
    distances = torch.cat((point[:, :2] - boxes[:, :2], boxes[:, 2:] - point[:, :2]), dim=1) / point[:, 2:]
    edge_loss = (_edge_loss(edges.flatten(0, 1)[cells], distances) * weights).sum() / total_weight
    total = classes + OVERLAP_WEIGHT * overlap_loss + EDGE_WEIGHT * edge_loss
    return NanoDetLosses(total, classes, edge_loss, overlap_loss)


def _edge_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """The cross-entropy of each distance with the two places around it, mean of the four edges, [cells].

    Args:
        logits: of the places, [cells, 4, R].
        distances: in strides, [cells, 4].
    """
    wanted = distances.clamp(0, _LAST_PLACE)
    below = wanted.long()
    part = wanted - below
    likely = logits.log_softmax(-1)
    first, second = (likely.gather(2, places[..., None])[..., 0] for places in (below, below + 1))
    return -(first * (1 - part) + second * part).mean(1)
