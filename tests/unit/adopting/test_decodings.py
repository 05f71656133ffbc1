"""Each decoding finds the box that its outputs were made for, and is recognised by them."""

from pathlib import Path

import numpy as np
import pytest

import litevision as lv
from foreign_files import SIDE, constant, saved
from litevision.adopting.decodings import DECODINGS
from litevision.errors import UsageError

LABELS = ("cat", "dog", "fox")
WHITE = np.full((SIDE, SIDE, 3), 255, np.uint8)
CELLS = [(SIDE // stride) ** 2 for stride in (8, 16, 32)]


def yolox():
    rows = np.zeros((1, sum(CELLS), 8), np.float32)
    rows[0, 2 * 8 + 3] = [0.5, 0.25, np.log(2), np.log(1.5), 0.9, 0.1, 0.8, 0.1]  # row 2, column 3 of stride 8
    rows[0, 64 + 1] = [0, 1, 0, 0, 0.5, 0.9, 0, 0]  # row 0, column 1 of stride 16
    return {"output": rows}, {"output": (2, slice(4, 5))}, [((20, 12, 36, 24), 0.72, 1), ((8, 8, 24, 24), 0.45, 0)]


def yolov5():
    rows = np.zeros((1, 50, 8), np.float32)
    rows[0, 7] = [28, 18, 16, 12, 0.9, 0.1, 0.8, 0.1]
    return {"output": rows}, {"output": (2, slice(4, 5))}, [((20, 12, 36, 24), 0.72, 1)]


def yolov8():
    columns = np.zeros((1, 7, 84), np.float32)
    columns[0, :, 7] = [28, 18, 16, 12, 0.1, 0.72, 0]
    columns[0, :, 8] = [29, 18, 16, 12, 0, 0.6, 0]  # overlaps the one above
    columns[0, :, 9] = [16, 16, 16, 16, 0, 0, 0.5]
    return {"output0": columns}, {"output0": (1, slice(4, 7))}, [((20, 12, 36, 24), 0.72, 1), ((8, 8, 24, 24), 0.5, 2)]


def fastestdet():
    maps = np.zeros((1, 8, 4, 4), np.float32)
    maps[0, 5] = 1
    maps[0, :, 1, 2] = [0.9, np.arctanh(0.5), np.arctanh(-0.25), 0, np.log(1 / 3), 0.2, 0.7, 0.1]  # row 1, column 2
    # The centre is (2.5, 0.75) cells of 16 px, the size a half and a quarter of 64 px.
    return {"758": maps}, {"758": (1, slice(0, 1))}, [((24, 4, 56, 20), 0.9**0.6 * 0.7**0.4, 1)]


def sharp(*bins: int, width: int = 8):
    """Logits of four distributions that are certain."""
    return (np.eye(width, dtype=np.float32)[list(bins)] * 60).ravel()


def nanodet():
    scores = [np.zeros((1, cells, 3), np.float32) for cells in CELLS]
    sides = [np.zeros((1, cells, 32), np.float32) for cells in CELLS]
    scores[1][0, 4 + 2, 1], sides[1][0, 4 + 2] = (
        0.8,
        sharp(1, 0, 2, 1),
    )  # row 1, column 2 of stride 16: the point (39.5, 23.5)
    outputs = {f"cls_{i}": it for i, it in enumerate(scores)} | {f"dis_{i}": it for i, it in enumerate(sides)}
    return outputs, {f"cls_{i}": (2, slice(None)) for i in range(3)}, [((23.5, 23.5, 71.5, 39.5), 0.8, 1)]


def picodet():
    cells = [*CELLS, 1]
    scores = [np.zeros((1, number, 3), np.float32) for number in cells]
    sides = [np.zeros((1, number, 32), np.float32) for number in cells]
    scores[1][0, 4 + 2, 1], sides[1][0, 4 + 2] = 0.8, sharp(1, 0, 1, 1)  # the point (40, 24)
    outputs = {f"s{i}": it for i, it in enumerate(scores)} | {f"d{i}": it for i, it in enumerate(sides)}
    return outputs, {f"s{i}": (2, slice(None)) for i in range(4)}, [((24, 24, 56, 40), 0.8, 1)]


def nanodet_plus():
    rows = np.zeros((1, sum(CELLS) + 1, 3 + 32), np.float32)
    rows[0, 64 + 4 + 2] = [0, 0.8, 0.1, *sharp(1, 0, 1, 1)]  # the point (32, 16)
    return {"output": rows}, {"output": (2, slice(0, 3))}, [((16, 16, 48, 32), 0.8, 1)]


def detr():
    outputs = {
        "labels": np.array([[2, 0]], np.int64),
        "boxes": np.array([[[1, 2, 30, 40], [5, 6, 60, 64]]], np.float32),
        "scores": np.array([[0.8, 0.6]], np.float32),
    }
    return outputs, {"scores": (1, slice(None))}, [((1, 2, 30, 40), 0.8, 2), ((5, 6, 60, 64), 0.6, 0)]


def torchvision():
    outputs = {
        "boxes": np.array([[1, 2, 30, 40], [5, 6, 60, 64]], np.float32),
        "scores": np.array([0.8, 0.6], np.float32),
        "labels": np.array([3, 1], np.int64),
    }
    return outputs, {"scores": (0, slice(None))}, [((1, 2, 30, 40), 0.8, 2), ((5, 6, 60, 64), 0.6, 0)]


def end_to_end():
    rows = np.array([[[1, 2, 30, 40, 0.8, 2], [5, 6, 60, 64, 0.6, 0]]], np.float32)
    return {"output0": rows}, {"output0": (2, slice(4, 5))}, [((1, 2, 30, 40), 0.8, 2), ((5, 6, 60, 64), 0.6, 0)]


CASES = {
    "yolox": yolox,
    "yolov5": yolov5,
    "yolov8": yolov8,
    "fastestdet": fastestdet,
    "nanodet": nanodet,
    "nanodet-plus": nanodet_plus,
    "picodet": picodet,
    "detr": detr,
    "torchvision": torchvision,
    "end-to-end": end_to_end,
}


def test_every_detector_has_a_case():
    assert {*CASES} == {name for name, row in DECODINGS.items() if row.task == "detection"}


@pytest.mark.parametrize("name", CASES)
def test_a_detector_finds_what_its_outputs_say(name, tmp_path: Path):
    outputs, dimmed, expected = CASES[name]()
    shape = (3, SIDE, SIDE) if name == "torchvision" else (1, 3, SIDE, SIDE)
    if name == "torchvision":  # an image without a batch axis
        file = saved(constant_unbatched(outputs), tmp_path)
    else:
        file = saved(constant(outputs, dimmed, shape=shape), tmp_path)
    record = lv.adopt(file, tmp_path / "own.onnx", labels=LABELS, normalisation="unit", crop="stretch")
    assert record.architecture.arguments["decoding"] == name
    found = lv.load_detector(tmp_path / "own.onnx", threads=1).predict(WHITE, 0.2)
    assert [(it.label, round(it.score, 3)) for it in found] == [
        (LABELS[label], round(score, 3)) for _, score, label in expected
    ]
    np.testing.assert_allclose(found.xyxy, np.clip([box for box, *_ in expected], 0, SIDE), atol=1e-3)


def constant_unbatched(outputs):
    from foreign_files import foreign

    def build(nodes, x):
        mean = nodes.op("ReduceMean", x, axes=[0, 1, 2], keepdims=0)
        factor = nodes.op("Add", nodes.op("Mul", mean, nodes.floats(0.1)), nodes.floats(0.9))
        found = {name: nodes.constant(value) for name, value in outputs.items()}
        return found | {"scores": nodes.op("Mul", found["scores"], factor)}

    return foreign(build, (3, SIDE, SIDE), integers=["labels"])


def test_torchvisions_coco_numbers_become_the_80_names(tmp_path: Path):
    outputs, *_ = torchvision()
    outputs["labels"] = np.array([90, 1], np.int64)
    file = saved(constant_unbatched(outputs), tmp_path)
    lv.adopt(file, tmp_path / "own.onnx", preset="ssdlite")
    found = lv.load_detector(tmp_path / "own.onnx", threads=1).predict(WHITE)
    assert list(found.labels) == ["toothbrush", "person"]


def test_scores_before_their_sigmoid_are_told_by_their_range(tmp_path: Path):
    outputs, _, [(box, score, label)] = nanodet_plus()
    rows = outputs["output"]
    rows[..., :3] = -9
    rows[0, 64 + 4 + 2, label] = np.log(score / (1 - score))
    lv.adopt(
        saved(constant(outputs, {"output": (2, slice(0, 3))}), tmp_path),
        tmp_path / "own.onnx",
        labels=LABELS,
        normalisation="unit",
        crop="stretch",
    )
    found = lv.load_detector(tmp_path / "own.onnx", threads=1).predict(WHITE)
    assert found.scores.tolist() == pytest.approx([score], abs=1e-3)
    np.testing.assert_allclose(found.xyxy, [box], atol=1e-3)


def test_boxes_in_units_of_the_image_are_told_by_their_range(tmp_path: Path):
    outputs, dimmed, expected = detr()
    outputs["boxes"] /= SIDE
    lv.adopt(
        saved(constant(outputs, dimmed), tmp_path),
        tmp_path / "own.onnx",
        labels=LABELS,
        normalisation="unit",
        crop="stretch",
    )
    found = lv.load_detector(tmp_path / "own.onnx", threads=1).predict(WHITE)
    np.testing.assert_allclose(found.xyxy, [box for box, *_ in expected], atol=1e-3)


def test_what_fits_nothing_is_told_why_by_each_decoding(tmp_path: Path):
    file = saved(constant({"strange": np.ones((1, 7, 9), np.float32)}, {"strange": (2, slice(None))}), tmp_path)
    with pytest.raises(UsageError, match=r"strange \[1, 7, 9\] fit no decoding: softmax needs one output") as told:
        lv.adopt(file, tmp_path / "own.onnx", labels=LABELS, normalisation="unit")
    assert all(name in str(told.value) for name, row in DECODINGS.items())
    assert not (tmp_path / "own.onnx").exists()


def test_a_stated_decoding_that_does_not_fit_is_refused(tmp_path: Path):
    outputs, dimmed, _ = yolov5()
    file = saved(constant(outputs, dimmed), tmp_path)
    with pytest.raises(UsageError, match="are not of the decoding 'yolox': it needs 84 or 85 cells, got 50"):
        lv.adopt(file, tmp_path / "own.onnx", labels=LABELS, normalisation="unit", decoding="yolox")
