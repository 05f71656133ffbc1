"""NanoDets against the files that they are read from, run in their own engines on real images."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import litevision
from litevision.detections import box_iou
from litevision.image import Preprocess
from litevision.models.nanodet import NanoDet, decode_cells
from litevision.models.pretrained import normalise
from litevision.weights.facts import NORMALISATIONS
from litevision.weights.load import load_network

IMAGES = ("multi_objects.jpg", "cats_and_dogs.jpg", "kite_and_cold.jpg")
FEATURES = ("528", "743", "846")  # of the ONNX file, at strides 8, 16 and 32


@pytest.fixture(scope="module")
def detectors(shared: Path) -> Path:
    folder = shared / "detectors"
    if not folder.is_dir():
        pytest.skip("needs ../shared/detectors, which is not here")
    return folder


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).parents[2] / "tools/score_originals.py"
    spec = importlib.util.spec_from_file_location("score_originals", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pixels(path: Path, side: int) -> np.ndarray:
    return Preprocess((side, side), side, "letterbox", pad_value=0)(path)


def tensor(image_u8_hwc: np.ndarray) -> torch.Tensor:
    return normalise(torch.from_numpy(image_u8_hwc).permute(2, 0, 1)[None], NORMALISATIONS["imagenet"])


def assert_same_detections(found: tuple[np.ndarray, ...], original: tuple[np.ndarray, ...], least: int) -> None:
    """Each clear detection of one is one of the other's, to IoU 0.99 and a score of 1e-3."""
    for one, other in ((found, original), (original, found)):
        boxes, scores, labels = other
        clear = one[1] > max(0.06, scores.min() + 0.01)
        assert clear.sum() >= least
        for box, score, label in zip(*(part[clear] for part in one), strict=True):
            fits = (labels == label) & (np.abs(scores - score) < 1e-3)
            assert (box_iou(box[None], boxes[fits]) > 0.99).any(), (box, score, label)


def test_nanodet_m_is_its_onnx_file(detectors: Path, shared: Path, tool: ModuleType, tmp_path: Path) -> None:
    path = detectors / "nanodet_m_320.onnx"
    network = load_network(path).eval()
    assert isinstance(network, NanoDet)
    model = onnx.load(path)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in FEATURES)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    litevision.export(path, tmp_path / "it.onnx")
    litevision.export(tmp_path / "it.onnx", tmp_path / "it.tflite")
    files = [litevision.load_detector(tmp_path / name).bundle for name in ("it.onnx", "it.tflite")]
    original = tool.original(path)
    for name in IMAGES:
        image = pixels(shared / "data/photos" / name, 320)
        theirs = session.run(FEATURES, {"input.1": tensor(image).flip(1).numpy()})
        with torch.inference_mode():
            for ours, feature in zip(network.backbone(tensor(image)), theirs, strict=True):
                np.testing.assert_allclose(ours.numpy(), feature, atol=2e-5)
        for bundle in files:
            got = bundle.run(image[None])
            kept = got["scores"][0] > 0
            found = tuple(got[key][0][kept] for key in ("boxes", "scores", "classes"))
            assert_same_detections(found, original(image), least=3)


def test_nanodet_plus_m_is_its_ncnn_file(detectors: Path, shared: Path, tool: ModuleType) -> None:
    pytest.importorskip("ncnn", reason="needs ncnn, the engine of the original file")
    path = detectors / "nanodet_plus_m_416.ncnn.param"
    network = load_network(path).eval()
    assert isinstance(network, NanoDet)
    run: Callable[[np.ndarray], tuple[Any, ...]] = tool._ncnn(path)
    for name in IMAGES:
        image = pixels(shared / "data/photos" / name, 416)
        scores, edges, _ = run(np.ascontiguousarray(tensor(image).flip(1)[0].numpy()))
        with torch.inference_mode():
            boxes, ours = decode_cells(network(tensor(image)), network.points((416, 416)), (416, 416))
        np.testing.assert_allclose(ours[0].numpy(), scores, atol=1e-4)
        theirs = tool.dense_boxes(edges, (416, 416), is_plus=True)
        clear = scores.max(1) > 0.05
        overlaps = np.diagonal(box_iou(boxes[0].numpy()[clear], theirs[clear]))
        assert overlaps.min() > 0.99
        assert len(overlaps) > 10
