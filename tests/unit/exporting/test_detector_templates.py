"""Bundles of published detectors made without torch, from the convolutions of a published graph."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from folded_files import layers, write_onnx
from litevision.errors import ExportError, WeightsMismatchError
from litevision.exporting import published
from litevision.exporting.graph import fold_batch_norm
from litevision.exporting.published import write_published
from litevision.exporting.templates import Template, find_template, network_of
from litevision.hub import load_detector
from litevision.image import shipped_images
from litevision.models.nanodet import NanoDet, NanoDetConfig
from litevision.models.pretrained import normalise
from litevision.registry import DETECTORS
from litevision.registry.labels import coco_labels
from litevision.registry.weight_sets import WeightSet, find_weight_set, weight_sets
from litevision.tasks.detection.export import check_detection_bundle
from litevision.weights.facts import NORMALISATIONS
from litevision.weights.folded import forms
from networks import fill
from template_tool import assert_kept, tool

ROW = find_weight_set("nanodet_plus_m.rangilyu_coco_r320")


def template() -> Template:
    found = find_template(ROW)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def network() -> NanoDet:
    made = fill(NanoDetConfig("nanodet_plus_m").build())
    images = NanoDetConfig.default_preprocess((320, 320)).batch(shipped_images())
    norms = [part for part in made.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0  # the statistics of these images: else maps grow until rounding shows
    with torch.no_grad():
        made.train()(normalise(torch.from_numpy(images).permute(0, 3, 1, 2), NORMALISATIONS["imagenet"]))
    for head in made.heads:
        weight, bias = head.output.weight.data, head.output.bias.data
        weight[:80] *= 0.5  # a few high scores, as of a trained network
        bias[:80] = -6
    return made.eval()


@pytest.fixture(scope="module")
def original(network: NanoDet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph like the published ones: BGR in, a row of scores and edges for each cell out."""
    arrays = {}
    for i, (_, weight, bias, _) in enumerate(layers(network)):
        arrays |= {f"{i}.weight": weight[:, ::-1] if i == 0 else weight, f"{i}.bias": bias}
    metadata = load_detector("blood-cells").bundle.metadata
    model = onnx.load_model_from_string(template().bundle(arrays, metadata))
    nodes = list(model.graph.node)
    places = {node.op_type: i for i, node in enumerate(nodes)}
    first = [node.op_type for node in nodes].index("Conv")
    # Of the graph that reads uint8 and suppresses, what lies between the normalised image and the heads' answers.
    kept = [node for node in nodes[first : places["NonMaxSuppression"]] if not node.name.startswith("nms/")]
    kept[0].input[0] = "data"
    scores, edges = nodes[places["Sigmoid"]].output[0], nodes[places["Softmax"]].input[0]
    shape = numpy_helper.from_array(np.array([1, -1, 32], np.int64), "rows")
    kept += [
        helper.make_node("Reshape", [edges, "rows"], ["edges"]),
        helper.make_node("Concat", [scores, "edges"], ["output"], axis=2),
    ]
    used = {name for node in kept for name in node.input} - {kept[0].input[1]}
    tensors = [one for one in model.graph.initializer if one.name in used]
    [stem] = [one for one in model.graph.initializer if one.name == kept[0].input[1]]
    tensors += [numpy_helper.from_array(numpy_helper.to_array(stem)[:, ::-1].copy(), stem.name), shape]
    image = helper.make_tensor_value_info("data", onnx.TensorProto.FLOAT, [1, 3, 320, 320])
    answer = helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [1, 2125, 112])
    path = tmp_path_factory.mktemp("original") / "nanodet-plus-m_320.onnx"
    made = helper.make_graph(kept, "published", [image], [answer], tensors)
    onnx.save(helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version), path)
    return path


def test_weights_and_answers_are_an_exports(
    network: NanoDet, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "fetch", lambda _: original)
    metadata = write_published(ROW, template(), tmp_path / "it.onnx")
    folded = {f"network.{key}": tensor.numpy() for key, tensor in fold_batch_norm(network).state_dict().items()}
    graph = onnx.load(tmp_path / "it.onnx").graph
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer if one.name in folded}
    assert weights.keys() == {key for key, tensor in folded.items() if tensor.ndim and "norm" not in key}
    for key, weight in weights.items():
        np.testing.assert_allclose(weight, folded[key], rtol=1e-6, atol=1e-7, err_msg=key)
    assert (metadata.task, metadata.labels, metadata.check.images) == ("detection", coco_labels(), 4)
    assert metadata.architecture == network.config.to_architecture()
    assert metadata.preprocess == NanoDetConfig.default_preprocess((320, 320))
    images = shipped_images()
    check = check_detection_bundle(tmp_path / "it.onnx", network, NORMALISATIONS["imagenet"], images)
    assert max(check.max_abs_diff, metadata.check.max_abs_diff) < 1e-5
    assert len(load_detector(tmp_path / "it.onnx").predict(images[0], 0.06)) > 3


DETECTOR_ROWS = [row for row in weight_sets() if row.architecture in DETECTORS]


@pytest.mark.parametrize("row", DETECTOR_ROWS, ids=lambda row: row.name)
def test_each_published_detector_has_a_template_of_its_convolutions(row: WeightSet) -> None:
    found = find_template(row)
    assert found is not None
    own = NanoDetConfig(row.architecture).build(device="meta")
    assert json.loads(json.dumps(forms(own))) == found.plain["convs"]
    state = {f"network.{path}.{leaf}" for path, _ in forms(own) for leaf in ("weight", "bias")}
    assert {weight["name"] for weight in found.plain["weights"]} == state | {"scale", "shift"}


@pytest.mark.slow
def test_the_template_is_that_of_the_network() -> None:
    key = network_of(ROW)
    assert_kept(tool().template(key), key)


def test_a_graph_that_answers_otherwise_is_not_kept(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(original)
    next(node for node in model.graph.node if node.op_type == "Sigmoid").op_type = "HardSigmoid"
    onnx.save(model, tmp_path / "other.onnx")
    monkeypatch.setattr(published, "fetch", lambda _: tmp_path / "other.onnx")
    with pytest.raises(ExportError, match="the bundle does not match its module"):
        write_published(ROW, template(), tmp_path / "it.onnx")
    assert not (tmp_path / "it.onnx").exists()


def test_another_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_onnx(fill(NanoDetConfig("nanodet_m", 5).build()), tmp_path / "other.onnx")
    monkeypatch.setattr(published, "fetch", lambda _: tmp_path / "other.onnx")
    with pytest.raises(WeightsMismatchError, match=r"of 73 convolutions the first \d+ are nanodet_plus_m's; then "):
        write_published(ROW, template(), tmp_path / "it.onnx")


WITHOUT_TORCH = """
import sys
sys.modules.update(dict.fromkeys(("torch", "torchvision", "onnx", "onnxscript", "safetensors")))
from pathlib import Path
from litevision.exporting import published
from litevision.cli import main
name, published.fetch = sys.argv[1], lambda row, file=Path(sys.argv[2]): file
sys.argv[1:] = ["detect", "--engine", "onnxruntime", "--score", "0.06", "--model", name, sys.argv[3]]
sys.exit(main())
"""


def test_detect_makes_it_without_torch(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path))
    image = tmp_path / "it.jpg"
    image.write_bytes(shipped_images()[0])
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, ROW.name, str(original), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{image}  " in done.stdout
    assert f"making the bundle of {ROW.name}, once" in done.stderr
