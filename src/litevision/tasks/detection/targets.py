"""What a CenterNet should answer: Gaussians at the centres of objects, and what to learn there of size and offset.

N C H W: images, classes, height and width of the input; M: objects of all images. A cell is 4 x 4 px.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from litevision.errors import UsageError
from litevision.models.necks import STRIDE
from litevision.tasks.detection.recipe import Radius

MIN_OVERLAP = 0.7


class CenterNetTargets(NamedTuple):
    """The targets of a batch.

    Attributes:
        heatmap: 1 at the centres of objects, falling off around them, float32 [N, C, H/4, W/4]. Where an ignored box
            of that class lies it is 1 as well, which takes every penalty away there.
        peaks: the places of ``heatmap``, flattened, that should be found; each once, int64, M at most.
        image: which of the N an object is in, int64 [M].
        cell: row times W/4 plus column of its centre's cell, int64 [M].
        size: width and height, in cells, float32 [M, 2].
        offset: x and y of the centre from the left and top edge of its cell, in cells, 0 to 1, float32 [M, 2].

    With a ``center_radius`` the last four have an entry for each cell around the centres too; offsets reach further.
    """

    heatmap: Tensor
    peaks: Tensor
    image: Tensor
    cell: Tensor
    size: Tensor
    offset: Tensor

    def to(self, device: torch.device | str) -> "CenterNetTargets":
        """The same on ``device``."""
        return CenterNetTargets(*(tensor.to(device) for tensor in self))


def make_targets(
    boxes_xyxy: Sequence[Tensor],
    labels: Sequence[Tensor],
    size_hw: tuple[int, int],
    num_classes: int,
    *,
    ignored: Sequence[Tensor] | None = None,
    radius: Radius = "overlap",
    center_radius: int = 0,
) -> CenterNetTargets:
    """The targets of a batch, rendered for all objects at once.

    Args:
        boxes_xyxy: of each image in px of the input, continuous edges, float [objects, 4]. A box without area, or
            whose centre lies outside of the input, is passed over.
        labels: of each image, int64 [objects], below ``num_classes``.
        size_hw: of the input, px.
        ignored: of each image, bool [objects]: difficult objects and crowds. They are not to be found, and what
            is found inside of them is no mistake.
        radius: how far a Gaussian reaches, see ``gaussian_radius``.
        center_radius: how many cells around the centre's learn size and offset as well. In the paper none does, and
            a peak that is found a cell beside the centre has a box that was never learned.

    Raises:
        UsageError: lists of different lengths, or a label that there is not.
    """
    ignored = [torch.zeros(len(one), dtype=torch.bool) for one in labels] if ignored is None else ignored
    if not len(boxes_xyxy) == len(labels) == len(ignored):
        raise UsageError(
            f"boxes of {len(boxes_xyxy)} images, labels of {len(labels)}, ignored flags of {len(ignored)}; "
            "expected one of each for every image"
        )
    height, width = (-(-side // STRIDE) for side in size_hw)
    boxes = torch.cat([one.reshape(-1, 4).float() for one in boxes_xyxy]) / STRIDE
    classes, passed = torch.cat(list(labels)).long(), torch.cat(list(ignored)).to(boxes.device)
    if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < num_classes:
        raise UsageError(f"labels from {int(classes.min())} to {int(classes.max())}; expected 0 to {num_classes - 1}")
    image = torch.arange(len(labels), device=boxes.device).repeat_interleave(
        torch.tensor([len(one) for one in labels], device=boxes.device)
    )
    plane = image * num_classes + classes
    size = boxes[:, 2:] - boxes[:, :2]
    centre = boxes[:, :2] + size / 2
    limit = torch.tensor([size_hw[1], size_hw[0]], device=boxes.device) / STRIDE
    has_area = (size > 0).all(1)
    counts = has_area & (centre >= 0).all(1) & (centre < limit).all(1) & ~passed
    excused = has_area & passed

    heatmap = torch.zeros(len(labels), num_classes, height, width, device=boxes.device)
    cells = centre[counts].long()
    reach = gaussian_radius(size[counts], rule=radius).long()
    _render_gaussians(heatmap, plane[counts], cells, reach)
    _render_boxes(heatmap, plane[excused], boxes[excused])
    owner, xy = _windows(cells - center_radius, cells + center_radius + 1, heatmap)
    return CenterNetTargets(
        heatmap=heatmap,
        peaks=torch.unique(plane[counts] * (height * width) + cells[:, 1] * width + cells[:, 0]),
        image=image[counts][owner],
        cell=xy[:, 1] * width + xy[:, 0],
        size=size[counts][owner],
        offset=centre[counts][owner] - xy,
    )


def gaussian_radius(size_wh: Tensor, min_overlap: float = MIN_OVERLAP, *, rule: Radius = "overlap") -> Tensor:
    """How far both corners of a box may be moved while the two boxes keep ``min_overlap``, [M, 2] -> float64 [M].

    Three cases: one corner moves in and the other out, both move in, both move out; the radius is the smallest of the
    three, each a root of a quadratic equation.

    Args:
        size_wh: widths and heights.
        min_overlap: the intersection over union that must remain, above 0 and below 1.
        rule: ``overlap``: as just said. ``reference``: CornerNet's and CenterNet's code takes, of sides rounded up,
            the other root in the first two cases and does not divide by the leading coefficient: its radius is 3.3
            times as large for a square, and boxes as far off as that overlap by less than ``min_overlap``.

    Source: CornerNet, arXiv:1808.01244, section 3.2; ``gaussian_radius`` in CenterNet's ``utils/image.py``.
    """
    size_wh = size_wh.double()
    if rule == "reference":
        size_wh = size_wh.ceil()
    total, area = size_wh.sum(1), size_wh.prod(1)
    # (a, b, c, sign): r = (b + sign * sqrt(b^2 - 4 a c)) / (2 a)
    cases = (
        (1.0, total, area * (1 - min_overlap) / (1 + min_overlap), -1),
        (4.0, 2 * total, area * (1 - min_overlap), -1),
        (4 * min_overlap, -2 * min_overlap * total, area * (min_overlap - 1), 1),
    )
    roots = []
    for a, b, c, sign in cases:
        root = (b**2 - 4 * a * c).sqrt()  # no less than 0: (w + h)^2 >= 4 w h
        roots.append((b + root) / 2 if rule == "reference" else (b + sign * root) / (2 * a))
    return torch.stack(roots).amin(0)


def _render_gaussians(heatmap: Tensor, plane: Tensor, cells_xy: Tensor, radius: Tensor) -> None:
    """Raises ``heatmap`` to a Gaussian around each cell, cut off at its radius; where two meet the higher one stays."""
    owner, xy = _windows(cells_xy - radius[:, None], cells_xy + radius[:, None] + 1, heatmap)
    sigma = (2 * radius[owner] + 1) / 6  # Source: CenterNet: the window is six deviations wide
    distance = (xy - cells_xy[owner]).square().sum(1)
    _raise_to(heatmap, plane[owner], xy, torch.exp(-distance / (2 * sigma**2)))


def _render_boxes(heatmap: Tensor, plane: Tensor, boxes: Tensor) -> None:
    """Raises ``heatmap`` to 1 in every cell that a box touches."""
    owner, xy = _windows(boxes[:, :2].floor().long(), boxes[:, 2:].ceil().long(), heatmap)
    _raise_to(heatmap, plane[owner], xy, torch.ones(len(owner), device=heatmap.device))


def _windows(low_xy: Tensor, high_xy: Tensor, heatmap: Tensor) -> tuple[Tensor, Tensor]:
    """Every cell of each window [low, high) inside of the map: whose it is [cells], and where, (x, y) [cells, 2]."""
    limit = torch.tensor([heatmap.shape[-1], heatmap.shape[-2]], device=heatmap.device)
    low_xy, high_xy = low_xy.clamp(min=0), torch.minimum(high_xy, limit)
    sides = (high_xy - low_xy).clamp(min=0)
    counts = sides.prod(1)
    owner = torch.arange(len(counts), device=heatmap.device).repeat_interleave(counts)
    place = torch.arange(len(owner), device=heatmap.device) - (counts.cumsum(0) - counts)[owner]
    columns = sides[owner, 0]
    return owner, low_xy[owner] + torch.stack((place % columns, place // columns), dim=1)


def _raise_to(heatmap: Tensor, plane: Tensor, xy: Tensor, values: Tensor) -> None:
    height, width = heatmap.shape[-2:]
    heatmap.view(-1).scatter_reduce_(0, (plane * height + xy[:, 1]) * width + xy[:, 0], values, "amax")
