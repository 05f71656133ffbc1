from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from litevision.detections import Boxes, BoxFormat, box_area, box_convert, box_iou, clip_boxes
from litevision.errors import UnknownNameError
from litevision.image import Preprocess

EIGHTHS = st.integers(-4000, 4000).map(lambda eighths: eighths / 8)
CORNERS = arrays(np.float32, st.tuples(st.integers(0, 6), st.just(4)), elements=EIGHTHS)
SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


def ordered(corners: Boxes) -> Boxes:
    """Boxes whose edges lie the right way round."""
    pairs = np.sort(corners.reshape(-1, 2, 2), axis=1)
    return pairs.reshape(-1, 4)


def array(*rows: tuple[float, float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(("name", "row"), [("xyxy", (2, 3, 6, 10)), ("xywh", (2, 3, 4, 7)), ("cxcywh", (4, 6.5, 4, 7))])
def test_box_formats_by_hand(name: BoxFormat, row: tuple[float, ...]) -> None:
    corners = array((2, 3, 6, 10))
    np.testing.assert_array_equal(box_convert(corners, "xyxy", name), array(row))
    np.testing.assert_array_equal(box_convert(array(row), name, "xyxy"), corners)


FORMATS = st.sampled_from(get_args(BoxFormat))


@given(CORNERS, FORMATS, FORMATS)
def test_a_box_converted_there_and_back_is_the_same(given_boxes: Boxes, first: BoxFormat, second: BoxFormat) -> None:
    there = box_convert(given_boxes, first, second)
    assert (there.dtype, there.shape) == (np.float32, given_boxes.shape)
    np.testing.assert_allclose(box_convert(there, second, first), given_boxes, atol=2e-3)


def test_an_unknown_box_format_is_named() -> None:
    with pytest.raises(
        UnknownNameError, match=r"^no box format 'xyhw'\. Did you mean 'xywh' .* Known: xyxy, xywh, cxcywh"
    ):
        box_convert(array(), "xyhw", "xyxy")  # type: ignore[arg-type]


def test_area_and_overlap_by_hand() -> None:
    first = array((0, 0, 4, 4), (0, 0, 0, 0), (5, 5, 2, 9))
    second = array((0, 0, 4, 4), (2, 2, 6, 6), (4, 0, 8, 4), (0, 0, 0, 0))
    np.testing.assert_array_equal(box_area(first), [16, 0, 0])  # zero width, and turned inside out
    expected = [[1, 4 / 28, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(box_iou(first, second), expected, rtol=1e-6)


@given(CORNERS, CORNERS)
def test_overlap_equals_a_plain_loop(first: Boxes, second: Boxes) -> None:
    first, second = ordered(first), ordered(second)
    found = box_iou(first, second)
    assert (found.shape, found.dtype) == ((len(first), len(second)), np.float32)
    for i, one in enumerate(first.astype(float)):
        for j, other in enumerate(second.astype(float)):
            width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
            height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
            union = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
            union -= width * height
            assert found[i, j] == pytest.approx(width * height / union if union else 0, abs=1e-5)


def test_clip() -> None:
    given_boxes = array((-5, 2, 30, 40), (50, 60, 70, 80), (1, 2, 3, 4))
    np.testing.assert_array_equal(
        clip_boxes(given_boxes, (20, 10)), array((0, 2, 10, 20), (10, 20, 10, 20), (1, 2, 3, 4))
    )


def test_no_boxes_stay_none() -> None:
    none = array()
    place = Preprocess((8, 8), 8, "letterbox").geometry((4, 4))
    moves = (place.apply_boxes(none), place.invert_boxes(none), clip_boxes(none, (3, 3)))
    assert [found.shape for found in moves] == [(0, 4)] * 3
    assert box_iou(none, array((0, 0, 1, 1))).shape == (0, 1)


def test_move_by_hand() -> None:
    place = Preprocess((512, 512), 512, "letterbox").geometry((480, 640))  # 640 -> 512, 64 px of grey above and below
    np.testing.assert_allclose(place.apply_boxes(array((0, 0, 640, 480), (10, 20, 30, 40)))[0], [0, 64, 512, 448])
    np.testing.assert_allclose(place.apply_boxes(array((10, 20, 30, 40)))[0], [8, 80, 24, 96])


@given(SIZES, SIZES, st.sampled_from(["letterbox", "stretch", "center"]))
def test_a_box_comes_back_to_where_it_was(image_hw: tuple[int, int], size_hw: tuple[int, int], crop: str) -> None:
    place = Preprocess(size_hw, min(size_hw), crop).geometry(image_hw)
    height, width = image_hw
    whole = array((0, 0, width, height), (width / 4, height / 3, width / 2, height / 2))
    moved = place.apply_boxes(whole)
    # A float32 of the input is a step of 2**-24 of its size, which a large image in a small input makes wide.
    source, target = (np.reshape(sides, (2, 2)) for sides in (place.source_xyxy, place.target_xyxy))
    step = np.abs(moved).max() * 2**-24 * ((source[1] - source[0]) / (target[1] - target[0])).max()
    np.testing.assert_allclose(place.invert_boxes(moved), whole, atol=1e-3 + 2 * step, rtol=1e-6)


def test_moving_follows_the_pixels() -> None:
    image = np.zeros((60, 90, 3), np.uint8)
    image[20:40, 15:60] = 255
    for crop in ("letterbox", "stretch"):
        preprocess = Preprocess((120, 120), 120, crop)
        rows, columns = np.nonzero(preprocess(image)[..., 0] > 184)  # between white and the grey around
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        moved = preprocess.geometry((60, 90)).apply_boxes(array((15, 20, 60, 40)))[0]
        np.testing.assert_allclose(moved, seen, atol=1.0)
