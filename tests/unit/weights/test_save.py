"""Files written in each layout: read back bit by bit, by us and by the originals, and whole or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors import safe_open
from torch import Tensor

from litevision.errors import UnknownNameError, UsageError
from litevision.models import Network
from litevision.weights.layouts import LAYOUTS
from litevision.weights.load import load_weights
from litevision.weights.save import save_weights
from litevision.weights.writers import WeightFile
from weight_files import assert_same_weights, network


@pytest.mark.parametrize(
    ("layout", "ending", "name", "dialect"),
    [
        ("native", ".safetensors", "mobilenet_v1", "slim"),
        ("native", ".pth", "mobilenet_v1", "keras"),
        ("native", ".pt", "mobilenet_v2", "tutorial"),
        ("torchvision", ".safetensors", "mobilenet_v2", "torchvision"),
        ("torchvision", ".pth", "mobilenet_v3_small", "torchvision"),
        ("torchvision", ".pth", "shufflenet_v2_x0_5", "torchvision"),
        ("timm", ".safetensors", "mobilenet_v1", "timm"),
        ("timm", ".pth", "mobilenet_v3_small_minimalistic", "timm"),
        ("keras", ".h5", "mobilenet_v1", "keras"),
        ("keras", ".weights.h5", "mobilenet_v2", "keras"),
        ("keras", ".weights.h5", "mobilenet_v3_small", "keras"),
    ],
)
def test_the_round_trip_is_bit_identical(layout: str, ending: str, name: str, dialect: str, tmp_path: Path) -> None:
    ours = network(name, dialect=dialect, width_mult=1.0 if "shuffle" in name else 0.5, num_classes=6)
    path = save_weights(ours, tmp_path / f"new/folder/x{ending}", layout)
    assert path == tmp_path / f"new/folder/x{ending}"
    loaded = load_weights(path)
    assert loaded.network.config == ours.config
    assert (loaded.layout.name, loaded.applied.reset) == (layout, ())
    assert_same_weights(loaded.network, ours)


def raw(path: Path) -> dict[str, Tensor]:
    content: dict[str, Tensor] = torch.load(path, weights_only=True)
    return content


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_torchvision_takes_its_layout(name: str, tmp_path: Path) -> None:
    ours = network(name, num_classes=10)
    theirs = torchvision.models.get_model(name, num_classes=10)
    theirs.load_state_dict(raw(save_weights(ours, tmp_path / "x.pth", "torchvision")), strict=True)
    assert_same_logits(ours, theirs)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("mobilenet_v1", "mobilenetv1_100"),
        ("mobilenetv2_050", "mobilenetv2_050"),
        ("tf_mobilenetv3_small_075", "tf_mobilenetv3_small_075"),
    ],
)
def test_timm_takes_its_layout(name: str, theirs: str, tmp_path: Path) -> None:
    ours = network(name, num_classes=10)
    original = timm.create_model(theirs, pretrained=False, num_classes=10)
    original.load_state_dict(raw(save_weights(ours, tmp_path / "x.pth", "timm")), strict=True)
    assert_same_logits(ours, original)


def assert_same_logits(ours: Network, theirs: torch.nn.Module) -> None:
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = theirs.eval()(x)
        assert torch.allclose(ours(x), expected, rtol=1e-5)


def test_a_foreign_file_holds_nothing_of_ours(tmp_path: Path) -> None:
    path = save_weights(network("mobilenet_v2", width_mult=0.35), tmp_path / "x.safetensors", "torchvision")
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_part_is_saved_as_a_part(tmp_path: Path) -> None:
    body = network("mobilenet_v2", width_mult=0.35, final_endpoint="block_12")
    for layout in ("litevision", "torchvision"):
        loaded = load_weights(save_weights(body, tmp_path / f"{layout}.pth", layout))
        assert loaded.network.config.final_endpoint == "block_12"
        assert_same_weights(loaded.network, body)


def test_channels_last_is_saved_in_the_plain_order(tmp_path: Path) -> None:
    ours = network(width_mult=0.25)
    expected = save_weights(ours, tmp_path / "a.safetensors").read_bytes()
    ours.to(memory_format=torch.channels_last)
    assert save_weights(ours, tmp_path / "b.safetensors").read_bytes() == expected


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_equal_networks_make_equal_files(ending: str, tmp_path: Path) -> None:
    first, second = (save_weights(network(width_mult=0.25), tmp_path / f"{name}{ending}") for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_saving_leaves_the_network_alone(tmp_path: Path) -> None:
    ours = network(width_mult=0.25).train()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    save_weights(ours, tmp_path / "x.pth")
    assert ours.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


@pytest.mark.parametrize(
    ("file", "layout", "dialect", "kind", "message"),
    [
        ("x.h5", "timm", "timm", UsageError, r"'timm' is written to .safetensors or .pth or .pt, got 'x.h5'"),
        ("x.pth", "keras", "keras", UsageError, r"'keras' is written to .weights.h5 or .h5, got 'x.pth'"),
        ("x", "litevision", "timm", UsageError, r"'litevision' is written to .safetensors"),
        (
            "x.pth",
            "torchvision",
            "timm",
            UsageError,
            r"of the dialects torchvision; got mobilenet_v1 in the dialect 'timm'",
        ),
        ("x.h5", "keras", "slim", UsageError, r"of the dialects keras; got mobilenet_v1 in the dialect 'slim'"),
        (
            "x.pth",
            "slim",
            "slim",
            UnknownNameError,
            r"no layout to write 'slim'. Known: torchvision, timm, nanodet, litevision, native",
        ),
    ],
)
def test_what_cannot_be_written(
    file: str, layout: str, dialect: str, kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        save_weights(network(width_mult=0.25, dialect=dialect), tmp_path / file, layout)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("file", "layout", "suffix"), [("x.pth", "native", ".pth"), ("x.h5", "keras", ".h5")])
def test_a_file_appears_whole_or_not_at_all(
    file: str, layout: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = network(width_mult=0.25, dialect="keras")
    save_weights(made, tmp_path / file, layout)
    before = (tmp_path / file).read_bytes()

    def fail_half_way(_: WeightFile, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setitem(LAYOUTS, layout, replace(LAYOUTS[layout], writers={suffix: fail_half_way}))
    with pytest.raises(KeyboardInterrupt):
        save_weights(made, tmp_path / file, layout)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(file, before)]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.pth").mkdir()
    for path in (tmp_path / "file/x.pth", tmp_path / "folder.pth"):
        with pytest.raises(UsageError, match=f"{path}: not a file that can be written"):
            save_weights(network(width_mult=0.25), path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.pth"]


def test_others_may_read_the_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    path = save_weights(network(width_mult=0.25), tmp_path / "x.pth")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
