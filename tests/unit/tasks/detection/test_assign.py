"""Which cells of a NanoDet learn which box, by hand-made boxes and answers."""

import torch

from litevision.models.nanodet import FORMS, cell_points
from litevision.tasks.detection.assign import NOTHING, assign_by_cost, assign_by_overlap

SIZE_HW = (96, 128)
M, PLUS = (cell_points(FORMS[name], SIZE_HW) for name in ("nanodet_m", "nanodet_plus_m"))
LEVELS = [12 * 16, 6 * 8, 3 * 4]
BOXES = torch.tensor([[20.0, 20, 70, 60], [80, 40, 124, 92]])


def inside(points: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    return ((points[:, :2] > box[:2]) & (points[:, :2] < box[2:])).all(1)


def test_cells_inside_and_near_the_size_of_a_box_learn_it() -> None:
    owner = assign_by_overlap(M, LEVELS, BOXES)
    for index, box in enumerate(BOXES):
        cells = owner == index
        assert 1 <= cells.sum() <= 27
        assert inside(M, box)[cells].all()
        assert set(M[cells][:, 2].tolist()) <= {8.0, 16.0}  # squares of 40 and 80 px; that of stride 32 is 160 px
    assert (owner == NOTHING).sum() == len(M) - (owner >= 0).sum()


def test_of_boxes_in_one_place_the_one_that_overlaps_more_is_learned() -> None:
    nested = torch.tensor([[0.0, 0, 128, 96], [44, 28, 84, 68]])  # the second is a square of 40 px, as at stride 8
    owner = assign_by_overlap(M, LEVELS, nested)
    middle = (M[:, 2] == 8) & inside(M, torch.tensor([56.0, 40, 72, 56]))
    assert (owner[middle] == 1).any()
    assert not (owner[middle] == 0).any()
    assert (owner == 0).any()


def test_the_cheapest_cells_learn_a_box() -> None:
    labels = torch.tensor([0, 1])
    logits = torch.full((len(PLUS), 2), -4.0)
    answers = torch.cat((PLUS[:, :2] - 4, PLUS[:, :2] + 4), dim=1)  # far too small everywhere
    sure = int(inside(PLUS, BOXES[0]).nonzero()[5, 0])
    answers[sure], logits[sure, 0] = BOXES[0], 3.0
    owner = assign_by_cost(PLUS, logits, answers, BOXES, labels)
    assert owner[sure] == 0
    assert (owner == 0).sum() == 1  # its thirteen best overlaps sum up to little more than that one
    assert (owner == 1).sum() == 1
    answers[inside(PLUS, BOXES[1])] = BOXES[1]
    owner = assign_by_cost(PLUS, logits, answers, BOXES, labels)
    assert (owner == 1).sum() == 13
    assert inside(PLUS, BOXES[1])[owner == 1].all()


def test_a_wrong_class_costs_more() -> None:
    box, label = BOXES[:1], torch.tensor([1])
    logits = torch.full((len(PLUS), 2), -4.0)
    answers = torch.cat((PLUS[:, :2] - 4, PLUS[:, :2] + 4), dim=1)
    middle = torch.tensor([45.0, 40])
    near = (PLUS[:, :2] - middle).norm(dim=1).masked_fill(PLUS[:, 2] != 16, 1e9).topk(2, largest=False).indices
    answers[near] = box[0] + torch.tensor([0.0, 0, 30, 30])
    logits[near[0], 0], logits[near[1], 1] = 3.0, 3.0
    owner = assign_by_cost(PLUS, logits, answers, box, label)
    assert (owner >= 0).nonzero()[:, 0].tolist() == [int(near[1])]


def test_an_image_without_boxes_teaches_nothing() -> None:
    none, labels = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    assert (assign_by_overlap(M, LEVELS, none) == NOTHING).all()
    assert (
        assign_by_cost(PLUS, torch.zeros(len(PLUS), 2), PLUS.new_zeros(len(PLUS), 4), none, labels) == NOTHING
    ).all()
