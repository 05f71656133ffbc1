"""Which cells of a NanoDet learn which box of an image.

M: cells of all levels together; G: boxes; C: classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou

NOTHING = -1
"""Of a cell that learns no box."""

ATSS_CELLS, ATSS_SIDE = 9, 5
"""Cells of each level that are candidates for a box, and the side of the square around each, in strides."""

MOST_CELLS, IOU_WEIGHT, CENTRE_RADIUS = 13, 3.0, 3.0


def assign_by_overlap(points: Tensor, levels: Sequence[int], boxes: Tensor) -> Tensor:
    """Assigns boxes by the statistics of their overlaps with squares around the cells (ATSS).

    Candidates for a box are the nine cells of each level that are nearest to its centre. Those whose squares overlap
    it by more than the mean of all candidates plus their deviation, and that lie inside of it, learn it; of several
    boxes the one that overlaps most.

    Source: algorithm 1 of arXiv:1912.02424; squares of five strides as in NanoDet's configuration.

    Args:
        points: of the cells, x, y and stride in px, [M, 3], level after level.
        levels: how many cells each level has.
        boxes: x1, y1, x2, y2 in px, [G, 4].

    Returns:
        The box that each cell learns, int64 [M]; ``NOTHING`` for none.
    """
    if not len(boxes):
        return torch.full((len(points),), NOTHING, device=points.device)
    centres, half = points[:, :2], points[:, 2:] * (ATSS_SIDE / 2)
    overlaps = box_iou(torch.cat((centres - half, centres + half), dim=1), boxes)
    far = torch.cdist(centres, (boxes[:, :2] + boxes[:, 2:]) / 2)
    candidates = torch.zeros_like(overlaps, dtype=torch.bool)
    start = 0
    for count in levels:
        nearest = far[start : start + count].topk(min(ATSS_CELLS, count), dim=0, largest=False).indices
        candidates.scatter_(0, start + nearest, value=True)
        start += count
    each = candidates.sum(0)
    mean = (overlaps * candidates).sum(0) / each
    variance = ((overlaps - mean).square() * candidates).sum(0) / (each - 1).clamp(min=1)
    chosen = candidates & (overlaps >= mean + variance.sqrt()) & _inside(points, boxes)
    best, owner = torch.where(chosen, overlaps, -1.0).max(1)
    return torch.where(best >= 0, owner, NOTHING)


def assign_by_cost(points: Tensor, logits: Tensor, answers: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """Assigns boxes by what the network answers already: to each the cells where it would cost the least.

    Only cells inside of a box may learn it. The cost is a cross-entropy of its class with the overlap as soft target,
    three times the negative logarithm of that overlap, and a prior that grows by ten with each stride from the
    centre. How many cells learn a box is the sum of its thirteen best overlaps, at least one.

    Source: section 3.3 of arXiv:2212.07784 (RTMDet) for the soft cost, SimOTA of arXiv:2107.08430 for the numbers of
    cells; NanoDet-Plus' configuration. Differs: NanoDet-Plus lets an auxiliary head answer, here the head itself does.

    Args:
        points: as for `assign_by_overlap`.
        logits: of each class, [M, C].
        answers: the boxes of the cells, [M, 4].
        boxes: as for `assign_by_overlap`.
        labels: of each box, [G].

    Returns:
        As `assign_by_overlap`.
    """
    owner = torch.full((len(points),), NOTHING, device=points.device)
    inside = _inside(points, boxes)
    cells = inside.any(1).nonzero()[:, 0]
    if not len(cells):
        return owner
    inside, logits = inside[cells], logits[cells].float()
    overlaps = box_iou(answers[cells].float(), boxes)
    scores = logits.sigmoid()
    everywhere = F.softplus(logits) * scores.square()  # what each class costs where nothing of it is
    own = logits[:, labels]
    soft = F.binary_cross_entropy_with_logits(own, overlaps, reduction="none") * (overlaps - own.sigmoid()).square()
    by_class = everywhere.sum(1, keepdim=True) - everywhere[:, labels] + soft
    away = torch.cdist(points[cells, :2], (boxes[:, :2] + boxes[:, 2:]) / 2) / points[cells, 2:]
    prior = 10 ** (away - CENTRE_RADIUS).clamp(max=9)
    cost = by_class - IOU_WEIGHT * (overlaps + 1e-7).log() + prior
    cost = torch.where(inside, cost, torch.inf)
    counts = (overlaps * inside).topk(min(MOST_CELLS, len(cells)), dim=0).values.sum(0).int().clamp(min=1)
    rank = cost.argsort(0).argsort(0)
    cost = torch.where((rank < counts) & inside, cost, torch.inf)
    least, best = cost.min(1)
    owner[cells] = torch.where(least.isfinite(), best, NOTHING)
    return owner


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Whether each cell's point lies in each box, [M, G]."""
    xy = points[:, None, :2]
    return ((xy > boxes[:, :2]) & (xy < boxes[:, 2:])).all(-1)
