"""Files of every format that is made of a bundle: they answer as it does, also through ``load``; or are not written."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import litevision
from exports import LABELS, export
from images import encoded, noise
from litevision.errors import BundleError, ExportError, UsageError
from litevision.files import sha256_of
from litevision.image import Preprocess
from litevision.models import configure
from litevision.models.centernet import CenterNet, CenterNetConfig, CenterNetMaps, decode
from litevision.runtime import Bundle
from litevision.runtime.engines.adapted import decode_maps, mean_and_norm
from networks import SHORT_ROWS, fill, short

IMAGES = [encoded(noise(70, 90, seed)) for seed in range(3)]
NETWORKS = {"mobilenet_v3_large": "timm", "shufflenet_v2_x0_5": "torchvision"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@pytest.fixture(scope="module")
def bundles(folder: Path) -> dict[str, Path]:
    for name, dialect in NETWORKS.items():
        export(short(name, dialect), folder / f"{name}.onnx", check_images=IMAGES)
    return {name: folder / f"{name}.onnx" for name in NETWORKS}


@pytest.fixture(scope="module")
def centernet(folder: Path) -> Path:
    backbone = configure("mobilenet_v2", rows=SHORT_ROWS["mobilenet_v2"])
    network = fill(CenterNet(CenterNetConfig(backbone, len(LABELS), "light")))
    network.heads["size"].output.bias.data += 8  # cells; boxes have an area
    export(network, folder / "centernet.onnx", preprocess=Preprocess((64, 96), 96, "letterbox"))
    return folder / "centernet.onnx"


def outputs(path: Path) -> dict[str, Any]:
    bundle = Bundle.open(path)
    return dict(bundle.run(bundle.metadata.preprocess.batch(IMAGES)))


def make(source: Path, path: Path, **options: Any) -> Any:
    return litevision.export(source, path, check_images=IMAGES, **options)


@pytest.mark.parametrize(("name", "half"), [("mobilenet_v3_large", False), ("shufflenet_v2_x0_5", True)])
def test_ncnn_answers_as_the_bundle_and_its_record_says_how_to_ask(
    bundles: dict[str, Path], name: str, half: bool, tmp_path: Path
) -> None:
    metadata = make(bundles[name], tmp_path / "it.ncnn", half=half)
    assert sorted(file.name for file in (tmp_path / "it.ncnn").iterdir()) == [
        "litevision.json",
        "model.bin",
        "model.param",
    ]
    assert (metadata.check.engine.split()[0], metadata.check.images) == ("ncnn", 3)
    found, expected = (outputs(path)["probabilities"] for path in (tmp_path / "it.ncnn", bundles[name]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=(0.02 if half else 1e-5) * expected.max())
    ratio = (tmp_path / "it.ncnn/model.bin").stat().st_size / bundles[name].stat().st_size
    assert ratio < (0.6 if half else 1.05)

    record = json.loads((tmp_path / "it.ncnn/litevision.json").read_text("utf-8"))
    [given] = record["inputs"]
    assert (given["name"], given["shape"], given["layout"]) == ("images", [1, 3, 64, 64], "NCHW")
    mean, norm = mean_and_norm(Bundle.open(bundles[name]).metadata.normalisation)
    assert (given["mean"], given["norm"]) == (mean.tolist(), norm.tolist())
    np.testing.assert_allclose(mean, [123.675, 116.28, 103.53], rtol=1e-6)
    assert [it["name"] for it in record["outputs"]] == ["probabilities"]
    assert record["model"]["labels"][0] == "thing 0"
    assert record["model"]["check"]["engine"].startswith("ncnn")


@pytest.mark.parametrize("half", [False, True])
def test_openvino_answers_as_the_bundle(bundles: dict[str, Path], half: bool, tmp_path: Path) -> None:
    source = bundles["mobilenet_v3_large"]
    make(source, tmp_path / "x", format="openvino", half=half)
    found, expected = (outputs(path)["probabilities"] for path in (tmp_path / "x", source))
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.02 if half else 1e-5)
    classifier = litevision.load_classifier(tmp_path / "x")
    assert classifier.predict(IMAGES[0]).labels[0] == litevision.load_classifier(source).predict(IMAGES[0]).labels[0]


@pytest.mark.parametrize(
    "options",
    [
        {"half": True},
        {"batch": 1},
        {"opset": 17},
        {"input": "float-nchw"},
        {"input": "float-nchw", "half": True, "batch": 1, "opset": 18},
    ],
    ids=str,
)
def test_another_onnx_file_answers_as_the_bundle(bundles: dict[str, Path], options: Any, tmp_path: Path) -> None:
    for name in ("mobilenet_v3_large", "shufflenet_v2_x0_5"):
        path = tmp_path / f"{name}.onnx"
        make(bundles[name], path, **options)
        found, expected = (outputs(one)["probabilities"] for one in (path, bundles[name]))
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.02 if options.get("half") else 1e-5)
        model = onnx.load(path)
        [given] = model.graph.input
        sides = [side.dim_value for side in given.type.tensor_type.shape.dim]
        assert sides == [options.get("batch", 0), *((3, 64, 64) if "input" in options else (64, 64, 3))]
        assert model.opset_import[0].version == options.get("opset", model.opset_import[0].version)
        weights = {one.data_type for one in model.graph.initializer if one.name.endswith(("weight", "weight_half"))}
        assert weights == {onnx.TensorProto.FLOAT16 if "half" in options else onnx.TensorProto.FLOAT}


@pytest.mark.parametrize("options", [{}, {"half": True, "input": "float-nchw", "batch": 1}], ids=str)
def test_maps_are_decoded_as_in_the_bundle(centernet: Path, options: Any, tmp_path: Path) -> None:
    litevision.export(centernet, tmp_path / "maps.onnx", raw_heads=True, **options)
    names = [it.name for it in onnx.load(tmp_path / "maps.onnx").graph.output]
    assert names == ["heatmap", "size", "offset"]
    found, expected = (outputs(path) for path in (tmp_path / "maps.onnx", centernet))
    atol = 0.02 if options else 1e-5
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=0, atol=atol)
    if not options:
        np.testing.assert_array_equal(found["classes"], expected["classes"])
        np.testing.assert_allclose(found["boxes"], expected["boxes"], rtol=0, atol=1e-3)


def test_a_detector_in_ncnn(centernet: Path, tmp_path: Path) -> None:
    litevision.export(centernet, tmp_path / "it.ncnn")
    record = json.loads((tmp_path / "it.ncnn/litevision.json").read_text("utf-8"))
    assert (record["decoding"]["kind"], record["decoding"]["stride"]) == ("centernet", 4)
    found, expected = (outputs(path) for path in (tmp_path / "it.ncnn", centernet))
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=0, atol=1e-5)


def test_the_decoder_of_maps_is_the_network_s() -> None:
    torch.manual_seed(0)
    maps = CenterNetMaps(torch.randn(2, 3, 8, 12), torch.randn(2, 2, 8, 12) * 4, torch.rand(2, 2, 8, 12))
    found = decode_maps(maps.heatmap.numpy(), maps.size.numpy(), maps.offset.numpy(), 20, (32, 48))
    for name, part in zip(("boxes", "scores", "classes"), decode(maps, 20), strict=True):
        np.testing.assert_allclose(found[name], part.numpy(), rtol=1e-5, atol=1e-5)


def test_a_sidecar_stands_beside_its_file(bundles: dict[str, Path], tmp_path: Path) -> None:
    make(bundles["shufflenet_v2_x0_5"], tmp_path / "it.onnx", sidecar=True)
    record = json.loads((tmp_path / "it.json").read_text("utf-8"))
    [given] = record["inputs"]
    assert (given["dtype"], given["shape"], given["layout"]) == ("uint8", [None, 64, 64, 3], "NHWC")
    assert "#define MODEL_HEIGHT 64\n" in (tmp_path / "it.h").read_text("utf-8")
    make(bundles["shufflenet_v2_x0_5"], tmp_path / "it.onnx", sidecar=True)  # may be replaced
    (tmp_path / "it.h").write_text("// mine")
    with pytest.raises(UsageError, match=r"it\.h: .* would be overwritten"):
        make(bundles["shufflenet_v2_x0_5"], tmp_path / "it.onnx", sidecar=True)
    (tmp_path / "it.json").write_text("{}")
    with pytest.raises(UsageError, match=r"it\.json: .* would be overwritten"):
        make(bundles["shufflenet_v2_x0_5"], tmp_path / "it.onnx", sidecar=True)
    make(bundles["shufflenet_v2_x0_5"], tmp_path / "it_openvino", sidecar=True)
    header = (tmp_path / "it_openvino/model.h").read_text("utf-8")
    assert "#define MODEL_CROP MODEL_CENTER\n" in header


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("it.onnx", {"opset": 13}, "opset 13 cannot be written; expected 14, which its HardSwish needs"),
        ("it.onnx", {"opset": 99}, "opset 99 is not known to onnx"),
        ("it.onnx", {"batch": 4}, "batch 4 cannot be fixed; expected 1"),
        ("it.onnx", {"input": "nchw"}, "no input 'nchw'"),
        ("it.onnx", {"raw_heads": True}, "raw heads are of detectors"),
        ("it.ncnn", {"opset": 14}, "the format ncnn has no choice of opset; expected bundle"),
        ("it.onnx", {"format": "ncnn"}, "'it.onnx' is a name for the format bundle, not ncnn"),
        ("it", {"format": "caffe"}, "no format 'caffe'"),
        ("taken_openvino", {}, "a folder with other files in it"),
    ],
)
def test_a_combination_that_cannot_be(
    bundles: dict[str, Path], name: str, options: Any, message: str, tmp_path: Path
) -> None:
    (tmp_path / "taken_openvino").mkdir()
    (tmp_path / "taken_openvino/mine.txt").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=message) as error:
        make(bundles["mobilenet_v3_large"], tmp_path / name, **options)
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_too_large_for_half_are_refused(bundles: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(bundles["shufflenet_v2_x0_5"])
    [weight] = [one for one in model.graph.initializer if one.name.endswith("stem.conv.weight")]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1e6), weight.name))
    onnx.save(model, tmp_path / "large.onnx")
    with pytest.raises(ExportError, match=r"stem\.conv\.weight holds numbers that are too large for float16"):
        make(tmp_path / "large.onnx", tmp_path / "it.onnx", half=True)
    assert not (tmp_path / "it.onnx").exists()


def test_a_folder_is_replaced_whole_and_is_no_input_of_others(bundles: dict[str, Path], tmp_path: Path) -> None:
    source = tmp_path / "it.onnx"
    shutil.copy(bundles["shufflenet_v2_x0_5"], source)
    for _ in range(2):
        make(source, tmp_path / "it_openvino")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["it.onnx", "it_openvino"]
    with pytest.raises(UsageError, match="ncnn computes a folder for ncnn, got a folder for openvino; exp"):
        Bundle.open(tmp_path / "it_openvino", engine="ncnn")
    record = tmp_path / "it_openvino/litevision.json"
    for text in ("", "[]", "{}", '{"format": "litevision model record", "model": {}}'):
        record.write_text(text, "utf-8")
        with pytest.raises(BundleError, match=r"litevision\.json"):
            Bundle.open(tmp_path / "it_openvino")


def test_images_in_which_nothing_stands_out_prove_nothing(centernet: Path, tmp_path: Path) -> None:
    model = onnx.load(centernet)
    [bias] = [one for one in model.graph.initializer if one.name.endswith("heatmap.output.bias")]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) - np.float32(1e4), bias.name))
    onnx.save(model, tmp_path / "silent.onnx")
    with pytest.raises(ExportError, match="nothing stands out on these 4 images"):
        litevision.export(tmp_path / "silent.onnx", tmp_path / "it_openvino")


def test_a_folder_whose_files_are_others_than_were_exported_is_refused(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "it.ncnn"
    make(bundles["shufflenet_v2_x0_5"], folder)
    param, record = folder / "model.param", folder / "litevision.json"
    lines = param.read_text().splitlines()
    param.write_text("\n".join(lines[:-2]))
    with pytest.raises(
        BundleError, match=r"model\.param: another file than was exported, by its SHA-256\. Copy or expor"
    ):
        litevision.load(folder)
    said = json.loads(record.read_text("utf-8"))
    said["file"]["sha256"]["model.param"] = sha256_of(param)
    record.write_text(json.dumps(said))
    with pytest.raises(BundleError, match=r"it\.ncnn: ncnn [\d.]+ cannot load it \(its files are damaged\)\.$"):
        litevision.load(folder)  # as a stranger would have it
    (folder / "model.bin").unlink()
    with pytest.raises(BundleError, match=r"it\.ncnn: no file 'model\.bin', which litevision\.json names"):
        litevision.load(folder)
    said["file"]["sha256"]["../x"] = ""
    record.write_text(json.dumps(said))
    with pytest.raises(BundleError, match="no file"):
        litevision.load(folder)
