"""NanoDets in files: their authors' names, checkpoints, litevision's own, and graphs without names."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

import litevision
from folded_files import write_ncnn, write_onnx
from litevision.errors import BundleError, FileMissingError, LitevisionError, WeightsError, WeightsMismatchError
from litevision.models.nanodet import NanoDet, NanoDetConfig
from litevision.weights.conversion import convert
from litevision.weights.load import load_network
from networks import fill

IMAGE = torch.linspace(-2, 2, 3 * 64 * 64).reshape(1, 3, 64, 64)


@pytest.fixture(scope="module")
def nanodets() -> dict[str, NanoDet]:
    return {name: fill(NanoDetConfig(name, 5).build()) for name in ("nanodet_m", "nanodet_plus_m")}


def assert_same(found: object, network: NanoDet, atol: float = 1e-5) -> None:
    assert isinstance(found, NanoDet)
    assert found.config == network.config
    with torch.inference_mode():
        for ours, theirs in zip(found.eval()(IMAGE), network(IMAGE), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("name", ["nanodet_m", "nanodet_plus_m"])
def test_the_authors_layout_goes_both_ways(name: str, nanodets: dict[str, NanoDet], tmp_path: Path) -> None:
    path = litevision.save_weights(nanodets[name], tmp_path / "it.pth", "nanodet")
    stored = torch.load(path)
    stem = nanodets[name].state_dict()["backbone.features.stem.conv.weight"]
    torch.testing.assert_close(stored["backbone.conv1.0.weight"], stem.flip(1))  # the authors' takes BGR
    assert stored["head.cls_convs.0.1.pwnorm.running_var"].shape == (96,)
    assert_same(load_network(path), nanodets[name])
    assert convert(path).layout == "nanodet"


def test_a_checkpoint_gives_its_averaged_weights(
    nanodets: dict[str, NanoDet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = torch.load(litevision.save_weights(nanodets["nanodet_plus_m"], tmp_path / "it.pth", "nanodet"))
    state = {f"avg_model.{key}": tensor for key, tensor in stored.items()}
    state |= {f"model.{key}": torch.zeros_like(tensor) for key, tensor in stored.items()}
    state |= {"model.aux_head.gfl_cls.weight": torch.ones(3), "avg_model.head.distribution_project.project": IMAGE}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "it.ckpt")
    assert_same(load_network(tmp_path / "it.ckpt"), nanodets["nanodet_plus_m"])
    assert "the averaged weights were taken" in capsys.readouterr().err


def test_litevisions_own_file_keeps_what_is_known(nanodets: dict[str, NanoDet], tmp_path: Path) -> None:
    write_onnx(nanodets["nanodet_m"], tmp_path / "it.onnx")
    done = convert(tmp_path / "it.onnx", tmp_path / "it.safetensors")
    assert (done.model, done.num_classes, done.layout) == ("nanodet_m", 5, "none; by the order of convolutions")
    network = load_network(tmp_path / "it.safetensors")
    assert_same(network, nanodets["nanodet_m"], atol=2e-2)
    known = network.pretrained
    assert known is not None
    assert (known.preprocess.size_hw, known.preprocess.padding, known.task) == ((64, 96), 0, "detection")
    assert litevision.create("nanodet_m", weights=tmp_path / "it.safetensors").training
    with pytest.raises(WeightsMismatchError, match=r"holds nanodet_m, expected weights of nanodet_plus_m"):
        litevision.create("nanodet_plus_m", weights=tmp_path / "it.safetensors")
    with pytest.raises(WeightsMismatchError, match=r"is a nanodet_m of 5 classes for 3 channels, got num_classes 6"):
        litevision.create("nanodet_m", num_classes=6, weights=tmp_path / "it.safetensors")


def test_its_backbone_starts_another_detector(nanodets: dict[str, NanoDet], tmp_path: Path) -> None:
    path = litevision.save_weights(nanodets["nanodet_m"], tmp_path / "it.safetensors")
    made = litevision.create("centernet", backbone="shufflenet_v2_x1_0", dialect="nanodet", weights=path, num_classes=2)
    ours = made.backbone.state_dict()["features.stage4_unit4.main.depthwise.conv.weight"]
    torch.testing.assert_close(ours, nanodets["nanodet_m"].backbone.features.stage4_unit4.main.depthwise.conv.weight)
    with pytest.raises(WeightsMismatchError, match="holds shufflenet_v2_x1_0"):
        litevision.create("centernet", backbone="mobilenet_v2", weights=path)


@pytest.mark.parametrize("name", ["nanodet_m", "nanodet_plus_m"])
@pytest.mark.parametrize("half", [False, True])
def test_ncnn(name: str, half: bool, nanodets: dict[str, NanoDet], tmp_path: Path) -> None:
    write_ncnn(nanodets[name], tmp_path / "it.ncnn.param", half=half)
    network = load_network(tmp_path / "it.ncnn.bin")
    assert isinstance(network, NanoDet)
    if not half:
        assert_same(network, nanodets[name], atol=2e-2)
    assert network.pretrained is not None
    assert network.pretrained.preprocess.size_hw == ((320, 320) if name == "nanodet_m" else (416, 416))


def _lines(change: Callable[[list[str]], Any]) -> Callable[[Path], Any]:
    def damage(path: Path) -> None:
        lines = path.read_text().splitlines()
        change(lines)
        path.write_text("\n".join(lines))

    return damage


def _replace(old: str, new: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


def _cut(path: Path) -> None:
    numbers = path.with_suffix(".bin")
    numbers.write_bytes(numbers.read_bytes()[:-3])


def _tag(path: Path) -> None:
    numbers = path.with_suffix(".bin")
    numbers.write_bytes((0x000D4B38).to_bytes(4, "little") + numbers.read_bytes()[4:])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_replace("7767517", "7767516"), "its first line is '7767516', expected 7767517"),
        (_replace("74 74", "900000000 74"), "its second line is '900000000 74' and 74 layers follow"),
        (_lines(lambda lines: lines.insert(2, "LSTM it 1 1 a b 0=3")), "its second line is '74 74' and 75 layers"),
        (_replace("Input data", "LSTM data"), "it has a layer of the kind 'LSTM', which is not read"),
        (_replace("Conv_0 1 1", "Conv_0 1 999999"), "the line of Convolution Conv_0 cannot be read .fewer inputs"),
        (_replace("0=24 ", "0=x "), "the line of Convolution Conv_0 cannot be read .could not convert"),
        (_replace("6=648", "6=64800000000"), "Conv_0 cannot be read .it takes [0-9,]+ bytes at 4, and the file has"),
        (_replace("6=648", "6=1e999"), "Conv_0 cannot be read .cannot convert float infinity"),
        (_replace("6=648", "6=649"), "Conv_0 cannot be read .649 numbers for a kernel of 24x3x3"),
        (_replace("0=24 1=3 ", "0=24 1=3 8=1 "), "Conv_0 cannot be read .it is quantised, dilated or padded unevenly"),
        (_replace("9=2 -23310=1,1.000000e-01", "9=7"), "Conv_0 cannot be read .its activation has the number 7"),
        (_cut, "cannot be read .it takes 148 bytes at [0-9,]+, and the file has"),
        (_tag, "Conv_0 cannot be read .its numbers are 8-bit whole numbers"),
        (lambda path: path.with_suffix(".bin").write_bytes(path.with_suffix(".bin").read_bytes() + b"1234"), "another"),
        (_replace("-23310=1,1.000000e-01", "-23310=1,2.000000e-01"), r"rectifiers are 47 of slope 0.1, 1 of slope 0.2"),
        (_replace("3=2 4=1", "3=1 4=1"), "then Conv_0 is 24x3x3x3 .stride 1x1.* where backbone.features.stem.conv is"),
        (lambda path: path.write_bytes(b"\xff" * 9), "it is no text"),
        (
            lambda path: path.with_suffix(".bin").unlink(),
            "no file .*bin; a model of ncnn.s is a .param file",
        ),
    ],
)
def test_a_damaged_ncnn_model_gets_one_line(
    damage: Callable[[Path], Any], message: str, nanodets: dict[str, NanoDet], tmp_path: Path
) -> None:
    path = tmp_path / "it.param"
    write_ncnn(nanodets["nanodet_m"], path)
    damage(path)
    with pytest.raises((WeightsError, FileMissingError), match=message) as caught:
        load_network(path)
    assert "\n" not in str(caught.value)


def test_graphs_of_something_else_are_told_apart(nanodets: dict[str, NanoDet], tmp_path: Path) -> None:
    path = tmp_path / "it.onnx"
    write_onnx(nanodets["nanodet_m"], path)
    model = onnx.load(path)
    slopes = [node.attribute[0] for node in model.graph.node if node.op_type == "LeakyRelu"]
    slopes[0].f = 0.01
    onnx.save(model, path)
    with pytest.raises(WeightsMismatchError, match=r"its rectifiers are 1 of slope 0.01, 47 of slope 0.1, where 48"):
        load_network(path)
    del model.graph.node[8:]
    onnx.save(model, path)
    with pytest.raises(WeightsMismatchError, match=r"none of the networks that litevision knows .* it has 73"):
        load_network(path)
    model.graph.node.append(onnx.helper.make_node("BatchNormalization", ["a", "b", "c", "d", "e"], ["f"]))
    onnx.save(model, path)
    with pytest.raises(WeightsError, match="it has BatchNormalization, where folded convolutions are expected"):
        load_network(path)
    path.write_bytes(b"\x08\x06 no more")
    with pytest.raises(BundleError, match="not an ONNX file"):
        load_network(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("fpn.lateral_convs.0.conv.bias"), r"nanodet_m, 1 tensors are missing.*lateral_convs"),
        (lambda state: state.update({"head.more": IMAGE}), r"nanodet_m, 1 tensors are missing.*head\.more"),
        (lambda state: state.update({"backbone.conv1.1.bias": IMAGE}), r"nanodet_m, 1 tensors are missing, unknown"),
    ],
)
def test_a_nanodet_of_another_form(
    change: Callable[[dict[str, Any]], Any], message: str, nanodets: dict[str, NanoDet], tmp_path: Path
) -> None:
    state = torch.load(litevision.save_weights(nanodets["nanodet_m"], tmp_path / "it.pth", "nanodet"))
    change(state)
    torch.save(state, tmp_path / "it.pth")
    with pytest.raises(WeightsMismatchError, match=message):
        load_network(tmp_path / "it.pth")


def test_a_damaged_file_of_litevisions(nanodets: dict[str, NanoDet], tmp_path: Path) -> None:
    path = litevision.save_weights(nanodets["nanodet_m"], tmp_path / "it.pth")
    content = torch.load(path)
    for header, message in (
        ({"architecture": "nanodet_m", "num_classes": 6}, "2 tensors do not fit its header|6 tensors do not fit"),
        ({"architecture": "nanodet_m", "num_classes": -1}, "the configuration in its header cannot be built"),
    ):
        torch.save({**content, "litevision": json.dumps(header)}, path)
        with pytest.raises(LitevisionError, match=message):
            load_network(path)
