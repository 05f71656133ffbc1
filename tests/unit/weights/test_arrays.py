"""Weight files read as arrays, without torch."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from litevision.errors import LitevisionError, UnsafeFileError, WeightsError
from litevision.weights.arrays import read_arrays
from litevision.weights.read import read
from litevision.weights.save import save_weights
from weight_files import network


def assert_as_torch_reads(path: Path) -> None:
    expected = read(path).tensors
    found = read_arrays(path)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert np.array_equal(found[name], tensor.numpy()), name


@pytest.mark.parametrize(
    ("layout", "suffix"),
    [("timm", ".safetensors"), ("timm", ".pth"), ("keras", ".h5"), ("keras", ".weights.h5")],
)
def test_reads_what_torch_reads(layout: str, suffix: str, tmp_path: Path) -> None:
    made = network(dialect="keras" if layout == "keras" else "timm", width_mult=0.25, num_classes=3)
    assert_as_torch_reads(save_weights(made, tmp_path / f"a{suffix}", layout))


@pytest.mark.parametrize("is_zip", [True, False])
def test_reads_views_and_every_kind_of_number(is_zip: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0)
    state = {
        "whole": base.reshape(4, 6),
        "part": base[3:9],
        "turned": base.reshape(4, 6).T,
        "half": base.half(),
        "double": base.double(),
        "count": torch.tensor(7),
        "none": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(base[:2].clone()),
    }
    path = tmp_path / "a.pth"
    torch.save(state, path, _use_new_zipfile_serialization=is_zip)
    found = read_arrays(path)
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].shape == tuple(tensor.shape)
        assert np.array_equal(found[name], tensor.detach().numpy()), name


def test_reads_what_lies_in_state_dict(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "a.pth")
    assert read_arrays(tmp_path / "a.pth")["a"].tolist() == [1, 1]


class Evil:
    def __reduce__(self) -> Any:
        return print, ("run",)


def test_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pth"
    for is_zip in (True, False):
        torch.save({"a": torch.ones(2), "b": Evil()}, path, _use_new_zipfile_serialization=is_zip)
        with pytest.raises(UnsafeFileError, match=r"holds more than tensors \(__builtin__\.print\); it was not used"):
            read_arrays(path)
    assert capsys.readouterr().out == ""


def test_refuses_a_tensor_that_stands_for_more_than_the_file_holds(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1).expand(1_000_000)}, tmp_path / "a.pth")
    with pytest.raises(UnsafeFileError, match="stands for more numbers than it holds, at 'a'"):
        read_arrays(tmp_path / "a.pth")


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy", "no weights", "no state_dict", "empty"])
def test_damaged_files_are_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    if kind == "safetensors":
        whole = save_weights(network(width_mult=0.25, num_classes=3), tmp_path / "b.safetensors").read_bytes()
        path.write_bytes(whole[:5000])
    elif kind in ("zip", "legacy"):
        torch.save({"a": torch.ones(5000)}, path, _use_new_zipfile_serialization=kind == "zip")
        if kind == "legacy":
            path.write_bytes(path.read_bytes()[:-100])
        else:
            with zipfile.ZipFile(path) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
            with zipfile.ZipFile(path, "w") as archive:
                for name, data in members.items():
                    archive.writestr(name, data[:100] if name.endswith("data/0") else data)
    elif kind == "no state_dict":
        path.write_bytes(pickle.dumps([1, 2]))
    else:
        path.write_bytes(b"no weights" if kind == "no weights" else b"")
    with pytest.raises(LitevisionError) as raised:
        read_arrays(path)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, WeightsError)
    assert str(raised.value).startswith(str(path))
