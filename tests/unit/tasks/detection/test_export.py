"""From a detector to a checked detection bundle, or to a refusal that leaves nothing behind."""

import copy
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from exports import IMAGENET, LABELS, WEIGHTS
from images import noise
from litevision.errors import ExportError, LitevisionError
from litevision.exporting.bundle import export_bundle
from litevision.image import Preprocess
from litevision.models import NetworkConfig, configure
from litevision.models.centernet import CenterNet, CenterNetConfig
from litevision.runtime import Bundle, BundleMetadata
from litevision.runtime.metadata import NORMALISATIONS
from litevision.tasks.detection.export import RawToDetections
from networks import SHORT_ROWS, fill

SIZE_HW = (52, 75)


@functools.cache
def detector(name: str, neck: str) -> CenterNet:
    backbone = configure(name, rows=SHORT_ROWS[name])
    return fill(CenterNet(CenterNetConfig(backbone, 10, neck)))


def export(network: CenterNet, path: Path, size_hw: tuple[int, int] = SIZE_HW, **changes: Any) -> BundleMetadata:
    arguments = {
        "labels": LABELS,
        "preprocess": Preprocess(size_hw, max(size_hw), "letterbox"),
        "normalisation": IMAGENET,
        "weights": WEIGHTS,
        "training_data": "nothing",
        **changes,
    }
    return export_bundle(network, path, **arguments)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "it.onnx"
    export(detector("mobilenet_v2", "light"), path)
    return path


@pytest.fixture
def at_hand(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the export for tests of what follows it."""
    monkeypatch.setattr("litevision.exporting.bundle.to_onnx", lambda *_: onnx.load(made))


def assert_answers_as_torch(path: Path, network: CenterNet, top_k: int) -> None:
    """Random images have no ties, so the lists agree line by line."""
    batch_u8_nhwc = np.stack([noise(*SIZE_HW, seed) // (1 + seed) for seed in range(3)])
    with torch.inference_mode():
        expected = RawToDetections(network, IMAGENET, top_k)(torch.from_numpy(batch_u8_nhwc))
    bundle = Bundle.open(path)
    for rows in (slice(0, 3), slice(1, 2)):
        got = bundle.run(batch_u8_nhwc[rows])
        assert list(got) == ["boxes", "scores", "classes"]
        assert [got[name].dtype for name in got] == [np.float32, np.float32, np.int64]
        np.testing.assert_allclose(got["scores"], expected.scores[rows].numpy(), rtol=0, atol=1e-4)
        kept = got["scores"] > 0
        np.testing.assert_array_equal(got["classes"][kept], expected.classes[rows].numpy()[kept])
        np.testing.assert_allclose(got["boxes"][kept], expected.boxes[rows].numpy()[kept], rtol=1e-4, atol=0.01)
    assert expected.scores.std() > 0.02, "answers too flat to tell detectors apart"
    assert len(set(expected.classes.flatten().tolist())) > 3


@pytest.mark.parametrize(
    ("name", "neck"), [("shufflenet_v2_x0_5", "light"), ("mobilenet_v1", "dlaup"), ("mobilenet_v3_large", "reshape")]
)
def test_answers_as_the_module_does(name: str, neck: str, tmp_path: Path) -> None:
    network = detector(name, neck)
    metadata = export(network, tmp_path / "it.onnx", options={"top_k": 20})
    assert (metadata.check.images, metadata.check.top1_agreement) == (4, 1.0)
    assert 0 <= metadata.check.max_abs_diff < 1e-4
    assert_answers_as_torch(tmp_path / "it.onnx", network, 20)


def test_the_default_neck_and_what_the_bundle_says(made: Path) -> None:
    network = detector("mobilenet_v2", "light")
    assert_answers_as_torch(made, network, 100)
    model = onnx.load(made)
    shapes = {
        out.name: [d.dim_param or d.dim_value for d in out.type.tensor_type.shape.dim] for out in model.graph.output
    }
    assert shapes == {"boxes": ["batch", 100, 4], "scores": ["batch", 100], "classes": ["batch", 100]}
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    said = json.loads(model.metadata_props[0].value)
    assert (said["format_version"], said["task"], said["score"]) == (1, "detection", None)
    assert said["preprocess"]["crop"] == "letterbox"
    architecture = said["architecture"]
    expected = {"detector": "centernet", "neck": "light", "neck_channels": None, "head_channels": None}
    assert {key: architecture.pop(key) for key in expected} == expected
    backbone = NetworkConfig.from_json(json.dumps({"architecture": architecture.pop("name"), **architecture}))
    assert backbone == configure("mobilenet_v2", rows=SHORT_ROWS["mobilenet_v2"], num_classes=10)


def test_leaves_the_network_as_it_was(made: Path, tmp_path: Path) -> None:
    network = copy.deepcopy(detector("mobilenet_v2", "light")).double().train()
    before = copy.deepcopy(network.state_dict())
    export(network, tmp_path / "it.onnx")  # float64 and training mode are no obstacle
    assert all(part.training for part in network.modules())
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert (tmp_path / "it.onnx").read_bytes() == made.read_bytes()


REFUSED = r"the bundle does not match its module on 4 images: \d+ detections are none of the module's, \d+ clear ones"


@pytest.mark.usefixtures("at_hand")
def test_a_graph_that_does_not_match_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.onnx"
    path.write_text("an older bundle")
    with pytest.raises(ExportError, match=REFUSED):
        export(detector("mobilenet_v2", "light"), path, normalisation=NORMALISATIONS["unit"])
    for part, factor in (("size", 1.1), ("offset", 1.1), ("heatmap", 1.01)):
        other = copy.deepcopy(detector("mobilenet_v2", "light"))
        with torch.no_grad():
            other.heads[part].output.weight.mul_(factor)
        with pytest.raises(ExportError, match=REFUSED):
            export(other, path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "an older bundle"


def test_a_list_without_some_of_the_peaks_is_refused(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(made)
    # The first half of the list twice, in place of the whole.
    names = {out.name: f"{out.name}_all" for out in model.graph.output}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    order = onnx.numpy_helper.from_array(np.array([*range(50), *range(50)], np.int64), "order")
    model.graph.initializer.append(order)
    model.graph.node.extend(onnx.helper.make_node("Gather", [names[name], "order"], [name], axis=1) for name in names)
    monkeypatch.setattr("litevision.exporting.bundle.to_onnx", lambda *_: model)
    with pytest.raises(
        ExportError, match=r"images: 0 detections are none of the module's, [1-9]\d* clear ones are miss"
    ):
        export(detector("mobilenet_v2", "light"), tmp_path / "it.onnx")


@pytest.mark.usefixtures("at_hand")
def test_broken_weights_are_refused(tmp_path: Path) -> None:
    network = copy.deepcopy(detector("mobilenet_v2", "light"))
    with torch.no_grad():
        network.heads["size"].output.weight[0, 3] = float("nan")
    with pytest.raises(ExportError, match="gives no numbers for images: its weights are broken; nothing was written"):
        export(network, tmp_path / "it.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": LABELS[:9]}, "has 10 classes, got 9 labels; one each is needed"),
        ({"preprocess": Preprocess(SIZE_HW, 75)}, "'center' cuts objects off; a detection bundle needs 'letterbox' or"),
        ({"options": {"top_k": 0}}, "top_k must be 1 or more, got 0"),
        ({"check_images": []}, "the check needs at least one image, got none"),
    ],
)
def test_what_is_no_bundle_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(LitevisionError, match=message):
        export(detector("mobilenet_v2", "light"), tmp_path / "it.onnx", **changes)
    with pytest.raises(LitevisionError, match=r"a bundle is an \.onnx file, got 'it\.pt'"):
        export(detector("mobilenet_v2", "light"), tmp_path / "it.pt")
    assert list(tmp_path.iterdir()) == []
