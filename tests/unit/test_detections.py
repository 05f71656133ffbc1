"""Boxes and detections against literal arrays, and the laws that hold for any."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from litevision.detections import (
    Boxes,
    BoxFormat,
    Detection,
    Detections,
    box_area,
    box_convert,
    box_iou,
    clip_boxes,
)
from litevision.errors import MissingExtraError, UnknownNameError, UsageError
from litevision.image import ImageLike, Preprocess

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
        box_convert(array(), "xyhw", "xyxy")  # type: ignore[arg-type]  # wrong on purpose


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


# Detections

CLASSES = ("Platelets", "RBC", "WBC")


def detections(
    rows: Sequence[tuple[tuple[float, float, float, float], float, int]],
    image: ImageLike | None = None,
    image_hw: tuple[int, int] = (48, 64),
) -> Detections:
    return Detections(
        array(*(box for box, _, _ in rows)),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([index for _, _, index in rows], np.int64),
        CLASSES,
        image_hw,
        image,
    )


THREE = detections([((0, 0, 40, 20), 0.875, 2), ((5, 5, 9, 9), 0.5, 1), ((8, 2, 30, 30), 0.25, 1)])


def test_rows_are_the_arrays() -> None:
    assert list(THREE) == [
        Detection("WBC", 0.875, 2, (0, 0, 40, 20)),
        Detection("RBC", 0.5, 1, (5, 5, 9, 9)),
        Detection("RBC", 0.25, 1, (8, 2, 30, 30)),
    ]
    assert (len(THREE), THREE.labels) == (3, ("WBC", "RBC", "RBC"))
    assert list(THREE.counts().items()) == [("RBC", 2), ("WBC", 1)]


@pytest.mark.parametrize(
    ("which", "scores"),
    [
        (0, [0.875]),
        (-1, [0.25]),
        (np.int64(1), [0.5]),
        (slice(1, None), [0.5, 0.25]),
        ([2, 0], [0.25, 0.875]),
        ([], []),
        (np.array([True, False, True]), [0.875, 0.25]),
        ([False, True, False], [0.5]),
    ],
)
def test_rows_are_taken_as_from_an_array(which: Any, scores: list[float]) -> None:
    taken = THREE[which]
    assert taken.scores.tolist() == scores
    assert [it.score for it in taken] == scores
    assert (taken.class_names, taken.image_hw) == (CLASSES, (48, 64))


def test_a_row_that_is_not_there_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        THREE[3]


ROWS = st.lists(
    st.tuples(
        st.tuples(*[st.integers(0, 64).map(float)] * 4), st.integers(0, 8).map(lambda n: n / 8), st.integers(0, 2)
    ),
    max_size=8,
)


@given(ROWS, st.integers(0, 8).map(lambda n: n / 8))
def test_laws_of_selection(rows: Any, threshold: float) -> None:
    found = detections(rows)
    sure = found[found.scores >= threshold]
    assert list(sure) == [it for it in found if it.score >= threshold]
    assert sum(found.counts().values()) == len(found)
    assert found[np.arange(len(found))] == found == found[:]
    assert len(found.to_coco(1)) == len(found.to_dict()["detections"]) == len(found)
    assert json.loads(found.to_json()) == found.to_dict()


def test_equal_detections_are_equal_whatever_their_image() -> None:
    rows = [((0.0, 0.0, 4.0, 4.0), 0.5, 1)]
    assert detections(rows, b"one") == detections(rows, b"another")
    assert detections(rows) != detections([])
    assert detections(rows) != detections(rows, image_hw=(64, 48))
    assert detections(rows) != "text"
    with pytest.raises(TypeError, match="unhashable"):
        hash(THREE)


def test_plain_values() -> None:
    assert THREE[1].to_dict() == {
        "image_hw": [48, 64],
        "detections": [{"label": "RBC", "score": 0.5, "index": 1, "box_xyxy": [5.0, 5.0, 9.0, 9.0]}],
    }


def test_coco_results() -> None:
    expected = {"image_id": 7, "category_id": 2, "bbox": [8.0, 2.0, 22.0, 28.0], "score": 0.25}
    assert THREE[2].to_coco(7) == [expected]
    assert THREE[2].to_coco("a.jpg", category_ids=[4, 8, 9]) == [{**expected, "image_id": "a.jpg", "category_id": 8}]
    with pytest.raises(UsageError, match=r"^2 category_ids for 3 class_names; expected one for each\.$"):
        THREE.to_coco(7, category_ids=[1, 2])


def test_supervision_gets_the_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=dict))
    given_over = THREE.to_supervision()
    assert given_over["xyxy"] is THREE.xyxy
    assert given_over["confidence"] is THREE.scores
    assert given_over["class_id"] is THREE.class_ids
    assert given_over["data"]["class_name"].tolist() == ["WBC", "RBC", "RBC"]


def test_without_supervision_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtraError, match=r"not installed\. Install it with: pip install supervision$"):
        THREE.to_supervision()


def test_a_plot_is_the_image_with_ink_on_it(tmp_path: Path) -> None:
    grey = np.full((48, 64, 3), 128, np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    drawn = [np.asarray(it.plot()) for it in (replace(THREE, image=grey), replace(THREE, image=tmp_path / "grey.png"))]
    drawn.append(np.asarray(THREE.plot(grey)))
    assert all(np.array_equal(it, drawn[0]) for it in drawn)
    assert drawn[0].shape == grey.shape
    assert (drawn[0] != grey).any()
    assert (grey == 128).all()
    assert np.array_equal(np.asarray(THREE[[]].plot(grey)), grey)


def test_what_cannot_be_drawn_on() -> None:
    with pytest.raises(UsageError, match=r"^these detections keep no image to draw on\. Give one: plot\(image\)\.$"):
        THREE.plot()
    with pytest.raises(UsageError, match=r"^an image of 9 x 9 px \(height x width\); expected the 48 x 64 that"):
        THREE.plot(np.zeros((9, 9, 3), np.uint8))


def test_plain_lists_become_arrays() -> None:
    found = Detections([[0, 0, 4, 4]], [0.5], [1], CLASSES, (4, 4))  # type: ignore[arg-type]  # lists, as users pass
    assert (found.xyxy.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int64)
    nothing = Detections([], [], [], CLASSES, (4, 4))  # type: ignore[arg-type]  # lists, as users pass
    assert (len(nothing), nothing.xyxy.shape, nothing.counts()) == (0, (0, 4), {})


@pytest.mark.parametrize(
    ("given_arrays", "message"),
    [
        (([[0, 0, 4]], [0.5], [1]), r"^xyxy of shape \(1, 3\), scores \(1,\) and class_ids \(1,\); expected \[N, 4\]"),
        (([[0, 0, 4, 4]], [0.5, 0.4], [1]), r"scores \(2,\) and class_ids \(1,\); expected \[N, 4\], \[N\] and \[N\]"),
        (([[0, 0, 4, 4]], [0.5], [3]), r"^class_ids from 3 to 3 for 3 class_names; expected 0 to 2\.$"),
        (([[0, 0, 4, 4]], [0.5], [-1]), r"^class_ids from -1 to -1 for 3 class_names"),
        (([[0, 0, 4, 4]], [0.5], [0.5]), r"^class_ids cannot be an array of int64 of \[N\] \(.*\)\.$"),
        (([[0, 0, 4, 4], [1]], [0.5], [1]), r"^xyxy cannot be an array of float32 of \[N, 4\] \(.*\)\.$"),
        (([["a", "b", "c", "d"]], [0.5], [1]), r"^xyxy cannot be an array of float32"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given_arrays: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Detections(*given_arrays, CLASSES, (4, 4))
