"""A NanoDet's bundle: non-maximum suppression inside, and a check that sees what is wrong."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from exports import IMAGENET, LABELS, WEIGHTS
from images import noise
from litevision import export, load_detector
from litevision.detections import box_iou
from litevision.errors import ExportError
from litevision.exporting.bundle import export_bundle
from litevision.exporting.formats import format_of
from litevision.models.nanodet import NMS_IOU, NMS_SCORE, NanoDet, NanoDetConfig, decode_cells
from litevision.runtime import Bundle
from litevision.runtime.engines.adapted import AdaptedEngine
from litevision.runtime.engines.base import Outputs
from litevision.runtime.suppression import Suppression
from litevision.tasks.detection.export import check_detection_bundle
from litevision.weights.load import load_network
from networks import fill

SIZE_HW = (64, 96)
IMAGES = np.stack([noise(*SIZE_HW, seed) for seed in range(3)])


@pytest.fixture(scope="module")
def network() -> NanoDet:
    made = fill(NanoDetConfig("nanodet_m", len(LABELS)).build())
    for head in made.heads:
        head.output.weight.data *= 0.1  # scores of all heights, as of a trained network
        head.output.bias.data[: len(LABELS)] -= 2
    return made


@pytest.fixture(scope="module")
def made(network: NanoDet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "it.onnx"
    export_bundle(
        network,
        path,
        labels=LABELS,
        preprocess=NanoDetConfig.default_preprocess(SIZE_HW),
        normalisation=IMAGENET,
        weights=WEIGHTS,
        training_data="nothing",
    )
    return path


def test_the_graph_suppresses_what_overlaps_class_by_class(network: NanoDet, made: Path) -> None:
    from litevision.exporting.graph import FromRaw

    with torch.inference_mode():
        maps = FromRaw(network, IMAGENET).answer(torch.from_numpy(IMAGES))
        dense = [part.numpy() for part in decode_cells(maps, network.points(SIZE_HW), SIZE_HW)]
    for got in (Bundle.open(made).run(IMAGES), Bundle.open(made, engine="openvino").run(IMAGES)):
        assert {name: array.dtype for name, array in got.items()} == {
            "boxes": np.float32,
            "scores": np.float32,
            "classes": np.int64,
        }
        for boxes, scores, *answer in zip(*dense, got["boxes"], got["scores"], got["classes"], strict=True):
            _assert_suppressed(boxes, scores, *answer)


def _assert_suppressed(
    boxes: np.ndarray, scores: np.ndarray, found: np.ndarray, found_scores: np.ndarray, classes: np.ndarray
) -> None:
    """What is given is what greedy suppression keeps of the dense answers, the best 100 of it."""
    kept = []
    for label in range(scores.shape[1]):
        left = [cell for cell in np.argsort(-scores[:, label]) if scores[cell, label] > NMS_SCORE]
        while left:
            best, *rest = left
            kept.append((scores[best, label], label, best))
            overlaps = box_iou(boxes[[best]], boxes[rest])[0] if rest else []
            left = [cell for cell, overlap in zip(rest, overlaps, strict=True) if overlap <= NMS_IOU]
    kept = sorted(kept, key=lambda it: -it[0])[:100]
    assert len(kept) > 20, "too few to tell anything"
    np.testing.assert_allclose(found_scores[: len(kept)], [score for score, *_ in kept], atol=1e-5)
    np.testing.assert_array_equal(classes[: len(kept)], [label for _, label, _ in kept])
    np.testing.assert_allclose(found[: len(kept)], boxes[[cell for *_, cell in kept]], atol=1e-2)
    assert not found_scores[len(kept) :].any()


@pytest.mark.parametrize("name", ["it.ncnn", "it.mlpackage"])
def test_formats_that_leave_suppression_to_others_say_how_it_is_done(made: Path, name: str, tmp_path: Path) -> None:
    pytest.importorskip("ncnn" if name == "it.ncnn" else "coremltools")
    images = [noise(80, 90, seed) for seed in range(3)]
    metadata = export(made, tmp_path / name, check_images=images, sidecar=True)
    assert metadata.suppression == Suppression(NMS_IOU, NMS_SCORE, 100)
    assert metadata.check.max_abs_diff < 1e-4
    engine = format_of(tmp_path / name).open(tmp_path / name, metadata)
    assert isinstance(engine, AdaptedEngine)
    assert {it.name: len(it.shape) for it in engine.inner.outputs} == {"cell_boxes": 3, "cell_scores": 3}
    for image_u8_nhwc in np.split(IMAGES, len(IMAGES)):
        assert_same_boxes(engine.run(image_u8_nhwc), Bundle.open(made).run(image_u8_nhwc))
    if name == "it.ncnn":
        record = json.loads((tmp_path / name / "litevision.json").read_text("utf-8"))
        decoding = {key: record["decoding"][key] for key in ("kind", "iou_threshold", "score_threshold", "top_k")}
        assert decoding == {"kind": "nms", "iou_threshold": NMS_IOU, "score_threshold": NMS_SCORE, "top_k": 100}
        header = (tmp_path / name / "model.h").read_text("utf-8")
        assert "#define MODEL_NMS_IOU 0.6f\n#define MODEL_NMS_SCORE 0.05f\n#define MODEL_NMS_MOST 100\n" in header
        assert len(load_detector(tmp_path / name).predict(noise(200, 100), 0.1))


def assert_same_boxes(got: Outputs, expected: Outputs) -> None:
    """Rounding may swap boxes of about one score, and decides which is the last."""
    np.testing.assert_allclose(got["scores"], expected["scores"], atol=1e-4)
    ordered = []
    for answer in (got, expected):
        [scores], [classes], [boxes] = (answer[key] for key in ("scores", "classes", "boxes"))
        is_sure = scores > expected["scores"].min() + 1e-3
        assert is_sure.sum() > 20
        order = np.lexsort((scores[is_sure], classes[is_sure]))
        ordered.append((classes[is_sure][order], boxes[is_sure][order]))
    (classes, boxes), (expected_classes, expected_boxes) = ordered
    np.testing.assert_array_equal(classes, expected_classes)
    np.testing.assert_allclose(boxes, expected_boxes, atol=0.05)


def test_its_weights_come_back(network: NanoDet, made: Path) -> None:
    again = load_network(made)
    assert isinstance(again, NanoDet)
    image = torch.from_numpy(IMAGES[:1]).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        for ours, theirs in zip(again(image), network(image), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_the_detector_pads_with_black_and_names_what_it_finds(made: Path) -> None:
    detector = load_detector(made)
    assert detector.preprocess.padding == 0
    found = detector.predict(noise(200, 100), 0.1)
    assert set(found.counts()) <= set(LABELS)
    assert len(found)


def test_the_check_sees_a_graph_that_suppresses_otherwise(network: NanoDet, made: Path, tmp_path: Path) -> None:
    for change in (_threshold, _score, _lift):
        model = onnx.load(made)
        change(model)
        onnx.save(model, tmp_path / "it.onnx")
        with pytest.raises(ExportError, match="the bundle does not match its module"):
            check_detection_bundle(tmp_path / "it.onnx", network, IMAGENET, list(IMAGES))


def _constant_of(model: onnx.ModelProto, place: int) -> onnx.TensorProto:
    [node] = [node for node in model.graph.node if node.op_type == "NonMaxSuppression"]
    [constant] = [one for one in model.graph.initializer if one.name == node.input[place]]
    return constant


def _threshold(model: onnx.ModelProto) -> None:
    constant = _constant_of(model, 3)
    constant.CopyFrom(onnx.numpy_helper.from_array(np.array([0.9], np.float32), constant.name))


def _score(model: onnx.ModelProto) -> None:
    constant = _constant_of(model, 4)
    constant.CopyFrom(onnx.numpy_helper.from_array(np.array([0.4], np.float32), constant.name))


def _lift(model: onnx.ModelProto) -> None:
    [bias] = [one for one in model.graph.initializer if one.name == "network.heads.0.output.bias"]
    values = onnx.numpy_helper.to_array(bias).copy()
    values[0] += 0.01
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
