"""TF-slim's checkpoints, by its rules for variables' names; real ones are read where TensorFlow is installed."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from litevision.errors import MissingExtraError, WeightsError
from litevision.models import Network
from litevision.models.blocks import ConvNormAct
from litevision.weights import tensorflow_checkpoint as checkpoint
from litevision.weights.create import create
from litevision.weights.load import load_weights
from litevision.weights.read import StoredWeights, prefer_averages
from litevision.weights.source import WeightsSource
from weight_files import assert_same_weights, network

BN = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}

# Our layer's path and slim's scope. Sources: tensorflow/models, slim/nets/mobilenet_v1.py, mobilenet/mobilenet.py and
# conv_blocks.py; the names in issues 6786 and 3922 there; a V3 graph's ``squeeze_excite/Conv_1/biases``.
V1 = {
    "features.Conv2d_0": "MobilenetV1/Conv2d_0",
    **{
        f"features.Conv2d_{i}_{part}": f"MobilenetV1/Conv2d_{i}_{part}"
        for i in range(1, 14)
        for part in ("depthwise", "pointwise")
    },
    "head.classifier": "MobilenetV1/Logits/Conv2d_1c_1x1",
}
V2 = {
    "features.stem": "MobilenetV2/Conv",
    **{
        f"features.block_{i}.{part}": f"MobilenetV2/expanded_conv{f'_{i}' if i else ''}/{part}"
        for i in range(17)
        for part in ("expand", "depthwise", "project")
        if i or part != "expand"
    },
    "features.conv_last": "MobilenetV2/Conv_1",
    "head.classifier": "MobilenetV2/Logits/Conv2d_1c_1x1",
}
V3_SMALL = {
    "features.stem": "MobilenetV3/Conv",
    **{
        f"features.block_{i}.{part}": f"MobilenetV3/expanded_conv{f'_{i}' if i else ''}/{part}"
        for i in range(11)
        for part in ("expand", "depthwise", "project")
        if i or part != "expand"
    },
    **{
        f"features.block_{i}.se.{ours}": f"MobilenetV3/expanded_conv{f'_{i}' if i else ''}/squeeze_excite/{theirs}"
        for i in (0, 3, 4, 5, 6, 7, 8, 9, 10)
        for ours, theirs in (("reduce", "Conv"), ("expand", "Conv_1"))
    },
    "features.conv_last": "MobilenetV3/Conv_1",
    "head.hidden": "MobilenetV3/Conv_2",
    "head.classifier": "MobilenetV3/Logits/Conv2d_1c_1x1",
}
NETWORKS = [
    ("mobilenet_v1", 0.25, V1, 137),
    ("mobilenet_v2", 0.35, V2, 262),
    ("mobilenet_v3_small", 1.0, V3_SMALL, 210),
]


def variables(made: Network, scopes: dict[str, str]) -> dict[str, Tensor]:
    """The network's tensors as slim stores them: kernels [h, w, in, out], depthwise ones [h, w, channels, 1]."""
    found = {}
    for path, scope in scopes.items():
        layer = made.get_submodule(path)
        if isinstance(layer, ConvNormAct):
            for theirs, ours in BN.items():
                found[f"{scope}/BatchNorm/{theirs}"] = getattr(layer.norm, ours)
            layer = layer.conv
        weight = layer.weight.detach()
        if isinstance(layer, nn.Linear):
            weight = weight[:, :, None, None]
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            found[f"{scope}/depthwise_weights"] = weight.permute(2, 3, 0, 1)
        else:
            found[f"{scope}/weights"] = weight.permute(2, 3, 1, 0)
        if layer.bias is not None:
            found[f"{scope}/biases"] = layer.bias.detach()
    return found


def opened(monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor]) -> None:
    """Lets ``load_weights`` find a checkpoint with these variables; its file is this one."""
    stored = StoredWeights(prefer_averages(tensors), "tensorflow")
    for module in ("load", "create"):
        monkeypatch.setattr(
            f"litevision.weights.{module}.open_source",
            lambda *_: WeightsSource("model.ckpt", None, Path(__file__), stored),
        )


@pytest.mark.parametrize(("name", "width_mult", "scopes", "count"), NETWORKS)
def test_slims_names_are_recognised_and_read(
    name: str, width_mult: float, scopes: dict[str, str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = network(name, dialect="slim", width_mult=width_mult, num_classes=1001)
    tensors = variables(theirs, scopes)
    assert len(tensors) == count
    opened(monkeypatch, tensors)
    loaded = load_weights("model.ckpt")
    config = loaded.network.config
    assert (config.architecture, config.dialect, config.width_mult) == (name, "slim", width_mult)
    assert (config.num_classes, loaded.applied.background_dropped, loaded.layout.name) == (1000, True, "slim")
    expected = network(name, dialect="slim", width_mult=width_mult)
    state = theirs.state_dict()
    expected.load_state_dict({n: t[1:] if n.startswith("head.classifier") else t for n, t in state.items()})
    assert_same_weights(loaded.network, expected)


def test_a_training_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The averages are taken in place of their variables; the trainer's own state is dropped, each with its reason."""
    averaged, current = (network(dialect="slim", width_mult=0.25, seed=seed, num_classes=1001) for seed in (1, 2))
    tensors = variables(current, V1)
    kernel = "MobilenetV1/Conv2d_0/weights"
    for variable, value in variables(averaged, V1).items():
        tensors[f"{variable}/ExponentialMovingAverage"] = value
    for slot in ("RMSProp", "RMSProp_1", "Momentum", "Adam", "Adam_1", "Adagrad", "Ftrl_1"):
        tensors[f"{kernel}/{slot}"] = torch.zeros(3, 3, 3, 8)
    tensors |= {name: torch.tensor(9.0) for name in ("global_step", "beta1_power", "beta2_power", "learning_rate")}
    opened(monkeypatch, tensors)

    loaded = load_weights("model.ckpt", drop_background=False)
    assert loaded.network.config.num_classes == 1001
    assert not loaded.applied.background_dropped
    assert_same_weights(loaded.network, averaged)
    dropped = loaded.applied.dropped
    assert len(dropped) == 137 + 7 + 4
    assert dropped["global_step"] == "the trainer's clock"
    assert dropped[f"{kernel}/ExponentialMovingAverage"] == "the average is read in place of its variable"
    for name in (
        f"{kernel}/RMSProp",
        f"{kernel}/Momentum",
        f"{kernel}/Adam_1",
        f"{kernel}/Ftrl_1",
        "beta1_power",
        "learning_rate",
    ):
        assert dropped[name] == "the optimizer's state"


def test_a_fine_tuned_head_has_no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = network(dialect="slim", width_mult=0.25, num_classes=5)
    opened(monkeypatch, variables(theirs, V1))
    loaded = load_weights("model.ckpt")
    assert loaded.network.config.num_classes == 5
    assert_same_weights(loaded.network, theirs)


def test_create_for_1000_classes_leaves_the_background_out(monkeypatch: pytest.MonkeyPatch) -> None:
    opened(monkeypatch, variables(network(dialect="slim", width_mult=0.25, num_classes=1001), V1))
    made = create("mobilenet_v1", width_mult=0.25, weights="model.ckpt")
    assert (made.config.dialect, made.config.num_classes) == ("slim", 1000)


# --- reading the files ---


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A checkpoint's files, of which nothing is read before TensorFlow is there."""
    for ending in ("index", "meta", "data-00000-of-00001"):
        (tmp_path / f"model.ckpt-7.{ending}").write_bytes(b"")
    return tmp_path / "model.ckpt-7"


@pytest.mark.parametrize("ending", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_checkpoint_is_told_by_its_index(ending: str, prefix: Path) -> None:
    assert checkpoint.checkpoint_prefix(prefix.with_name(prefix.name + ending)) == prefix
    assert checkpoint.checkpoint_prefix(prefix.with_name(f"other{ending}")) is None


def test_without_tensorflow_its_extra_is_named(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(checkpoint.importlib.util, "find_spec", lambda name: None)
    monkeypatch.chdir(prefix.parent)
    for source in (prefix, f"{prefix}.index", prefix.name):
        with pytest.raises(MissingExtraError, match=r"Reading a TF-slim checkpoint needs .*'litevision\[slim\]'"):
            load_weights(source)


STAND_IN = """
from types import SimpleNamespace as N
import numpy as np
VALUES = {"MobilenetV1/Conv2d_0/weights": np.ones((3, 3, 3, 8), "f4"), "global_step": np.int64(7)}
def load_checkpoint(prefix):
    if prefix.endswith("broken"):
        raise ValueError("no such\\nUnsuccessful TensorSliceReader constructor")
    kind = lambda v: N(size=v.itemsize, is_floating=v.dtype.kind == "f", is_integer=v.dtype.kind == "i", name="string")
    values = VALUES | ({"graph": np.array(b"text")} if prefix.endswith("objects") else {})
    return N(
        get_variable_to_shape_map=lambda: {name: list(value.shape) for name, value in values.items()},
        get_variable_to_dtype_map=lambda: {name: kind(value) for name, value in values.items()},
        get_tensor=lambda name: values[name],
    )
"""


@pytest.fixture
def tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with the three calls that we make of TensorFlow's reader."""
    package = tmp_path / "packages/tensorflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from . import train")
    (package / "train.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=":")


def test_variables_come_from_a_process_of_its_own(tensorflow: None) -> None:
    got = checkpoint.read_checkpoint(Path("model"), 10_000)
    assert {name: (value.shape, value.dtype.name) for name, value in got.items()} == {
        "MobilenetV1/Conv2d_0/weights": ((3, 3, 3, 8), "float32"),
        "global_step": ((), "int64"),
    }
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(
    ("prefix", "max_bytes", "message"),
    [
        ("broken", 10_000, "broken is no checkpoint that can be read: Unsuccessful TensorSliceReader constructor"),
        ("objects", 10_000, "graph holds string, as TF 2's checkpoints of objects do"),
        ("model", 500, r"declares more than 5e-07 GB of variables"),
    ],
)
def test_checkpoints_that_cannot_be_read(prefix: str, max_bytes: int, message: str, tensorflow: None) -> None:
    with pytest.raises(WeightsError, match=message):
        checkpoint.read_checkpoint(Path(prefix), max_bytes)
