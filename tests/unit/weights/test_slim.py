"""TF-slim's checkpoints, by its rules for variables' names and its files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from litevision.errors import WeightsError
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
    """The names of a checkpoint's files."""
    for ending in ("index", "meta", "data-00000-of-00001"):
        (tmp_path / f"model.ckpt-7.{ending}").write_bytes(b"")
    return tmp_path / "model.ckpt-7"


@pytest.mark.parametrize("ending", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_checkpoint_is_told_by_its_index(ending: str, prefix: Path) -> None:
    assert checkpoint.checkpoint_prefix(prefix.with_name(prefix.name + ending)) == prefix
    assert checkpoint.checkpoint_prefix(prefix.with_name(f"other{ending}")) is None


TINY = Path(__file__).parents[2] / "fixtures/tf_slim/tiny.ckpt"
"""As TensorFlow 2.21's ``tf.compat.v1.train.Saver`` wrote it."""


def test_variables_are_those_that_tensorflow_stored() -> None:
    got = checkpoint.read_checkpoint(TINY, 10_000)
    assert list(got) == ["MobilenetV1/Conv2d_0/BatchNorm/gamma", "MobilenetV1/Conv2d_0/weights", "global_step"]
    gamma, weights, step = got.values()
    assert (gamma.dtype, gamma.tolist()) == (np.float32, [1.0, -2.0])
    np.testing.assert_array_equal(weights, np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2) / 8)
    assert (step.dtype, step.shape, step.item()) == (np.int64, (), 7)


def index(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    for file in TINY.parent.glob(f"{TINY.name}.*"):
        shutil.copy(file, tmp_path)
    return tmp_path / TINY.name


def test_what_is_no_number_or_in_slices_is_refused(tiny: Path) -> None:
    data = index(tiny).read_bytes()
    index(tiny).write_bytes(data.replace(b"gamma\x08\x01", b"gamma\x08\x07"))
    with pytest.raises(WeightsError, match=r"gamma holds no numbers \(type 7\), as in TF 2's checkpoints of objects"):
        load_weights(tiny)
    index(tiny).write_bytes(data.replace(b"MobilenetV1/Conv2d_0/Batch", b"\0obilenetV1/Conv2d_0/Batch"))
    with pytest.raises(WeightsError, match="some of its variables lie there in slices; save it without a partitioner"):
        load_weights(tiny)
    index(tiny).write_bytes(data.replace(b"\x12\x02\x08\x02\x28\x08", b"\x12\x02\x08\x03\x28\x08"))
    with pytest.raises(WeightsError, match=r"gamma has another size than its shape \[3\] says"):
        load_weights(tiny)
    index(tiny).write_bytes(data[:-1])
    with pytest.raises(WeightsError, match=r"tiny\.ckpt\.index is no table of TensorFlow's"):
        load_weights(tiny)


def test_files_that_are_cut_missing_or_too_large(tiny: Path) -> None:
    with pytest.raises(WeightsError, match=r"tiny\.ckpt is no checkpoint that can be read: it declares more than"):
        checkpoint.read_checkpoint(tiny, 50)
    [data] = tiny.parent.glob("*.data-*")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"00001 is cut short: global_step lies behind its end"):
        load_weights(tiny)
    data.unlink()
    with pytest.raises(WeightsError, match=r"tiny\.ckpt\.data-00000-of-00001 is missing"):
        load_weights(tiny)
