"""Targets: equal to a slow loop's, true to their overlap, and the inverse of the decoder."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from litevision.errors import UsageError
from litevision.models.centernet import CenterNetMaps, decode
from litevision.tasks.detection.targets import CenterNetTargets, gaussian_radius, make_targets

CLASSES = 3
SIZE_HW = (52, 75)  # 13 x 19 cells

Box = tuple[float, float, float, float]

# Multiples of an eighth, so that float32 holds every centre exactly.
eighths = st.integers(-80, 700).map(lambda steps: steps / 8)
boxes = st.tuples(eighths, eighths, eighths, eighths)
objects = st.lists(st.tuples(boxes, st.integers(0, CLASSES - 1), st.booleans()), max_size=8)


def iou(a: Box, b: Box) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_radius(w: float, h: float, rule: str) -> float:
    if rule == "reference":
        w, h = math.ceil(w), math.ceil(h)
    mixed = w * h * 0.3 / 1.7
    inside = w * h * 0.3
    r1 = math.sqrt((w + h) ** 2 - 4 * mixed)
    r2 = math.sqrt((2 * (w + h)) ** 2 - 16 * inside)
    r3 = math.sqrt((1.4 * (w + h)) ** 2 + 4 * 2.8 * inside)
    if rule == "reference":
        return min((w + h + r1) / 2, (2 * (w + h) + r2) / 2, (r3 - 1.4 * (w + h)) / 2)
    return min((w + h - r1) / 2, (2 * (w + h) - r2) / 8, (r3 - 1.4 * (w + h)) / 5.6)


def slow_heatmap(found: list[tuple[Box, int, bool]], rule: str) -> tuple[list[list[list[float]]], set[int], int]:
    """The heatmap of one image, the flat places of its peaks, and how many objects count."""
    rows, columns = math.ceil(SIZE_HW[0] / 4), math.ceil(SIZE_HW[1] / 4)
    heatmap = [[[0.0] * columns for _ in range(rows)] for _ in range(CLASSES)]
    peaks, count = set(), 0
    for (x1, y1, x2, y2), label, ignored in found:
        if ignored:
            for y in range(rows):
                for x in range(columns):
                    if x1 < 4 * x + 4 and x2 > 4 * x and y1 < 4 * y + 4 and y2 > 4 * y and x2 > x1 and y2 > y1:
                        heatmap[label][y][x] = 1.0
            continue
        cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
        if x2 <= x1 or y2 <= y1 or not (0 <= cx < SIZE_HW[1] and 0 <= cy < SIZE_HW[0]):
            continue
        count += 1
        column, row = int(cx / 4), int(cy / 4)
        peaks.add((label * rows + row) * columns + column)
        radius = int(slow_radius((x2 - x1) / 4, (y2 - y1) / 4, rule))
        sigma = (2 * radius + 1) / 6
        for y in range(max(0, row - radius), min(rows, row + radius + 1)):
            for x in range(max(0, column - radius), min(columns, column + radius + 1)):
                value = math.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))
                heatmap[label][y][x] = max(heatmap[label][y][x], value)
    return heatmap, peaks, count


def made(
    batch: list[list[tuple[Box, int, bool]]],
    rule: str = "overlap",
    size_hw: tuple[int, int] = SIZE_HW,
    *,
    center_radius: int = 0,
) -> CenterNetTargets:
    return make_targets(
        [torch.tensor([box for box, _, _ in one]).reshape(-1, 4) for one in batch],
        [torch.tensor([label for _, label, _ in one], dtype=torch.int64) for one in batch],
        size_hw,
        CLASSES,
        ignored=[torch.tensor([flag for _, _, flag in one], dtype=torch.bool) for one in batch],
        radius=rule,
        center_radius=center_radius,
    )


@given(batch=st.lists(objects, min_size=1, max_size=3), rule=st.sampled_from(["overlap", "reference"]))
@settings(max_examples=60)
def test_equal_a_slow_loop(batch: list[list[tuple[Box, int, bool]]], rule: str) -> None:
    got = made(batch, rule)
    peaks, total = set(), 0
    for number, one in enumerate(batch):
        heatmap, places, count = slow_heatmap(one, rule)
        torch.testing.assert_close(got.heatmap[number], torch.tensor(heatmap), atol=1e-6, rtol=0)
        peaks |= {number * got.heatmap[0].numel() + place for place in places}
        total += count
    assert got.peaks.tolist() == sorted(peaks)
    assert [len(part) for part in got[2:]] == [total] * 4


@given(st.floats(0.5, 120), st.floats(0.5, 120), st.floats(0.05, 0.95))
def test_the_radius_keeps_the_overlap_and_no_larger_one_does(w: float, h: float, overlap: float) -> None:
    r = float(gaussian_radius(torch.tensor([[w, h]], dtype=torch.float64), overlap)[0])
    box = (0.0, 0.0, w, h)
    moved = [(r, r, w + r, h + r), (r, r, w - r, h - r), (-r, -r, w + r, h + r)]
    assert min(iou(box, other) for other in moved) == pytest.approx(overlap, abs=1e-9)


def test_the_reference_radius_does_not() -> None:
    square = torch.tensor([[20.0, 20.0]])
    true, quirk = float(gaussian_radius(square)), float(gaussian_radius(square, rule="reference"))
    assert (true, quirk) == (pytest.approx(1.6334, abs=1e-4), pytest.approx(5.4664, abs=1e-4))
    assert iou((0, 0, 20, 20), (quirk, quirk, 20 - quirk, 20 - quirk)) < 0.21
    assert gaussian_radius(torch.tensor([[19.1, 19.9]]), rule="reference") == quirk  # sides are rounded up


def as_maps(targets: CenterNetTargets) -> CenterNetMaps:
    """Maps that say exactly what the targets want."""
    count, _, rows, columns = targets.heatmap.shape
    parts = []
    for values in (targets.size, targets.offset):
        dense = torch.zeros(count, 2, rows * columns)
        dense[targets.image, :, targets.cell] = values
        parts.append(dense.reshape(count, 2, rows, columns))
    return CenterNetMaps(targets.heatmap.clamp(1e-4, 1 - 1e-4).logit(), *parts)


@st.composite
def apart(draw: st.DrawFn) -> list[tuple[Box, int, bool]]:
    """Objects whose centres lie in different cells."""
    cells = draw(st.lists(st.tuples(st.integers(0, 18), st.integers(0, 12)), unique=True, max_size=12))
    found = []
    for column, row in cells:
        cx = min(4 * column + draw(st.integers(0, 31)) / 8, SIZE_HW[1] - 0.125)
        cy = 4 * row + draw(st.integers(0, 31)) / 8
        w, h = draw(st.integers(1, 400)) / 4, draw(st.integers(1, 400)) / 4
        found.append(((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), draw(st.integers(0, CLASSES - 1)), False))
    return found


@given(st.lists(apart(), min_size=1, max_size=2), st.sampled_from(["overlap", "reference"]))
@settings(max_examples=40)
def test_decoding_the_targets_gives_the_boxes_back(batch: list[list[tuple[Box, int, bool]]], rule: str) -> None:
    found = decode(as_maps(made(batch, rule)))
    for number, one in enumerate(batch):
        strong = found.scores[number] > 0.9998
        got = [
            (int(label), *box.tolist()) for label, box in zip(found.classes[number], found.boxes[number], strict=True)
        ]
        got = sorted(entry for entry, counts in zip(got, strong, strict=True) if counts)
        expected = sorted((label, *box) for box, label, _ in one)
        assert len(got) == len(expected)
        for mine, theirs in zip(got, expected, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-4)


@given(st.lists(objects, min_size=1, max_size=3), st.integers(0, 2))
def test_cells_around_a_centre_learn_the_same_box(batch: list[list[tuple[Box, int, bool]]], center_radius: int) -> None:
    centres, around = made(batch, "overlap"), made(batch, "overlap", center_radius=center_radius)
    assert torch.equal(around.heatmap, centres.heatmap)
    assert torch.equal(around.peaks, centres.peaks)
    rows, columns = centres.heatmap.shape[-2:]
    expected = []
    for image, cell, size, offset in zip(centres.image, centres.cell, centres.size, centres.offset, strict=True):
        y, x = divmod(int(cell), columns)
        for row in range(max(0, y - center_radius), min(rows, y + center_radius + 1)):
            for column in range(max(0, x - center_radius), min(columns, x + center_radius + 1)):
                moved = offset + torch.tensor([x - column, y - row])
                expected.append((int(image), row * columns + column, size.tolist(), moved.tolist()))
    found = zip(around.image, around.cell, around.size, around.offset, strict=True)
    assert [(int(p), int(c), s.tolist(), o.tolist()) for p, c, s, o in found] == expected


def test_what_does_not_count() -> None:
    nothing = [(8.0, 8.0, 8.0, 20.0), (20.0, 8.0, 8.0, 20.0), (-40.0, 0.0, 10.0, 10.0), (70.0, 0.0, 81.0, 9.0)]
    targets = made([[(box, 0, False) for box in nothing]])
    assert targets.heatmap.sum() == 0
    assert [len(part) for part in targets[1:]] == [0] * 5
    assert made([[], []]).heatmap.shape == (2, CLASSES, 13, 19)


def test_an_ignored_box_excuses_its_own_class_alone() -> None:
    targets = made([[((8.0, 9.0, 17.0, 20.0), 1, True), ((10.0, 10.0, 12.0, 12.0), 1, False)]])
    excused = torch.zeros(CLASSES, 13, 19)
    excused[1, 2:5, 2:5] = 1
    assert torch.equal(targets.heatmap[0], excused)
    assert targets.peaks.tolist() == [(13 + 2) * 19 + 2]


def test_two_objects_of_one_class_in_one_cell_are_one_peak() -> None:
    targets = made([[((0.0, 0.0, 8.0, 8.0), 2, False), ((1.0, 1.0, 9.0, 9.0), 2, False)]])
    assert (len(targets.peaks), len(targets.cell)) == (1, 2)


@pytest.mark.parametrize("label", [-1, CLASSES])
def test_a_label_that_there_is_not(label: int) -> None:
    with pytest.raises(UsageError, match=rf"labels from {label} to {label}; expected 0 to 2"):
        made([[((0.0, 0.0, 8.0, 8.0), label, False)]])


def test_lists_of_different_lengths() -> None:
    box: Tensor = torch.zeros(1, 4)
    with pytest.raises(UsageError, match="boxes of 2 images, labels of 1, ignored flags of 1; expected one of each"):
        make_targets([box, box], [torch.zeros(1, dtype=torch.int64)], SIZE_HW, CLASSES)


def test_a_move_to_a_device_keeps_the_form() -> None:
    targets = made([[((0.0, 0.0, 8.0, 8.0), 2, False)]]).to("meta")
    assert isinstance(targets, CenterNetTargets)
    assert {part.device.type for part in targets} == {"meta"}
