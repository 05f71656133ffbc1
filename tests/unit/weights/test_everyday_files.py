"""Files as people have them: wrapped, prefixed, fine-tuned, packed; each gives the very network that is in it."""

import argparse
import collections
import logging
import pathlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from litevision.errors import FileMissingError, UnsafeFileError, WeightsError
from litevision.models.network import Network
from litevision.weights.convert import extract
from litevision.weights.create import create
from litevision.weights.layouts import layout_named
from litevision.weights.load import load_weights
from weight_files import assert_same_weights, network

State = dict[str, Tensor]
X = torch.rand(2, 3, 33, 47, generator=torch.Generator().manual_seed(0))


def tamed(made: Network) -> Network:
    """Weights that keep activations near unit size, so that equal logits mean something."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in made.state_dict().items():
        if tensor.dim() > 1:
            tensor.copy_(torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5)
        elif tensor.is_floating_point() and not name.endswith(("var", "norm.weight")):
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    return made


@pytest.fixture(scope="module")
def small() -> Network:
    return tamed(network("mobilenet_v2", dialect="torchvision", width_mult=0.25, num_classes=7))


@pytest.fixture(scope="module")
def state(small: Network) -> State:
    return extract(small, layout_named("torchvision"))


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def zeros(state: State) -> State:
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


WRAPPERS: dict[str, Callable[[State], Any]] = {
    **{
        f"prefix {prefix}": lambda state, prefix=prefix: prefixed(state, prefix)
        for prefix in ("model.", "net.", "backbone.", "encoder.", "student.", "timm_model.", "_orig_mod.module.",
                       "module.model.", "a.b.c.d.", "0.")
    },
    **{
        f"inside {key}": lambda state, key=key: {key: state, "epoch": 3, "acc": 91.5}
        for key in ("net", "ema", "weights", "params", "params_ema", "network", "model_state", "generator", "state",
                    "model", "state_dict", "model_state_dict", "whatever")
    },
    "lightning": lambda state: {
        "state_dict": prefixed(state, "model."), "epoch": 1, "optimizer_states": [{"state": {0: torch.ones(3)}}],
        "hyper_parameters": {"lr": 0.1}, "pytorch-lightning_version": "2.5",
    },
    "lightning with a loss and a metric": lambda state: {
        "state_dict": {**prefixed(state, "model."), "criterion.weight": torch.ones(7), "acc.tp": torch.zeros(7)},
    },
    "a loss beside plain names": lambda state: {**state, "criterion.weight": torch.ones(7)},
    "thop's leftovers": lambda state: {
        **state, "total_ops": torch.zeros(1), "features.0.total_params": torch.zeros(1), "total_params": torch.zeros(1),
    },
    "arguments of a script": lambda state: {"model": state, "args": argparse.Namespace(lr=0.1, path="x", n=[1, 2])},
    "a score of numpy's": lambda state: {"model": state, "best": np.float64(0.9), "list": [np.int64(3)]},
    "an array of numpy's": lambda state: {"model": state, "history": np.arange(6.0).reshape(2, 3)},
    "arrays in the place of tensors": lambda state: {name: tensor.numpy() for name, tensor in state.items()},
    "a defaultdict": lambda state: {"model": state, "log": collections.defaultdict(list, {"loss": [1.0]})},
    "a path": lambda state: {"model": state, "folder": pathlib.PurePosixPath("/data"), "own": Path("x")},
    "an optimiser's state beside it": lambda state: {
        "model": state, "optimizer": {"state": {0: {"exp_avg": torch.ones(5)}}, "param_groups": [{"lr": 0.1}]},
    },
    "deep inside": lambda state: {"checkpoint": {"trainer": {"model_weights": prefixed(state, "module.")}}},
    "parameters": lambda state: {name: nn.Parameter(tensor) for name, tensor in state.items()},
    "half precision": lambda state: {"model": {name: tensor.half().float() for name, tensor in state.items()}},
}  # fmt: skip


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_wrapped_network_is_found(kind: str, small: Network, state: State, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(WRAPPERS[kind](state), file)
    loaded = load_weights(file).network
    assert (loaded.config.architecture, loaded.config.width_mult) == ("mobilenet_v2", 0.25)
    if kind != "half precision":
        assert_same_weights(loaded, small)
        with torch.inference_mode():
            assert torch.equal(loaded.eval()(X), small(X))


def test_a_named_network_is_found_as_well(small: Network, state: State, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(prefixed(state, "model.backbone."), file)
    made = create("mobilenet_v2", width_mult=0.25, num_classes=7, weights=file)
    assert_same_weights(made, small)


def test_what_was_chosen_and_left_out_is_said(state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"model": zeros(state), "model_ema": prefixed(state, "module.")}, file)
    loaded = load_weights(file).network
    assert bool(loaded.features.stem.conv.weight.detach().abs().sum() > 0)
    assert "the weights are those of 'model_ema'; the file also has 'model'" in capsys.readouterr().err
    torch.save({**prefixed(state, "net."), "criterion.weight": torch.ones(7)}, file)
    load_weights(file)
    err = capsys.readouterr().err
    assert "the names begin with 'net.', which was cut off" in err
    assert "1 tensors beside the network were left out: criterion.weight" in err


def test_weights_that_are_no_numbers_are_said(state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {**state, "classifier.1.bias": torch.full((7,), torch.nan)}
    torch.save(state, tmp_path / "weights.pth")
    load_weights(tmp_path / "weights.pth")
    assert "1 tensors hold NaN or infinity (the first: classifier.1.bias)" in capsys.readouterr().err


FAMILIES = {
    "mobilenet_v2": ("torchvision", 0.25),
    "mobilenet_v3_small": ("torchvision", 0.35),
    "mobilenet_v3_large": ("torchvision", 0.25),
    "shufflenet_v2_x0_5": ("torchvision", 1.0),
    "mobilenet_v1": ("timm", 0.25),
}
HEADS: dict[str, tuple[str, ...]] = {
    "classifier = Linear": ("classifier.weight", "classifier.bias"),
    "classifier = Sequential(Linear)": ("classifier.0.weight", "classifier.0.bias"),
    "fc = Sequential(Dropout, Linear)": ("fc.1.weight", "fc.1.bias"),
    "classifier = Sequential(Dropout, Sequential(Linear))": ("classifier.1.0.weight", "classifier.1.0.bias"),
    "a head of its own": ("head.weight", "head.bias"),
    "without a bias": ("my_head.fc.weight",),
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", HEADS)
def test_a_dense_layer_that_is_left_over_is_the_classifier(name: str, kind: str, tmp_path: Path) -> None:
    prefix = "model." if kind == "a head of its own" else ""
    dialect, width = FAMILIES[name]
    options = {"hidden_channels": 0} if "v3" in name else {}
    expected = tamed(network(name, dialect=dialect, width_mult=width, num_classes=5, **options))
    if kind == "without a bias":
        nn.init.zeros_(expected.head.classifier.bias)  # type: ignore[union-attr]  # not of a detector
    state = extract(expected, layout_named("timm" if dialect == "timm" else "torchvision"))
    found = [state.pop(key) for key in list(state) if key.startswith(("classifier", "fc"))]
    file = tmp_path / "tuned.pth"
    torch.save(prefixed(state | dict(zip(HEADS[kind], found, strict=False)), prefix), file)
    loaded = load_weights(file, name).network.eval()
    assert loaded.config.num_classes == 5
    with torch.inference_mode():
        assert torch.equal(loaded(X), expected(X))


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_a_head_of_two_layers_keeps_the_backbone(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dialect, width = FAMILIES[name]
    expected = tamed(network(name, dialect=dialect, width_mult=width, num_classes=0))
    state = extract(expected, layout_named("torchvision"))
    state = {key: tensor for key, tensor in state.items() if not key.startswith("classifier")}
    features = expected.endpoints[-1].channels
    state |= {"classifier.0.weight": torch.ones(64, features), "classifier.0.bias": torch.ones(64)}
    state |= {"classifier.2.weight": torch.ones(5, 64), "classifier.2.bias": torch.ones(5)}
    torch.save(state, tmp_path / "tuned.pth")
    loaded = load_weights(tmp_path / "tuned.pth").network
    assert "was left out: the backbone alone is read" in capsys.readouterr().err
    for ours, theirs in zip(loaded.features.parameters(), expected.features.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "dialect", "width"),
    [
        ("mobilenet_v2", "torchvision", 0.1),
        ("mobilenet_v2", "torchvision", 0.6),
        ("mobilenet_v2", "torchvision", 1.1),
        ("mobilenet_v3_small", "torchvision", 0.6),
        ("mobilenet_v2", "keras", 0.33),
        ("mobilenet_v2", "keras", 0.56),
        ("mobilenet_v1", "keras", 0.2),
        ("mobilenet_v1", "keras", 0.6),
    ],
)
def test_an_unusual_width_is_read_from_the_shapes(name: str, dialect: str, width: float, tmp_path: Path) -> None:
    from litevision.weights.save import save_weights

    expected = tamed(network(name, dialect=dialect, width_mult=width, num_classes=4))
    ending = ".weights.h5" if dialect == "keras" else ".pth"
    file = save_weights(expected, tmp_path / f"weights{ending}", dialect)
    loaded = load_weights(file).network.eval()
    assert loaded.config.architecture == name
    with torch.inference_mode():
        assert torch.equal(loaded(X), expected(X))


def test_arrays_and_archives_are_read(small: Network, state: State, tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    torch.save({"net": state}, tmp_path / "inner.pth")
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / f"packed{compression}.zip", "w", compression) as archive:
            archive.write(tmp_path / "inner.pth", "folder/inner.pth")
            archive.writestr("readme.txt", "weights")
        assert_same_weights(load_weights(tmp_path / f"packed{compression}.zip").network, small)
    assert_same_weights(load_weights(tmp_path / "weights.npz").network, small)


def test_an_exported_program_is_read_without_running_it(tmp_path: Path) -> None:
    import torchvision

    original = torchvision.models.shufflenet_v2_x0_5(num_classes=3).eval()
    program = torch.export.export(original, (torch.zeros(1, 3, 64, 64),))
    torch.export.save(program, tmp_path / "program.pt2")
    loaded = load_weights(tmp_path / "program.pt2").network.eval()
    with torch.inference_mode():
        assert torch.equal(loaded(X), original(X))


FOREIGN = {
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
    "a web page": (b"<!DOCTYPE html><html>Sign in</html>", "download the file itself"),
    "a page without a type": (b"\n<html><body>404", "a web page"),
    "a TensorFlow Lite model": (b"\x1c\x00\x00\x00TFL3" + bytes(20), "TensorFlow Lite"),
    "an ONNX model": (b"\x08\x08\x12\x07pytorch\x1a\x031.0", "ONNX model that litevision did not make"),
    "JSON": (b'{"architectures": ["MobileNetV2"]}', "a file of JSON"),
    "an empty file": (b"", "is empty"),
    "zeros": (bytes(600), "zeros alone"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_files_are_named_as_what_they_are(kind: str, tmp_path: Path) -> None:
    data, message = FOREIGN[kind]
    (tmp_path / "weights.pth").write_bytes(data)
    with pytest.raises(WeightsError, match=message):
        load_weights(tmp_path / "weights.pth")


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc(x)
        return result


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_programs_and_modules_come_with_their_recipe(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(Odd(), torch.zeros(1, 3)), tmp_path / "script.pt")
    with pytest.raises(UnsafeFileError, match=r"TorchScript program.*torch\.jit\.load\('script\.pt'\)\.state_dict\(\)"):
        load_weights(tmp_path / "script.pt")
    torch.save(Odd(), tmp_path / "module.pth")
    with pytest.raises(UnsafeFileError, match=r"would run code .*torch\.save\(model\.state_dict\(\)"):
        load_weights(tmp_path / "module.pth")


def test_quantised_weights_are_called_so(state: State, tmp_path: Path) -> None:
    torch.save({**state, "features.0.0.scale": torch.tensor(0.1), "features.0.0.zero_point": torch.tensor(3)},
               tmp_path / "weights.pth")  # fmt: skip
    with pytest.raises(WeightsError, match="weights of a quantised model"):
        load_weights(tmp_path / "weights.pth")


def test_folders_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "some").mkdir()
    (tmp_path / "some/a.pth").write_bytes(b"x")
    for folder, message in (
        ("saved", "SavedModel"),
        ("empty", "holds no run and no weight file"),
        ("some", r"holds no run, but weight files: a\.pth"),
    ):
        with pytest.raises(FileMissingError, match=message):
            load_weights(tmp_path / folder)


class Runs:
    def __reduce__(self) -> Any:
        return logging.error, ("it ran",)


@pytest.mark.parametrize("place", ["args", "best", "model"])
def test_nothing_that_runs_is_let_in(place: str, state: State, tmp_path: Path, caplog: Any) -> None:
    torch.save({"state_dict": state, place: Runs()}, tmp_path / "weights.pth")
    with pytest.raises(UnsafeFileError, match="would run code"):
        load_weights(tmp_path / "weights.pth")
    assert caplog.text == ""


def test_another_network_stays_another(tmp_path: Path, state: State) -> None:
    other = {**state, "features.18.2.weight": torch.ones(3, 3)}  # a part that the backbone does not have
    torch.save(other, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"features\.18\.2|no network"):
        load_weights(tmp_path / "other.pth")
