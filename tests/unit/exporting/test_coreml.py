"""Core ML packages: read back from the disk they answer as the graph; Vision and Xcode find what they need."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import exports
import litevision
from graphs import OPERATOR_GRAPHS, operator_graph
from litevision.errors import BundleError, ExportError, UsageError
from litevision.exporting.coreml.check import open_package
from litevision.exporting.coreml.write import quiet, to_coreml
from litevision.exporting.graph_parts import run_graph
from litevision.runtime import BundleMetadata
from networks import short

with quiet():  # what Python says of its sources when it compiles them
    import coremltools

WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


def answers(model: onnx.ModelProto, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What onnxruntime makes of noise with the graph, and with what lies in the package."""
    to_coreml(model, None).save(str(folder / "it.mlpackage"))
    sides = model.graph.input[0].type.tensor_type.shape.dim
    noise = np.random.default_rng(0).integers(0, 256, [side.dim_value or 1 for side in sides], np.uint8)
    expected = run_graph(model, [one.name for one in model.graph.output], {model.graph.input[0].name: noise})
    return expected, open_package(folder / "it.mlpackage").run(noise)


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("mobilenet_v1", "keras"),
        ("mobilenet_v2", "torchvision"),
        ("mobilenet_v3_large", "timm"),
        ("mobilenet_v4_conv_small", "timm"),
        ("shufflenet_v2_x0_5", "torchvision"),
    ],
)
def test_networks_answer_as_their_graphs(name: str, dialect: str, tmp_path: Path) -> None:
    expected, got = answers(exports.graph(name, dialect, exports.ODD_HW), tmp_path)
    np.testing.assert_allclose(got["probabilities"], expected["probabilities"], atol=1e-5)
    assert len(np.unique(expected["probabilities"])) > 5


@pytest.mark.parametrize(("outputs", "nodes"), OPERATOR_GRAPHS.values(), ids=OPERATOR_GRAPHS)
def test_operators_compute_as_in_onnxruntime(outputs: str, nodes: str, tmp_path: Path) -> None:
    expected, got = answers(operator_graph(outputs, nodes), tmp_path)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].shape == value.shape
        np.testing.assert_allclose(got[name], value, atol=2e-6)


def test_transposed_convolutions(tmp_path: Path) -> None:
    model = operator_graph("float[1,4,12,20] z", "z = ConvTranspose<strides = [2, 2], pads = [1, 1, 1, 1]>(y, w)")
    weights = np.random.default_rng(1).normal(size=(3, 4, 4, 4)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    expected, got = answers(model, tmp_path)
    np.testing.assert_allclose(got["z"], expected["z"], atol=1e-4)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("coreml") / "it.onnx"
    exports.export(short("shufflenet_v2_x0_5", "torchvision"), path, labels=("crane", "boat", "crane", *"abcdefg"))
    return path


def test_a_classifier_has_what_vision_and_xcode_read(bundle: Path, tmp_path: Path) -> None:
    metadata = litevision.export(bundle, tmp_path / "it.mlpackage")
    assert metadata.check.engine.endswith("not run in Core ML)")
    assert metadata.check.images == 4
    assert metadata.check.max_abs_diff < 1e-5

    spec = coremltools.utils.load_spec(str(tmp_path / "it.mlpackage"))
    facts = spec.description
    [given] = facts.input
    assert (given.type.imageType.width, given.type.imageType.height) == (64, 64)
    assert (facts.predictedFeatureName, facts.predictedProbabilitiesName) == ("classLabel", "probabilities")
    assert facts.metadata.license == exports.WEIGHTS.licence
    assert BundleMetadata.from_json(facts.metadata.userDefined["litevision.json"]) == metadata
    [block] = spec.mlProgram.functions["main"].block_specializations.values()
    classify = block.operations[-1]
    labels = [
        one.immediateValue.tensor.strings.values[0]
        for one in classify.inputs["classes"].arguments[0].value.immediateValue.list.values
    ]
    assert labels == ["crane (0)", "boat", "crane (2)", *"abcdefg"]  # keys of a dictionary


def test_half_is_half_the_size_and_softmax_and_decoding_stay_as_they_are(tmp_path: Path) -> None:
    for name, half in (("whole", False), ("half", True)):
        litevision.export("blood-cells", tmp_path / f"{name}.mlpackage", half=half)
    whole, half = ((tmp_path / f"{name}.mlpackage" / WEIGHTS).stat().st_size for name in ("whole", "half"))
    assert half < 0.55 * whole
    spec = coremltools.utils.load_spec(str(tmp_path / "half.mlpackage"))
    assert [one.name for one in spec.description.output] == ["cell_boxes", "cell_scores"]
    [block] = spec.mlProgram.functions["main"].block_specializations.values()
    types = {
        op.type: {one.type.tensorType.dataType for one in op.outputs}
        for op in block.operations
        if op.type in ("conv", "softmax", "sigmoid")
    }
    dtype = coremltools.proto.MIL_pb2.DataType
    assert types == {"conv": {dtype.FLOAT16}, "softmax": {dtype.FLOAT32}, "sigmoid": {dtype.FLOAT32}}


def test_the_check_reads_what_lies_on_the_disk(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One wrong tensor among the weights, and nothing is written."""
    save = coremltools.models.MLModel.save

    def damage(package: Any, path: str) -> None:
        save(package, path)
        data = bytearray(Path(path, WEIGHTS).read_bytes())
        middle = len(data) // 2
        data[middle : middle + 4096] = np.random.default_rng(0).normal(size=1024).astype(np.float32).tobytes()
        Path(path, WEIGHTS).write_bytes(data)

    monkeypatch.setattr(coremltools.models.MLModel, "save", damage)
    with pytest.raises(ExportError, match=r"does not answer as the bundle on 4 images .*nothing was written"):
        litevision.export(bundle, tmp_path / "it.mlpackage")
    assert not list(tmp_path.iterdir())


def test_a_package_takes_the_place_of_a_package_and_of_nothing_else(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "it.mlpackage"
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="a folder with other files in it; expected a new or empty folder"):
        litevision.export(bundle, path)
    assert (path / "notes.txt").read_text() == "mine"
    shutil.rmtree(path)
    litevision.export(bundle, path)
    litevision.export(bundle, path, half=True)
    assert not (path / "litevision.json").exists()  # a package holds what its manifest names


def test_what_core_ml_cannot_hold_or_run_here_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the format coreml has no choice of dynamic-int8; expected litert"):
        litevision.export(bundle, tmp_path / "it.mlpackage", dynamic_int8=True)
    (tmp_path / "it.mlpackage").mkdir()
    for load in (litevision.load, litevision.load_classifier):
        with pytest.raises(BundleError, match=r"it\.mlpackage: a Core ML package, which Apple's systems alone run"):
            load(tmp_path / "it.mlpackage")
