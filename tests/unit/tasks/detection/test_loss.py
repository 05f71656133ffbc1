"""The loss: equal to a slow loop's, finite wherever it can be asked for, and lower for better answers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from litevision.models.centernet import CenterNetMaps
from litevision.tasks.detection.loss import centernet_loss
from litevision.tasks.detection.targets import CenterNetTargets, make_targets

CLASSES, SIZE_HW = 2, (20, 27)  # 5 x 7 cells


def targets_of(seed: int, counts: list[int]) -> CenterNetTargets:
    generator = torch.Generator().manual_seed(seed)
    boxes, labels, ignored = [], [], []
    for count in counts:
        centre = torch.rand(count, 2, generator=generator) * torch.tensor([27.0, 20.0])
        half = torch.rand(count, 2, generator=generator) * 12 + 0.5
        boxes.append(torch.cat((centre - half, centre + half), 1))
        labels.append(torch.randint(CLASSES, (count,), generator=generator))
        ignored.append(torch.rand(count, generator=generator) < 0.2)
    return make_targets(boxes, labels, SIZE_HW, CLASSES, ignored=ignored)


def maps_of(seed: int, count: int, scale: float = 1.0) -> CenterNetMaps:
    generator = torch.Generator().manual_seed(seed)
    shape = [count, CLASSES, 5, 7]
    heatmap = scale * torch.randn(shape, generator=generator, dtype=torch.float64).float()
    shape[1] = 2
    return CenterNetMaps(heatmap, torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))


def slowly(maps: CenterNetMaps, targets: CenterNetTargets) -> tuple[float, float, float, float]:
    logits, wanted = maps.heatmap.flatten().tolist(), targets.heatmap.flatten().tolist()
    peaks = set(targets.peaks.tolist())
    focal = 0.0
    for place, (z, y) in enumerate(zip(logits, wanted, strict=True)):
        p = 1 / (1 + math.exp(-z))
        focal -= (1 - p) ** 2 * math.log(p) if place in peaks else (1 - y) ** 4 * p**2 * math.log(1 - p)
    focal /= max(1, len(peaks))
    parts = []
    for answers, goals in ((maps.size, targets.size), (maps.offset, targets.offset)):
        off = 0.0
        for image, cell, goal in zip(targets.image.tolist(), targets.cell.tolist(), goals.tolist(), strict=True):
            row, column = divmod(cell, 7)
            off += sum(abs(float(answers[image, axis, row, column]) - goal[axis]) for axis in (0, 1))
        parts.append(off / max(1, 2 * len(targets.cell)))
    return focal + 0.1 * parts[0] + parts[1], focal, parts[0], parts[1]


@given(st.integers(0, 2**31), st.lists(st.integers(0, 6), min_size=1, max_size=3))
@settings(max_examples=40)
def test_equals_a_slow_loop(seed: int, counts: list[int]) -> None:
    targets, maps = targets_of(seed, counts), maps_of(seed + 1, len(counts))
    got = [float(part) for part in centernet_loss(maps, targets)]
    assert got.pop() == 0  # the overlap, which does not count
    assert got == pytest.approx(slowly(maps, targets), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("scale", [1, 1e4])
@pytest.mark.parametrize("counts", [[0, 0], [3, 0]])
def test_is_finite_whatever_the_answer(counts: list[int], scale: float) -> None:
    maps = CenterNetMaps(*(part.requires_grad_() for part in maps_of(1, 2, scale)))
    losses = centernet_loss(maps, targets_of(2, counts), iou_weight=1)
    losses.total.backward()
    assert all(part.isfinite() for part in losses)
    assert all(part.grad is not None and part.grad.isfinite().all() for part in maps)
    if not sum(counts):
        assert (losses.size, losses.offset) == (0, 0)
        assert losses.total == losses.heatmap > 0


def test_weights() -> None:
    maps, targets = maps_of(3, 1), targets_of(4, [5])
    losses = centernet_loss(maps, targets, size_weight=2, offset_weight=3)
    torch.testing.assert_close(losses.total, losses.heatmap + 2 * losses.size + 3 * losses.offset)


def test_what_is_found_in_an_ignored_box_costs_nothing() -> None:
    box, label = torch.tensor([[4.0, 4.0, 16.0, 12.0]]), torch.tensor([1])
    kept = make_targets([box], [label], SIZE_HW, CLASSES, ignored=[torch.tensor([True])])
    maps = CenterNetMaps(torch.full((1, CLASSES, 5, 7), -20.0), torch.zeros(1, 2, 5, 7), torch.zeros(1, 2, 5, 7))
    silent = float(centernet_loss(maps, kept).total)
    maps.heatmap[0, 1, 1:3, 1:4] = 5
    assert centernet_loss(maps, kept).total == pytest.approx(silent, abs=1e-6)
    maps.heatmap[0, 0, 1:3, 1:4] = 5  # the other class is no part of the crowd
    assert centernet_loss(maps, kept).total > 10


def test_is_computed_in_float32() -> None:
    maps, targets = maps_of(5, 2), targets_of(6, [3, 4])
    rough = CenterNetMaps(*(part.bfloat16() for part in maps))
    expected = centernet_loss(CenterNetMaps(*(part.float() for part in rough)), targets)
    got = centernet_loss(rough, targets)
    assert {part.dtype for part in got} == {torch.float32}
    torch.testing.assert_close(tuple(got), tuple(expected))


def test_any_memory_format() -> None:
    maps, targets = maps_of(7, 2), targets_of(8, [3, 4])
    last = CenterNetMaps(*(part.contiguous(memory_format=torch.channels_last) for part in maps))
    torch.testing.assert_close(tuple(centernet_loss(last, targets)), tuple(centernet_loss(maps, targets)))


def test_each_class_counts_by_its_weight() -> None:
    targets, maps = targets_of(3, [4, 5]), maps_of(4, 2)
    plain = centernet_loss(maps, targets)
    heavy, light = (
        centernet_loss(maps, targets, class_weights=torch.tensor(pair)) for pair in ([1.0, 0.0], [0.0, 1.0])
    )
    assert float(heavy.heatmap + light.heatmap) == pytest.approx(float(plain.heatmap), rel=1e-6)
    both = centernet_loss(maps, targets, class_weights=torch.tensor([3.0, 0.5]))
    assert float(both.heatmap) == pytest.approx(float(3 * heavy.heatmap + 0.5 * light.heatmap), rel=1e-6)
    assert (both.size, both.offset) == (plain.size, plain.offset)


def test_the_overlap_counts_where_it_is_asked_for() -> None:
    targets = targets_of(3, [4, 2])
    plain = maps_of(4, 2)
    size, offset = torch.zeros_like(plain.size), torch.zeros_like(plain.offset)
    size.flatten(2)[targets.image, :, targets.cell] = targets.size
    offset.flatten(2)[targets.image, :, targets.cell] = targets.offset
    right = CenterNetMaps(plain.heatmap, size, offset)
    empty = CenterNetMaps(plain.heatmap, -size, offset)
    found = [centernet_loss(maps, targets, iou_weight=2) for maps in (right, plain, empty)]
    assert float(found[0].overlap) == pytest.approx(0, abs=1e-5)
    assert 0 < float(found[1].overlap) <= 2
    assert float(found[2].overlap) == pytest.approx(1, abs=1e-5)  # points in the middle
    for losses, maps in zip(found, (right, plain, empty), strict=True):
        alone = centernet_loss(maps, targets)
        assert float(losses.total) == pytest.approx(float(alone.total) + 2 * float(losses.overlap), rel=1e-6)
