"""The loss of a NanoDet against definitions written out, and what an answer that is right costs."""

import math

import pytest
import torch
from torch import Tensor

from litevision.models.nanodet import BINS, FORMS, NanoDetConfig, NanoDetMaps, cell_points, decode_cells
from litevision.tasks.detection.assign import assign_by_cost, assign_by_overlap
from litevision.tasks.detection.heads import NanoDetHeads
from litevision.tasks.detection.nanodet_loss import BoxTargets, box_targets, nanodet_loss
from litevision.tasks.detection.recipe import Detection

SIZE_HW = (96, 128)
BOXES = torch.tensor([[21.0, 22, 70, 60], [80, 40, 124, 92]])
LABELS = torch.tensor([0, 1])
LEVELS = [12 * 16, 6 * 8, 3 * 4]
NAMES = ("nanodet_m", "nanodet_plus_m")


def targets_of(*, ignored: tuple[bool, bool] = (False, False)) -> BoxTargets:
    return box_targets([BOXES, BOXES[:0]], [LABELS, LABELS[:0]], [torch.tensor(ignored), torch.zeros(0, dtype=bool)])


def right_maps(name: str) -> NanoDetMaps:
    """Each cell that learns a box is sure of it, and of nothing else; those inside of one know where its edges are."""
    points = cell_points(FORMS[name], SIZE_HW)
    logits = torch.full((2, len(points), 2), -12.0)
    edges = torch.full((2, len(points), 4, BINS), -20.0)
    edges[..., 0] = 20.0
    for box in BOXES:
        xy, stride = points[:, :2], points[:, 2:]
        distances = torch.cat((xy - box[:2], box[2:] - xy), dim=1) / stride
        cells = ((distances > 0) & (distances < BINS - 1)).all(1)
        below, part = distances[cells].long(), distances[cells] % 1
        places = torch.full((int(cells.sum()), 4, BINS), -20.0)
        places.scatter_(2, below[..., None], (1 - part).clamp(min=1e-6).log()[..., None])
        places.scatter_(2, below[..., None] + 1, part.clamp(min=1e-6).log()[..., None])
        edges[0, cells] = places
    answers, _ = decode_cells(NanoDetMaps(logits, edges), points, None)
    if name == "nanodet_m":
        owner = assign_by_overlap(points, LEVELS, BOXES)
    else:
        owner = assign_by_cost(points, logits[0], answers[0], BOXES, LABELS)
    cells = (owner >= 0).nonzero()[:, 0]
    logits[0, cells, LABELS[owner[cells]]] = 12.0
    return NanoDetMaps(logits, edges)


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_costs_least(name: str) -> None:
    right = nanodet_loss(right_maps(name), targets_of(), FORMS[name], SIZE_HW)
    points = cell_points(FORMS[name], SIZE_HW)
    flat = NanoDetMaps(torch.full((2, len(points), 2), -4.6), torch.zeros(2, len(points), 4, BINS))
    nothing = nanodet_loss(flat, targets_of(), FORMS[name], SIZE_HW)
    assert right.overlap < 1e-3
    assert right.edges < 0.75  # the entropy of a distance between two places, which is log 2 at most
    assert nothing.edges == pytest.approx(math.log(BINS), abs=1e-4)
    assert right.total < nothing.total / 2
    assert right.total == pytest.approx(float(right.classes + 2 * right.overlap + 0.25 * right.edges))


def test_classes_learn_the_overlap() -> None:
    form, generator = FORMS["nanodet_m"], torch.Generator().manual_seed(0)
    points = cell_points(form, SIZE_HW)
    maps = NanoDetMaps(
        torch.randn(1, len(points), 2, generator=generator), torch.randn(1, len(points), 4, BINS, generator=generator)
    )
    targets = box_targets([BOXES], [LABELS], [torch.zeros(2, dtype=torch.bool)])
    owner = assign_by_overlap(points, LEVELS, BOXES)
    expected, positives = 0.0, 0
    for cell, box in enumerate(owner.tolist()):
        positives += box >= 0
        for label in range(2):
            wanted = overlap_of(maps.edges[0, cell], points[cell], BOXES[box]) if box >= 0 and label == box else 0.0
            score = float(maps.logits[0, cell, label].sigmoid())
            entropy = -wanted * math.log(score) - (1 - wanted) * math.log(1 - score)
            expected += abs(wanted - score) ** 2 * entropy
    assert float(nanodet_loss(maps, targets, form, SIZE_HW).classes) == pytest.approx(expected / positives, rel=1e-4)
    weighted = nanodet_loss(maps, targets, form, SIZE_HW, torch.tensor([2.0, 2.0]))
    assert float(weighted.classes) == pytest.approx(2 * expected / positives, rel=1e-4)


def overlap_of(edges: Tensor, point: Tensor, box: Tensor) -> float:
    x, y, stride = point.tolist()
    left, top, right, bottom = ((edges.softmax(1) * torch.arange(BINS)).sum(1) * stride).tolist()
    own = (x - left, y - top, x + right, y + bottom)
    x1, y1, x2, y2 = box.tolist()
    width, height = min(own[2], x2) - max(own[0], x1), min(own[3], y2) - max(own[1], y1)
    both = max(0.0, width) * max(0.0, height)
    return both / ((own[2] - own[0]) * (own[3] - own[1]) + (x2 - x1) * (y2 - y1) - both)


@pytest.mark.parametrize("name", NAMES)
def test_ignored_boxes_are_neither_found_nor_mistakes(name: str) -> None:
    maps, form = right_maps(name), FORMS[name]
    wrong = nanodet_loss(maps, targets_of()._replace(labels=torch.tensor([0, 0])), form, SIZE_HW)
    excused = nanodet_loss(maps, targets_of(ignored=(False, True)), form, SIZE_HW)
    assert excused.classes < 0.01 < wrong.classes
    both = nanodet_loss(maps, targets_of(ignored=(True, True)), form, SIZE_HW)
    assert (float(both.overlap), float(both.edges)) == (0.0, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_decoded_is_what_was_learned(name: str) -> None:
    heads = NanoDetHeads(Detection(), NanoDetConfig(name, 2))
    first, second = heads.decode(right_maps(name), SIZE_HW)
    assert first.labels.sort().values.tolist() == [0, 1]
    torch.testing.assert_close(first.boxes[first.labels.argsort()], BOXES, atol=0.1, rtol=0)
    assert len(second.boxes) == 0


def test_the_gradient_reaches_every_head() -> None:
    network = NanoDetConfig("nanodet_plus_m", 2).build()
    heads = NanoDetHeads(Detection(), network.config)
    maps = network(torch.randn(2, 3, *SIZE_HW, generator=torch.Generator().manual_seed(0)))
    heads.loss(maps, targets_of(), SIZE_HW).backward()
    for head in network.heads:
        grad = head.output.weight.grad
        assert grad is not None
        assert grad.isfinite().all()
        assert grad.abs().sum() > 0
