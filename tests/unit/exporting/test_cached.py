"""Bundles that are made once and kept."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from litevision.errors import DownloadError, FileMissingError, UnknownNameError
from litevision.exporting.cached import bundle_for, kept_at
from litevision.hub import load
from litevision.models import build, configure
from litevision.weights.save import save_weights
from litevision.zoo import BUNDLES
from networks import SHORT_ROWS

WITHOUT_TORCH = """
import sys
sys.modules.update(dict.fromkeys(("torch", "torchvision", "onnx", "onnxscript", "safetensors", "h5py")))
from litevision.errors import LitevisionError
from litevision.exporting.cached import bundle_for
try:
    print(bundle_for(sys.argv[1]))
except LitevisionError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LITEVISION_OFFLINE", "1")
    return tmp_path / "cache"


def weight_file(path: Path, num_classes: int = 1000) -> Path:
    torch.manual_seed(0)
    rows = SHORT_ROWS["mobilenet_v2"][:2]
    return save_weights(build(configure("mobilenet_v2", rows=rows, num_classes=num_classes)), path)


def without_torch(source: Path) -> str:
    """What ``bundle_for`` prints in a Python without the workshop's packages."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def contents(folder: Path) -> Mapping[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_files_bundle_is_made_once_and_found_without_torch(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = weight_file(tmp_path / "mine.safetensors")
    assert without_torch(file).startswith(
        f"MissingExtraError Making the bundle of '{file}', once, needs parts that are"
    )
    assert not cache.exists()

    made = bundle_for(str(file))
    assert capsys.readouterr().err == f"making the bundle of {file}, once; later runs find it\n"
    assert made.parent == cache / "bundles"
    assert made.name.startswith("mine-")
    assert load(made).bundle.metadata.weights.name == "mine.safetensors"
    before = contents(made.parent)
    assert sorted(before) == [made.name, f"{made.name}.lock", f"{made.name}.sha256"]
    assert bundle_for(str(file)) == made
    assert without_torch(file) == str(made)
    assert contents(made.parent) == before


def damage(bundle: Path, kind: str) -> None:
    record = bundle.with_name(f"{bundle.name}.sha256")
    if kind == "truncated":
        bundle.write_bytes(bundle.read_bytes()[:1000])
    elif kind == "swapped":
        bundle.write_bytes(BUNDLES["clothing"].read_bytes())
    elif kind == "record is no text":
        record.write_bytes(b"\xff\xfe" * 40)
    elif kind == "no record":
        record.unlink()
    os.utime(bundle, ns=(1, 1))


def test_a_damaged_or_swapped_bundle_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = weight_file(tmp_path / "mine.safetensors")
    made = bundle_for(str(file))
    for kind, said in (
        ("truncated", "is not the file that was made"),
        ("swapped", "is not the file that was made"),
        ("record is no text", "has no record of what it should be"),
    ):
        damage(made, kind)
        capsys.readouterr()
        assert bundle_for(str(file)) == made
        assert capsys.readouterr().err == f"{made} {said}; making it anew\n"
        assert load(made).bundle.metadata.weights.name == "mine.safetensors"
        assert bundle_for(str(file)) == made
        assert capsys.readouterr().err == ""
    for kind in ("swapped", "no record"):
        damage(made, kind)
        assert without_torch(file).startswith("MissingExtraError Making the bundle of")


def test_another_file_of_the_same_name_has_a_bundle_of_its_own(tmp_path: Path) -> None:
    file = weight_file(tmp_path / "mine.safetensors")
    first = bundle_for(str(file))
    file.write_bytes(weight_file(tmp_path / "other.safetensors").read_bytes()[:-1] + b"\x01")
    assert bundle_for(str(file)) != first
    assert first.is_file()


def test_another_version_makes_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is assumed of a file may change with it."""
    file = weight_file(tmp_path / "mine.safetensors")
    first = kept_at(str(file))
    monkeypatch.setattr("litevision.exporting.cached.__version__", "99.0")
    assert kept_at(str(file)) != first
    assert "99.0" in kept_at(str(file)).name


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("image", "is no weight file that litevision reads"),
        ("no names", "its classes have no names"),
        ("no classes", "the network has no classifier"),
    ],
)
def test_a_file_is_refused_before_its_bundle_is_announced(
    kind: str, message: str, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.jpg"
    if kind == "image":
        file.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    else:
        file = weight_file(tmp_path / "mine.safetensors", num_classes=3 if kind == "no names" else 0)
    with pytest.raises(ValueError, match=message):
        bundle_for(str(file))
    assert "making the bundle" not in capsys.readouterr().err
    assert not list(cache.rglob("*.onnx"))


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v2.tv_in1k_v2"])
def test_a_name_offline_says_how_to_fetch_by_hand(name: str, cache: Path) -> None:
    file = r".*/mobilenet_v2-.*\.pth"
    message = rf"cannot download https://{file}: offline mode is on .* put it at {cache}{file}"
    with pytest.raises(DownloadError, match=message):
        bundle_for(name)
    assert not list((cache / "bundles").glob("*.onnx"))


def test_what_is_neither_name_nor_file() -> None:
    with pytest.raises(UnknownNameError, match=r"'mobilenet_v9'\. Did you mean 'mobilenet_v"):
        bundle_for("mobilenet_v9")
    with pytest.raises(FileMissingError, match=r"no weight file at none\.safetensors"):
        bundle_for("none.safetensors")
