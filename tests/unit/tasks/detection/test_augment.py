"""The boxes follow the pixels: a coloured rectangle is drawn, transformed, and found again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from litevision.data import DetectionSample
from litevision.tasks.detection.augment import Augmenter, BoxAugment, Example, as_example

NOTHING = BoxAugment(flip=False, scale=(1.0, 1.0), aspect_jitter=1.0, colour=0.0)
COLOURS = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], dtype=torch.uint8)


def drawn(*boxes: tuple[int, int, int, int], height: int = 90, width: int = 120) -> Example:
    """A white image with a rectangle for each box, whose label is its colour."""
    image = torch.full((3, height, width), 255, dtype=torch.uint8)
    for label, (x1, y1, x2, y2) in enumerate(boxes):
        image[:, y1:y2, x1:x2] = COLOURS[label][:, None, None]
    count = len(boxes)
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Example(image, corners, torch.arange(count), torch.zeros(count, dtype=torch.bool))


def found(image: Tensor, label: int) -> tuple[int, int, int, int] | None:
    """The box around the pixels that are nearer to the colour of ``label`` than to any other."""
    flat = torch.cat([COLOURS, torch.tensor([[255, 255, 255], [114, 114, 114]], dtype=torch.uint8)]).float()
    nearest = (image.float()[None] - flat[:, :, None, None]).square().sum(dim=1).argmin(dim=0)
    rows, columns = torch.nonzero(nearest == label, as_tuple=True)
    if not len(rows):
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def augmented(options: BoxAugment, seed: int, *examples: Example, size_hw: tuple[int, int] = (80, 100)) -> Example:
    return Augmenter(options, size_hw, "letterbox")(lambda index: examples[index], len(examples), 0, seed)


def options_of(**changes: Any) -> BoxAugment:
    return BoxAugment(**{**{name: getattr(NOTHING, name) for name in NOTHING.__slots__}, **changes})


@pytest.mark.parametrize(
    "options",
    [
        NOTHING,
        options_of(flip=True),
        options_of(flip_vertical=True),
        options_of(rot90=True),
        options_of(scale=(0.5, 1.0)),
        options_of(scale=(1.0, 2.5)),
        options_of(aspect_jitter=1.5, scale=(0.5, 2.0), flip=True, flip_vertical=True, rot90=True),
    ],
    ids=["nothing", "flip", "flip_vertical", "turn", "smaller", "larger", "all"],
)
def test_boxes_follow_the_pixels(options: BoxAugment) -> None:
    example = drawn((10, 15, 40, 35), (60, 50, 110, 80), (70, 5, 90, 40))
    seen = 0
    for seed in range(30):
        out = augmented(options, seed, example)
        assert (out.image.shape, out.image.dtype) == ((3, 80, 100), torch.uint8)
        assert (out.boxes_xyxy.dtype, out.labels.dtype, out.ignored.dtype) == (torch.float32, torch.int64, torch.bool)
        where = dict(zip(out.labels.tolist(), out.boxes_xyxy.tolist(), strict=True))
        for label in range(3):
            box = found(out.image, label)
            if label not in where:
                assert box is None or min(box[2] - box[0], box[3] - box[1]) <= 1
            elif min(where[label][2] - where[label][0], where[label][3] - where[label][1]) > 3:
                assert box == pytest.approx(where[label], abs=1.01)  # resampling blurs an edge by up to a pixel
                seen += 1
    assert seen > 40


def test_flips_and_turns_are_exact() -> None:
    example = drawn((10, 15, 40, 35), height=80, width=80)
    places = set()
    for seed in range(40):
        out = augmented(options_of(flip=True, flip_vertical=True, rot90=True), seed, example, size_hw=(80, 80))
        (box,) = out.boxes_xyxy.tolist()
        assert found(out.image, 0) == tuple(box)
        places.add(tuple(box))
    assert len(places) == 8  # the eight ways in which a square can lie


def test_an_empty_image_stays_empty() -> None:
    for options in (BoxAugment(), BoxAugment(mosaic=1.0, rot90=True)):
        out = augmented(options, 3, drawn())
        assert (out.image.shape, out.boxes_xyxy.shape, out.labels.shape) == ((3, 80, 100), (0, 4), (0,))


def test_boxes_stay_inside_and_cut_ones_are_ignored() -> None:
    example = drawn((0, 0, 60, 45), (60, 45, 120, 90))
    cuts = kept = 0
    for seed in range(60):
        out = augmented(options_of(scale=(2.0, 3.0)), seed, example)
        x1, y1, x2, y2 = out.boxes_xyxy.unbind(dim=1)
        assert bool(((x1 >= 0) & (y1 >= 0) & (x2 <= 100) & (y2 <= 80) & (x2 > x1) & (y2 > y1)).all())
        # At 2 to 3 times the size, a box's whole area is between 2 * 50 x 2 * 40 and 3 * 50 x 3 * 40 px.
        areas = (x2 - x1) * (y2 - y1)
        cuts += int(out.ignored.sum())
        kept += int((~out.ignored).sum())
        assert bool((areas[out.ignored] < 0.3 * 150 * 120 + 1).all())
        assert bool((areas[~out.ignored] > 0.3 * 80 * 70).all())
    assert min(cuts, kept) > 10


def test_what_is_ignored_stays_so() -> None:
    example = drawn((10, 15, 40, 35), (60, 50, 110, 80))
    marked = Example(example.image, example.boxes_xyxy, example.labels, torch.tensor([True, False]))
    out = augmented(options_of(flip=True), 0, marked)
    assert dict(zip(out.labels.tolist(), out.ignored.tolist(), strict=True)) == {0: True, 1: False}


def test_a_mosaic_shows_four_images_and_their_boxes() -> None:
    def one(label: int) -> Example:
        blank = drawn()
        blank.image[:, 20:70, 30:90] = COLOURS[label][:, None, None]
        return Example(
            blank.image, torch.tensor([[30.0, 20, 90, 70]]), torch.tensor([label]), torch.zeros(1, dtype=torch.bool)
        )

    examples = [one(label) for label in range(4)]
    shown = []
    for seed in range(20):
        out = augmented(options_of(mosaic=1.0, scale=(0.4, 0.6)), seed, *examples)
        shown.append(set(out.labels.tolist()))
        for label in set(out.labels.tolist()):
            boxes = out.boxes_xyxy[out.labels == label]
            around = torch.cat([boxes[:, :2].amin(dim=0), boxes[:, 2:].amax(dim=0)])
            assert found(out.image, label) == pytest.approx(around.tolist(), abs=1.01)
    assert all(0 in labels for labels in shown)  # the image itself is always there
    assert set.union(*shown) == {0, 1, 2, 3}


def test_it_is_a_function_of_the_seed() -> None:
    examples = [drawn((10, 15, 40, 35)), drawn((60, 50, 110, 80)), drawn((70, 5, 90, 40))]
    options = BoxAugment(flip_vertical=True, rot90=True, hue=0.1, mosaic=0.5)
    state = torch.random.get_rng_state()
    first, again, other = (augmented(options, seed, *examples) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), state)  # the run's own numbers are left alone
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.boxes_xyxy, again.boxes_xyxy)
    assert not torch.equal(first.image, other.image)


def test_colours_change_and_boxes_do_not() -> None:
    example = drawn((10, 15, 40, 35))
    plain, coloured = (augmented(options_of(colour=colour), 2, example) for colour in (0.0, 0.5))
    assert torch.equal(plain.boxes_xyxy, coloured.boxes_xyxy)
    changed = (plain.image.float() - coloured.image.float()).abs().mean(dim=0)
    grey = (plain.image == 114).all(dim=0)
    assert 0 < int(grey.sum()) < 80 * 100 / 2
    assert float(changed[grey].max()) == 0  # the runtime's grey is always the same
    assert float(changed[~grey].mean()) > 1


@pytest.mark.parametrize(
    ("crop", "expected"), [("letterbox", (12.5, 12.5, 37.5, 25)), ("stretch", (12.5, 25, 37.5, 50))]
)
def test_the_scale_is_that_of_the_models_input(crop: str, expected: tuple[float, ...]) -> None:
    example = drawn((20, 20, 60, 40), height=80, width=160)
    make: Callable[..., Augmenter] = Augmenter
    out = make(NOTHING, (100, 100), crop)(lambda _: example, 1, 0, 0)
    box = out.boxes_xyxy[0]
    assert (box[2:] - box[:2]).tolist() == pytest.approx([expected[2] - expected[0], expected[3] - expected[1]])
    assert float(box[0]) == pytest.approx(expected[0])


def test_a_sample_at_a_reduced_size() -> None:
    sample = DetectionSample(
        Path("a.jpg"),
        np.array([[10, 20, 30, 40]], np.float32),
        np.array([2]),
        np.array([False]),
        "train",
        (100, 200),
    )
    example = as_example(np.zeros((50, 100, 3), np.uint8), sample)
    assert example.image.shape == (3, 50, 100)
    assert example.boxes_xyxy.tolist() == [[5, 10, 15, 20]]
    assert (example.labels.tolist(), example.ignored.tolist()) == ([2], [False])
