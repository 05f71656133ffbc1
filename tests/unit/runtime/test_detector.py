"""Boxes: where they lie in the image, which of them count, and what tiles add."""

import itertools
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bundles import write_bundle
from detectors import BLUE, RED, SCORES, detection_metadata, image, write_detector
from images import encoded, stored_as
from litevision.errors import BundleError, FileMissingError, ImageError, UsageError
from litevision.hub import load
from litevision.image import Preprocess
from litevision.runtime import Bundle, Classifier, Detection, Detections, Detector
from litevision.runtime.engines import TensorInfo
from litevision.runtime.engines.timing import count_changes
from litevision.runtime.predictor import preprocess_image
from litevision.runtime.tiles import merge_tiles, tile_boxes, touches_tile_edge

RED_BOX, BLUE_BOX = (16, 8, 48, 40), (60, 30, 90, 58)
BOTH = image((64, 96), (RED_BOX, RED), (BLUE_BOX, BLUE))


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    return Detector(Bundle.open(write_detector(tmp_path / "colours.onnx")))


def constant(path: Path, boxes: Any, scores: Any = None, classes: Any = None, **about: Any) -> Detector:
    scores, classes = scores or [0.9] * len(boxes), classes or [0] * len(boxes)
    return Detector(Bundle.open(write_detector(path / "constant.onnx", constant=(boxes, scores, classes), **about)))


def boxes(found: Detections) -> list[tuple[float, ...]]:
    return [it.box_xyxy for it in found]


def test_a_detector_may_be_pickled(detector: Detector) -> None:
    assert pickle.loads(pickle.dumps(detector)).predict(BOTH) == detector.predict(BOTH)  # our own


def test_what_is_found(tmp_path: Path) -> None:
    detector = load(write_detector(tmp_path / "it.onnx", size_hw=(64, 96)))
    assert isinstance(detector, Detector)
    first, second = detector.predict(BOTH)
    assert first == Detection("red", pytest.approx(SCORES[0]), 0, RED_BOX)
    assert second == Detection("blue", pytest.approx(SCORES[1]), 1, BLUE_BOX)


@pytest.mark.parametrize("image_hw", [(64, 96), (96, 64), (480, 640), (3000, 4000), (333, 77), (41, 1000)])
@pytest.mark.parametrize(("crop", "size_hw"), [("letterbox", (64, 64)), ("letterbox", (48, 80)), ("stretch", (40, 64))])
def test_boxes_come_back_to_the_image(
    tmp_path: Path, image_hw: tuple[int, int], crop: Any, size_hw: tuple[int, int]
) -> None:
    (height, width), (rows, columns) = image_hw, size_hw
    if crop == "stretch":
        shown_hw = size_hw
    else:
        scale = min(rows / height, columns / width)
        shown_hw = round(height * scale), round(width * scale)
    top, left = ((size - shown) // 2 for size, shown in zip(size_hw, shown_hw, strict=True))
    # In shares of what is shown of the image, which are the same in both.
    shares = [(0.0, 0.0, 1.0, 1.0), (0.125, 0.25, 0.75, 0.5)]
    given = [
        (left + x1 * shown_hw[1], top + y1 * shown_hw[0], left + x2 * shown_hw[1], top + y2 * shown_hw[0])
        for x1, y1, x2, y2 in shares
    ]
    found = constant(tmp_path, given, crop=crop, size_hw=size_hw).predict(np.zeros((height, width, 3), np.uint8))
    expected = [(x1 * width, y1 * height, x2 * width, y2 * height) for x1, y1, x2, y2 in shares]
    np.testing.assert_allclose(boxes(found), expected, atol=1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("crop", "size_hw"), [("letterbox", (64, 64)), ("stretch", (64, 64))])
def test_boxes_are_those_of_the_upright_image(
    tmp_path: Path, orientation: int, crop: str, size_hw: tuple[int, int]
) -> None:
    detector = load(write_detector(tmp_path / "it.onnx", size_hw=size_hw, crop=crop))
    upright = image((128, 64), ((12, 24, 40, 100), RED))
    for kind in ("PNG", "JPEG"):
        options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
        found = detector.predict(stored_as(upright, orientation, kind, **options))
        np.testing.assert_allclose(boxes(found), [(12, 24, 40, 100)], atol=1e-3)


def test_a_jpeg_that_is_decoded_small_keeps_its_boxes(detector: Detector) -> None:
    # At 1/16 of its size, of which the decoder does 1/8.
    large = image((1024, 1024), ((320, 160, 640, 800), RED))
    (found,) = detector.predict(encoded(large, "JPEG", quality=95))
    np.testing.assert_allclose(found.box_xyxy, (320, 160, 640, 800), atol=1e-3)


def test_boxes_are_cut_at_the_image_and_dropped_in_the_padding(tmp_path: Path) -> None:
    # An image of 64 x 32 lies in the rows 16 to 48 of 64 x 64.
    given = [(-5, 10, 20, 40), (0, 0, 64, 16), (10, 20, 10, 30), (30, 40, 99, 99)]
    found = constant(tmp_path, given).predict(np.zeros((32, 64, 3), np.uint8))
    assert boxes(found) == [(0, 0, 20, 24), (30, 24, 64, 32)]


def test_the_surest_comes_first(tmp_path: Path) -> None:
    given = [(0, 0, 8, 8), (8, 0, 16, 8), (16, 0, 24, 8), (24, 0, 32, 8)]
    found = constant(tmp_path, given, [0.5, 0.9, 0.9, 0.7], [0, 1, 0, 1]).predict(np.zeros((64, 64, 3), np.uint8))
    assert [(it.score, it.label, it.box_xyxy[0]) for it in found] == [
        (pytest.approx(0.9), "blue", 8),
        (pytest.approx(0.9), "red", 16),
        (pytest.approx(0.7), "blue", 24),
        (pytest.approx(0.5), "red", 0),
    ]


@pytest.mark.parametrize(
    ("thresholds", "score", "expected"),
    [
        (None, None, [0.875, 0.5, 0.375]),
        (None, 0.5, [0.875, 0.5]),
        (None, 0.0, [0.875, 0.5, 0.375, 0.25]),
        (None, 1.0, []),
        ([0.5, 0.25], None, [0.875, 0.5, 0.25]),
        ([0.5, 0.25], 0.375, [0.875, 0.5, 0.375]),
        ([0.0, 0.0], None, [0.875, 0.5, 0.375, 0.25]),
    ],
)
def test_from_which_score_on(tmp_path: Path, thresholds: Any, score: float | None, expected: list[float]) -> None:
    about = {} if thresholds is None else {"score_thresholds": thresholds}
    given = [(i, 0, i + 8, 8) for i in range(4)]
    detector = constant(tmp_path, given, [0.875, 0.5, 0.375, 0.25], [0, 1, 0, 1], **about)
    found = detector.predict(np.zeros((64, 64, 3), np.uint8), score)
    assert [it.score for it in found] == expected


def test_every_kind_of_source(detector: Detector, tmp_path: Path) -> None:
    file = tmp_path / "both.png"
    file.write_bytes(encoded(BOTH))
    found = [detector.predict(it) for it in (file, str(file), file.read_bytes(), Image.fromarray(BOTH), BOTH)]
    assert [it.label for it in found[0]] == ["red", "blue"]
    assert all(it == found[0] for it in found)


def test_a_bad_image_is_named(detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.jpg"):
        detector.predict(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="image of 4 bytes: not an image"):
        detector.predict(b"oops", tiles=2)


def test_nothing_is_detections_of_no_rows(detector: Detector) -> None:
    for size_hw, tiles in (((9, 9), 1), ((1, 1), 8)):
        found = detector.predict(np.zeros((*size_hw, 3), np.uint8), tiles=tiles)
        assert (len(found), found.labels, found.xyxy.shape) == (0, (), (0, 4))


def test_several_threads_may_ask(detector: Detector) -> None:
    images = [image((64, 64), ((i, i, i + 9, i + 9), (RED, BLUE)[i % 2])) for i in range(40)]
    alone = [detector.predict(it) for it in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector.predict, images)) == alone


def test_engines_agree(tmp_path: Path) -> None:
    bundle = write_detector(tmp_path / "it.onnx", size_hw=(64, 96))
    ours, theirs = (Detector(Bundle.open(bundle, engine=engine)) for engine in ("onnxruntime", "openvino"))
    assert theirs.predict(BOTH) == ours.predict(BOTH)
    batch = ours.preprocess.batch([BOTH, BOTH[:, ::-1].copy()])
    assert count_changes(theirs.bundle.engine, ours.bundle.engine, batch) == 0


# Tiles


@pytest.mark.parametrize("image_hw", [(600, 800), (800, 600), (500, 500), (90, 1000)])
@pytest.mark.parametrize("tiles", range(2, 9))
@pytest.mark.parametrize("crop", ["letterbox", "stretch"])
def test_tiles_cover_the_image(image_hw: tuple[int, int], tiles: int, crop: Any) -> None:
    height, width = image_hw
    found = tile_boxes(image_hw, Preprocess((64, 64), 64, crop), tiles)
    seen = np.zeros(image_hw, bool)
    for x1, y1, x2, y2 in found:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        seen[y1:y2, x1:x2] = True
    assert seen.all()
    assert len({(x2 - x1, y2 - y1) for x1, y1, x2, y2 in found}) == 1
    if min(image_hw) >= 90:
        per_axis = [len({box[axis] for box in found}) for axis in (0, 1)]
        assert max(per_axis) == tiles
        for axis, length in ((0, width), (1, height)):
            starts = sorted({box[axis] for box in found})
            side = found[0][axis + 2] - found[0][axis]
            assert all(after - before <= 0.8 * side + 1 for before, after in itertools.pairwise(starts))
            assert (starts[0], starts[-1] + side) == (0, length)


@pytest.mark.parametrize("crop", ["letterbox", "stretch"])
@pytest.mark.parametrize("image_hw", [(3, 3), (64, 64), (65, 500), (100, 70), (200, 300), (64, 2000), (128, 128)])
def test_no_tile_is_smaller_than_the_input(image_hw: tuple[int, int], crop: Any) -> None:
    """It would be enlarged, which shows nothing more; an image of the input's size has none."""
    counts = []
    for tiles in range(2, 9):
        found = tile_boxes(image_hw, Preprocess((64, 64), 64, crop), tiles)
        for x1, y1, x2, y2 in found:
            sides = [(x2 - x1, image_hw[1]), (y2 - y1, image_hw[0])]
            assert all(side >= min(64, whole) for side, whole in sides)
        counts.append(len(found))
    assert counts == sorted(counts)
    assert (counts[-1] == 0) == (max(image_hw) <= 64)


def test_tiles_have_the_shape_of_the_input() -> None:
    assert len(tile_boxes((500, 1000), Preprocess((64, 128), 64, "letterbox"), 2)) == 4
    assert len(tile_boxes((250, 1000), Preprocess((64, 64), 64, "letterbox"), 2)) == 2
    assert len(tile_boxes((250, 1000), Preprocess((64, 64), 64, "stretch"), 2)) == 4


def test_tiles_show_what_is_too_small_in_the_whole(detector: Detector) -> None:
    dots = image((960, 960), ((105, 200, 120, 212), RED), ((800, 604, 816, 618), BLUE))
    assert len(detector.predict(dots)) == 0
    found = detector.predict(dots, tiles=5)
    assert [it.label for it in found] == ["red", "blue"]
    np.testing.assert_allclose(boxes(found), [(105, 200, 120, 212), (800, 604, 816, 618)], atol=4)


@pytest.mark.parametrize("tiles", range(1, 9))
def test_one_object_is_found_once(detector: Detector, tiles: int) -> None:
    """Whatever tiles it lies in, and however many cut it."""
    for box in [(96, 96, 544, 480), (0, 0, 640, 640), (300, 10, 340, 630), (560, 560, 640, 640)]:
        found = detector.predict(image((640, 640), (box, RED)), tiles=tiles)
        assert len(found) == 1
        np.testing.assert_allclose(boxes(found), [box], atol=10)


def test_tiles_of_a_turned_jpeg(detector: Detector) -> None:
    upright = image((960, 480), ((99, 700, 111, 714), RED))
    for orientation in (1, 6):
        (found,) = detector.predict(stored_as(upright, orientation, "JPEG", quality=95), tiles=6)
        np.testing.assert_allclose(found.box_xyxy, (99, 700, 111, 714), atol=4)


def test_boxes_of_one_view_stay_beside_each_other() -> None:
    given = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 9, 10], [0, 0, 10, 10], [0, 0, 4, 10]], np.float32)
    classes = np.array([0, 0, 0, 1, 0])
    #                               the surest   same view   another view   another class   little overlap
    assert merge_tiles(given, classes, np.array([0, 0, 1, 1, 1])).tolist() == [True, True, False, True, True]
    assert merge_tiles(given[:0], classes[:0], classes[:0]).tolist() == []


def test_what_has_been_dropped_drops_nothing() -> None:
    given = np.array(
        [[0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 3.5]], np.float32
    )  # a chain: each is half the one before
    assert merge_tiles(given, np.zeros(3, np.int64), np.arange(3)).tolist() == [True, False, True]


def test_only_inner_edges_cut() -> None:
    given = np.array([[0, 0, 50, 50], [51, 20, 80, 80], [60, 60, 98.5, 80], [60, 60, 97, 97]], np.float32)
    ends = partial(touches_tile_edge, given, image_hw=(200, 200), input_hw=(50, 50))
    assert ends((0, 0, 100, 100), input_hw=(100, 100)).tolist() == [False, False, True, False]
    assert ends((0, 0, 100, 100)).tolist() == [False, False, True, True]
    assert ends((50, 0, 150, 100)).tolist() == [True, True, False, True]


# Faults


@pytest.mark.parametrize("tiles", [0, -1, 9])
def test_tiles_out_of_range(detector: Detector, tiles: int) -> None:
    with pytest.raises(UsageError, match=rf"^tiles {tiles}; expected 1 to 8 on the longer side\.$"):
        detector.predict(BOTH, tiles=tiles)


@pytest.mark.parametrize("score", [-0.1, 1.5, float("nan")])
def test_a_score_out_of_range(detector: Detector, score: float) -> None:
    with pytest.raises(UsageError, match=f"^score {score}; expected 0 to 1"):
        detector.predict(BOTH, score)


def test_another_task_is_refused(tmp_path: Path) -> None:
    finder, namer = write_detector(tmp_path / "finder.onnx"), write_bundle(tmp_path / "namer.onnx")
    for predictor, path, message in (
        (
            Classifier,
            finder,
            "finder.onnx: a bundle for detection; expected one for classification. Use litevision.load_d",
        ),
        (
            Detector,
            namer,
            "namer.onnx: a bundle for classification; expected one for detection. Use litevision.load_cl",
        ),
    ):
        with pytest.raises(BundleError, match=re.escape(message)):
            predictor(Bundle.open(path))


def test_other_outputs_are_refused(tmp_path: Path) -> None:
    file = write_detector(tmp_path / "it.onnx", outputs=("boxes", "scores"))
    with pytest.raises(
        BundleError, match=r"its outputs are 'boxes', .*; expected boxes \[N, K, 4\] and scores \[N, K\]"
    ):
        load(file)
    file = write_bundle(tmp_path / "it.onnx", metadata=detection_metadata(labels=("a", "b", "c"), size_hw=(8, 8)))
    with pytest.raises(BundleError, match=r"its outputs are 'probabilities', .* and classes \[N, K\] of int64\. Make"):
        load(file)


def test_a_middle_that_is_cut_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cuts the middle out of images; expected crop 'letterbox' or 'stretch'"):
        load(write_detector(tmp_path / "it.onnx", crop="center"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([(0, 0, float("nan"), 8)], [0.9], [0]), "outputs NaN or inf; its weights are corrupted"),
        (([(0, 0, 8, 8)], [float("inf")], [0]), "outputs NaN or inf; its weights are corrupted"),
        (([(0, 0, 8, 8)] * 2, [0.9, 0.9], [0, 2]), "gives classes from 0 to 2 for 2 labels"),
        (([(0, 0, 8, 8)] * 2, [0.9, 0.9], [-1, 1]), "gives classes from -1 to 1 for 2 labels"),
    ],
)
def test_a_broken_model_is_no_answer(tmp_path: Path, given: Any, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        constant(tmp_path, *given).predict(BOTH)


# Many images


def test_many_images_go_through_the_same_stream(detector: Detector) -> None:
    sources = [image((64, 64), ((i, 0, i + 9, 9), RED)) if i % 7 else b"oops" for i in range(40)]
    results = list(detector.stream(sources, on_error="keep", workers=3))
    assert [it.error is None for it in results] == [i % 7 > 0 for i in range(40)]
    assert [it.predictions.xyxy[0, 0] for it in results if not it.error] == [i for i in range(40) if i % 7]


def test_images_of_any_number_of_slices_share_a_batch(detector: Detector) -> None:
    inference = detector.inference()
    frame = preprocess_image(detector.inference(tiles=3, keep_image=True).preprocess, BOTH, "clip.mp4#t=1.000")
    alone = detector.predict(BOTH), detector.predict(BOTH, tiles=3)
    results = inference.run([BOTH, frame, BOTH])
    assert [it.predictions for it in results] == [alone[0], alone[1], alone[0]]
    assert results[1].name == "clip.mp4#t=1.000"
    assert np.array_equal(results[1].predictions.image, BOTH)


def test_counts_below_one_are_refused_at_once(detector: Detector) -> None:
    with pytest.raises(UsageError, match="workers 0 and batch_size 4; expected at least 1 of each"):
        detector.stream([], workers=0)


@pytest.mark.parametrize(
    "shapes",
    [
        {"boxes": (1, 2, 4), "scores": (1, 3), "classes": (1, 2)},
        {"boxes": (1, 3, 4), "scores": (1, 3), "classes": (1, 2)},
        {"boxes": (1, 2, 5), "scores": (1, 2), "classes": (1, 2)},
        {"boxes": (2, 2, 4), "scores": (2, 2), "classes": (2, 2)},
        {"boxes": (4,), "scores": (), "classes": ()},
    ],
)
def test_outputs_that_do_not_fit_each_other_are_one_line(shapes: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    bundle = Bundle.open(write_detector(tmp_path / "d.onnx"))
    outputs = {name: np.zeros(shape, np.int64 if name == "classes" else np.float32) for name, shape in shapes.items()}
    detector = Detector(bundle)
    detector.bundle = replace(bundle, engine=SimpleNamespace(run=lambda batch: outputs))
    with pytest.raises(BundleError, match=r"d\.onnx: gives boxes .*; expected \(N, K, 4\), \(N, K\) and \(N, K\)"):
        detector.predict(np.zeros((64, 64, 3), np.uint8))


def test_an_output_without_axes_is_one_line(tmp_path: Path) -> None:
    bundle = Bundle.open(write_detector(tmp_path / "d.onnx"))
    infos = (TensorInfo("boxes", "float", ()), *bundle.engine.outputs[1:])
    engine = SimpleNamespace(outputs=infos, inputs=bundle.engine.inputs)
    with pytest.raises(BundleError, match=r"its outputs are 'boxes', tensor\(float\) of \[\]"):
        Detector(replace(bundle, engine=engine))
