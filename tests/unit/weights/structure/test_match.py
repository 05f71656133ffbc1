"""Files of no known layout: matched to their network by kind, shape and order, or refused with what does not fit."""

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from litevision.errors import FileMissingError, WeightsError, WeightsMismatchError
from litevision.models.network import Network
from litevision.weights.conversion import convert
from litevision.weights.convert import extract
from litevision.weights.layouts import layout_named
from litevision.weights.load import load_network, load_weights
from litevision.weights.structure.match import AmbiguousWeightsError
from reimplementations import (
    CifarMobileNet,
    CifarShuffleNet,
    State,
    TutorialMobileNetV2,
    letters,
    numbers,
    renamed,
    state_of,
    swapped,
    tame,
)
from weight_files import assert_same_weights, network

SIZES = ((64, 96), (97, 65))


def saved(state: State, path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save(state, path)
    return path


def assert_same_outputs(ours: nn.Module, theirs: nn.Module, sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
    for size_hw in sizes:
        x = torch.randn(2, 3, *size_hw, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            got, expected = ours.eval()(x), theirs(x)
        for one, other in zip(got, expected, strict=True) if isinstance(expected, tuple) else [(got, expected)]:
            assert other.std() > 1e-3
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def cifar() -> nn.Module:
    return tame(CifarMobileNet())


@pytest.fixture(scope="module")
def tutorial() -> nn.Module:
    return tame(TutorialMobileNetV2())


def test_the_pytorch_tutorials_classifier_loads(
    tutorial: nn.Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_weights(saved(state_of(tutorial), tmp_path / "tutorial.pth")).network
    assert (loaded.config.architecture, loaded.config.dialect, loaded.config.num_classes) == (
        "mobilenet_v2",
        "tutorial",
        5,
    )
    assert sum(parameter.numel() for parameter in loaded.parameters()) == 4_320_301
    assert_same_outputs(loaded, tutorial)
    err = capsys.readouterr().err
    assert "no known layout; by its structure it is the network mobilenet_v2 at width 1: 566 tensors, each used" in err
    assert "the map: stem = first_conv.*, block_0 = layers.0.0.*" in err
    assert "those of the dialect 'tutorial' are taken (padding symmetric, eps 1e-05)" in err


def test_the_tutorials_detector_loads_and_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = tame(TutorialMobileNetV2(10, detects=True))
    assert sum(parameter.numel() for parameter in theirs.parameters()) == 4_314_190
    file = saved(state_of(theirs), tmp_path / "tutorial_centernet.pth")
    assert_same_outputs(load_network(file), theirs, ((128, 64),))
    assert "heads.heatmap.output = hm, heads.size.output = wh, heads.offset.output = reg" in capsys.readouterr().err


STRANGE: dict[str, tuple[str, Callable[[State], State]]] = {
    "as it is": (".pth", lambda state: state),
    "names sorted": (".safetensors", lambda state: state),
    "names that say nothing": (".pth", lambda state: renamed(state, letters())),
    "numbers that are shuffled": (".pth", lambda state: renamed(state, numbers())),
    "numbers alone": (".pth", lambda state: renamed(state, lambda i, key: f"p{i}")),
    "numbers alone, sorted": (".safetensors", lambda state: renamed(state, lambda i, key: f"p.{i:04d}")),
    "wrapped, with a loss beside it": (
        ".pth",
        lambda state: OrderedDict(
            [(f"net.model.{name}", tensor) for name, tensor in state.items()] + [("loss.weight", torch.ones(10))]
        ),
    ),
    "underscores": (".pth", lambda state: renamed(state, lambda i, key: key.replace(".", "_"))),
    "convolutions first": (
        ".pth",
        lambda state: OrderedDict(sorted(state.items(), key=lambda entry: ".bn" in entry[0] or entry[0][:2] == "bn")),
    ),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_file_of_a_known_network_loads(kind: str, cifar: nn.Module, tmp_path: Path) -> None:
    ending, change = STRANGE[kind]
    loaded = load_weights(saved(change(state_of(cifar)), tmp_path / f"strange{ending}")).network
    assert (loaded.config.architecture, loaded.config.width_mult, loaded.config.num_classes) == (
        "mobilenet_v1",
        0.25,
        10,
    )
    assert_same_outputs(loaded, cifar, SIZES[:1])


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_side_branches_are_told_from_main_ones(ending: str, tmp_path: Path) -> None:
    theirs = tame(CifarShuffleNet())
    loaded = load_weights(saved(state_of(theirs), tmp_path / f"shuffle{ending}")).network
    assert loaded.config.architecture == "shufflenet_v2_x0_5"
    assert_same_outputs(loaded, theirs)


@pytest.mark.parametrize(
    ("one", "other"), [("layers.7.", "layers.8."), ("layers.9.", "layers.10."), ("layers.7.conv2", "layers.8.conv2")]
)
def test_an_order_that_the_names_deny_is_refused(one: str, other: str, cifar: nn.Module, tmp_path: Path) -> None:
    file = saved(swapped(state_of(cifar), one, other), tmp_path / "swapped.pth")
    with pytest.raises(AmbiguousWeightsError, match="the order in the file and the names contradict each other"):
        load_weights(file)


def test_a_refused_file_can_be_read_by_a_map(cifar: nn.Module, tmp_path: Path) -> None:
    state, chart = swapped(state_of(cifar), "layers.7.", "layers.8."), tmp_path / "map.json"
    file = saved(state, tmp_path / "swapped.pth")
    with pytest.raises(AmbiguousWeightsError, match=r"The map was written to .*map\.json"):
        load_weights(file, save_map=chart)
    text = chart.read_text("utf-8").replace("layers.7.", "layers.#.").replace("layers.8.", "layers.7.")
    chart.write_text(text.replace("layers.#.", "layers.8."), "utf-8")
    assert_same_outputs(load_weights(file, weight_map=chart).network, cifar, SIZES[:1])


def test_a_map_is_written_and_read_back(cifar: nn.Module, tmp_path: Path) -> None:
    chart = tmp_path / "map.json"
    file = saved(state_of(cifar), tmp_path / "mine.pth")
    first = convert(file, tmp_path / "ours.safetensors", save_map=chart)
    assert first.layout == "none; by a map of its tensors"
    record = json.loads(chart.read_text("utf-8"))
    assert record["tensors"]["layers.0.conv1.weight"] == "features.Conv2d_1_depthwise.conv.weight"
    other = tame(CifarMobileNet(4), seed=1)  # another model of the same code
    loaded = load_weights(saved(state_of(other), tmp_path / "other.pth"), weight_map=chart).network
    assert loaded.config.num_classes == 4
    assert_same_outputs(loaded, other, SIZES[:1])
    assert_same_outputs(load_weights(tmp_path / "ours.safetensors").network, cifar, SIZES[:1])


def test_a_map_that_does_not_fit_is_refused(cifar: nn.Module, tutorial: nn.Module, tmp_path: Path) -> None:
    chart = tmp_path / "map.json"
    load_weights(saved(state_of(cifar), tmp_path / "mine.pth"), save_map=chart)
    other = saved(state_of(tutorial), tmp_path / "other.pth")
    with pytest.raises(WeightsMismatchError, match=r"the map is of another file: .* tensors missing: conv1"):
        load_weights(other, weight_map=chart)
    record = json.loads(chart.read_text("utf-8"))
    record["tensors"]["layers.0.conv1.weight"] = "features.Conv2d_9.conv.weight"
    chart.write_text(json.dumps(record), "utf-8")
    with pytest.raises(WeightsMismatchError, match=r"Conv2d_9\.conv\.weight is no tensor of the network"):
        load_weights(tmp_path / "mine.pth", weight_map=chart)
    chart.write_text("{}", "utf-8")
    with pytest.raises(WeightsError, match="cannot be read as a weight map"):
        load_weights(tmp_path / "mine.pth", weight_map=chart)
    with pytest.raises(FileMissingError, match="no weight map"):
        load_weights(tmp_path / "mine.pth", weight_map=tmp_path / "none.json")


def test_another_network_is_refused_with_the_nearest(cifar: nn.Module, tmp_path: Path) -> None:
    state = state_of(cifar)
    state["layers.3.extra.weight"] = torch.ones(64, 64, 3, 3)
    with pytest.raises(WeightsError, match=r"mobilenet_v1 .*no place for 1 of its layers \(layers\.3\.extra"):
        load_weights(saved(state, tmp_path / "other.pth"))
    del state["layers.3.extra.weight"]
    fewer = OrderedDict((name, tensor) for name, tensor in state.items() if not name.startswith("layers.12."))
    with pytest.raises(WeightsError, match=r"By their structure the nearest: mobilenet_v1 .*--map FILE"):
        load_weights(saved(fewer, tmp_path / "fewer.pth"))


def test_a_bias_before_a_normalisation_goes_into_its_mean(cifar: nn.Module, tmp_path: Path) -> None:
    theirs = tame(CifarMobileNet())
    for module in theirs.modules():
        if isinstance(module, nn.Conv2d):
            module.bias = nn.Parameter(torch.linspace(-1, 1, module.out_channels))
    loaded = load_weights(saved(state_of(theirs), tmp_path / "biased.pth")).network
    assert_same_outputs(loaded, theirs, SIZES[:1])


def test_a_file_without_a_head_is_the_backbone(cifar: nn.Module, tmp_path: Path) -> None:
    state = OrderedDict((name, tensor) for name, tensor in state_of(cifar).items() if not name.startswith("linear"))
    loaded = load_weights(saved(state, tmp_path / "headless.pth")).network
    assert loaded.config.num_classes == 0
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        cifar.linear = nn.Identity()
        torch.testing.assert_close(loaded.eval()(x), cifar(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
@pytest.mark.parametrize("classes", [1001, 6])
def test_transformers_files_load(name: str, classes: int, tmp_path: Path) -> None:
    expected: Network = network(name, dialect="slim", width_mult=0.25, num_classes=classes)
    state = extract(expected, layout_named("transformers"))
    assert f"{name}.conv_stem.{'' if name == 'mobilenet_v1' else 'first_conv.'}convolution.weight" in state
    loaded = load_weights(saved(OrderedDict(state), tmp_path / "model.safetensors"))
    assert loaded.layout.name == "transformers"
    assert loaded.applied.background_dropped == (classes == 1001)
    if classes == 6:
        assert_same_weights(loaded.network, expected)


def flat_names(state: State) -> State:
    """An older torchvision's names: one number for each layer of a block."""
    made: State = OrderedDict()
    for name, tensor in state.items():
        parts = name.split(".")
        if parts[0] == "features" and parts[2] == "conv":
            block = parts[1]
            inner = [key.split(".conv.")[1].split(".") for key in state if key.startswith(f"features.{block}.conv.")]
            plan = list(dict.fromkeys(tuple(each[:-1]) for each in inner))
            at = plan.index(tuple(parts[3:-1]))
            name = f"features.{block}.conv.{at // 2 * 3 + at % 2}.{parts[-1]}"
        elif parts[0] == "classifier":
            name = f"classifier.{parts[-1]}"
        made[name] = tensor
    return made


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize(("width", "last"), [(0.1, "features.18"), (0.35, "conv")])
def test_older_torchvision_names_load(width: float, last: str, ending: str, tmp_path: Path) -> None:
    expected = network("mobilenet_v2", dialect="torchvision", width_mult=width, num_classes=9)
    state = flat_names(OrderedDict(extract(expected, layout_named("torchvision"))))
    state = OrderedDict((name.replace("features.18", last), tensor) for name, tensor in state.items())
    loaded = load_weights(saved(state, tmp_path / f"old{ending}")).network
    assert_same_weights(loaded, expected)


def flat_mobilenet_v3(made: Network, gate_at: int) -> State:
    """The names of a widely used PyTorch MobileNetV3: each layer of a block has a number, activations too.

    Args:
        gate_at: number of the squeeze-and-excite, 6 behind the activation and 5 before it.
    """
    numbers = {"expand.conv": 0, "expand.norm": 1, "depthwise.conv": 3, "depthwise.norm": 4}
    numbers |= {"project.conv": 7, "project.norm": 8}
    parts = list(dict(made.features.named_children()))
    state: State = OrderedDict()
    for name, tensor in made.state_dict().items():
        *path, leaf = name.split(".")
        if path[0] == "head":
            state[f"classifier.{0 if path[1] == 'hidden' else 3}.{leaf}"] = tensor
            continue
        place, number = parts.index(path[1]), {"conv": 0, "norm": 1}.get(path[-1], 0)
        if not path[1].startswith("block"):
            state[f"features.0.{number}.{leaf}" if place == 0 else f"conv.{number}.{leaf}"] = tensor
            continue
        skipped = 0 if f"features.{path[1]}.expand.conv.weight" in made.state_dict() else 3
        if path[2] == "se":
            at = f"{(6 if skipped else gate_at) - skipped}.fc.{0 if path[3] == 'reduce' else 2}"
            tensor = tensor[:, :, 0, 0] if tensor.dim() == 4 else tensor
        else:
            at = str(numbers[".".join(path[2:])] - skipped)
        state[f"features.{place}.conv.{at}.{leaf}"] = tensor
    return state


def test_a_gate_before_the_activation_is_another_network(tmp_path: Path) -> None:
    expected = network("mobilenet_v3_small", dialect="timm", num_classes=5)
    behind = saved(flat_mobilenet_v3(expected, 6), tmp_path / "behind.pth")
    assert_same_weights(load_weights(behind).network, expected)
    before = saved(flat_mobilenet_v3(expected, 5), tmp_path / "before.pth")
    with pytest.raises(WeightsError, match=r"squeeze-and-excite behind the activation, and the file before it"):
        load_weights(before)
