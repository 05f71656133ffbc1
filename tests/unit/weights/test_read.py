"""Files that are broken, hostile, or wrapped: what is read of them, and that nothing of them runs."""

import io
import json
import pickle
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from litevision.errors import FileMissingError, UnsafeFileError, WeightsError
from litevision.weights import hdf5, pickles
from litevision.weights import read as reading
from litevision.weights.read import read, require_plain
from litevision.weights.save import save_weights
from weight_files import network


class Touch:
    """Unpickling it would create the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def pickled_at_once(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def old_torch(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("save", [torch.save, old_torch, pickled_at_once])
def test_a_pickle_that_would_run_code_is_not_opened(save: Callable[[object, Path], None], tmp_path: Path) -> None:
    target, file = tmp_path / "ran", tmp_path / "evil.pth"
    save({"weight": torch.zeros(2), "extra": Touch(target)}, file)
    with pytest.raises(
        UnsafeFileError, match=r"would run code \(.*\); it was not opened. Save its state_dict"
    ) as caught:
        read(file)
    assert not target.exists()
    message = str(caught.value)
    assert "\n" not in message
    assert "weights_only" not in message  # torch's own text says how to run it
    torch.load(file, weights_only=False) if save is not pickled_at_once else pickle.loads(file.read_bytes())
    assert target.exists(), "the file was harmless, and the test without worth"


def test_a_whole_module_is_named(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(UnsafeFileError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read(tmp_path / "module.pth")


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "program.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py", "version"):
            archive.writestr(f"program/{name}", "")
    with pytest.raises(UnsafeFileError, match="TorchScript program, expected a state_dict"):
        read(tmp_path / "program.pt")


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_BYTES", 1_000_000)
    for name in ("bomb.keras", "bomb.pth"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model.weights.h5" if name == "bomb.keras" else "archive/data.pkl", bytes(1_000_001))
        assert (tmp_path / name).stat().st_size < 2_000
        with pytest.raises(UnsafeFileError, match=r"unpacks to more than 0\.001 GB"):
            read(tmp_path / name)


def link_out(file: h5py.File) -> None:
    file["layers/conv"] = h5py.ExternalLink("other.h5", "/secret")


def link_softly(file: h5py.File) -> None:
    file["layers/conv"] = h5py.SoftLink("/elsewhere")


def link_in_a_circle(file: h5py.File) -> None:
    file.create_group("layers/conv")
    file["layers/conv/layers"] = file["layers"]


def store_outside(file: h5py.File) -> None:
    file.create_dataset("layers/conv/vars/0", (2,), "f4", external=[("secret.bin", 0, 8)])


def store_virtually(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", (2,))
    file.create_virtual_dataset("layers/conv/vars/0", layout)


def declare_too_much(file: h5py.File) -> None:
    file.create_dataset("layers/conv/vars/0", (10**6, 10**6), "f4", chunks=(100, 100))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (link_out, "has a ExternalLink at /layers/conv, which can reach other files"),
        (link_softly, "has a SoftLink at /layers/conv"),
        (link_in_a_circle, "has a second link to one object at /layers/conv/layers"),
        (store_outside, "keeps the data of /layers/conv/vars/0 in another file"),
        (store_virtually, "keeps the data of /layers/conv/vars/0 in another file"),
        (declare_too_much, "declares more than 1 GB"),
    ],
)
def test_hdf5_that_reaches_out(spoil: Callable[[h5py.File], None], reason: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(8))
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["data"] = other["secret"] = np.zeros(2, np.float32)
    with h5py.File(tmp_path / "evil.h5", "w") as file:
        spoil(file)
    assert (tmp_path / "evil.h5").stat().st_size < 20_000
    with pytest.raises(UnsafeFileError, match=f"{reason}.*it was not opened"):
        read(tmp_path / "evil.h5")


def keras_file(path: Path, data: Any, leaf: str = "0", name: str | None = "conv") -> Path:
    """A Keras 3 file with one variable."""
    with h5py.File(path, "w") as file:
        variables = file.create_group("layers/conv2d/vars")
        variables[leaf] = data
        if name is not None:
            variables.attrs["name"] = name
    return path


def test_hdf5_numbers_of_another_order_and_size(tmp_path: Path) -> None:
    for kind in (">f4", "<f8", "<f2"):
        got = read(keras_file(tmp_path / "x.h5", np.array([1.5, -2], kind))).tensors
        assert got["conv/kernel"].tolist() == [1.5, -2]


def test_its_reader_takes_no_modules_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which may be a stranger's data set."""
    monkeypatch.chdir(tmp_path)
    for name in ("numpy", "h5py", "litevision"):
        Path(f"{name}.py").write_text("open('ran', 'w')\n")
    assert read(keras_file(Path("x.h5"), np.array([1.5, -2], "<f4"))).tensors["conv/kernel"].tolist() == [1.5, -2]
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (np.arange(3), "conv", "holds int64 at /layers/conv2d/vars/0, expected floating-point numbers"),
        (np.array(["a", "b"], object), "conv", "holds object at"),
        (h5py.Empty("f4"), "conv", "cannot be read"),
        (np.zeros(3, np.float32), None, "carries no layer names .*save it again as .h5"),
    ],
)
def test_hdf5_that_is_no_weights(data: Any, name: str | None, reason: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=reason):
        read(keras_file(tmp_path / "x.h5", data, name=name))


def test_hdf5_without_keras_layers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError, match="without Keras layers"):
        read(tmp_path / "x.h5")


def test_a_layer_of_another_kind_keeps_its_numbers(tmp_path: Path) -> None:
    """A separable convolution has three variables; calling the second a bias would be a guess."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        variables = file.create_group("layers/separable_conv2d/vars")
        variables.attrs["name"] = "sep"
        for index in range(3):
            variables[str(index)] = np.zeros(2, np.float32)
    assert list(read(tmp_path / "x.h5").tensors) == ["sep/0", "sep/1", "sep/2"]


def test_a_model_in_the_model_keeps_its_layers_names(tmp_path: Path) -> None:
    ours = network(width_mult=0.25, dialect="keras", num_classes=0)
    save_weights(ours, tmp_path / "flat.h5", "keras")
    save_weights(ours, tmp_path / "flat.weights.h5", "keras")
    with h5py.File(tmp_path / "flat.h5") as flat, h5py.File(tmp_path / "nested.h5", "w") as nested:
        group = nested.create_group("base")
        names = [name for layer in flat.attrs["layer_names"] for name in flat[layer].attrs["weight_names"]]
        for layer in flat.attrs["layer_names"]:
            flat.copy(flat[layer][layer], group, layer)
        group.attrs["weight_names"] = names
        nested.attrs["layer_names"] = [b"base"]
    with h5py.File(tmp_path / "flat.weights.h5") as flat, h5py.File(tmp_path / "nested.weights.h5", "w") as nested:
        flat.copy("layers", nested.create_group("layers/functional"))
    for ending in (".h5", ".weights.h5"):
        got, expected = (read(tmp_path / f"{stem}{ending}").tensors for stem in ("nested", "flat"))
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[key], expected[key]) for key in expected)


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for key in ("conv2d", "conv2d_1"):
            variables = file.create_group(f"layers/{key}/vars")
            variables.attrs["name"] = "conv"
            variables["0"] = np.zeros(2, np.float32)
    with pytest.raises(WeightsError, match="holds conv/kernel twice"):
        read(tmp_path / "x.h5")


def test_a_keras_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(keras_file(tmp_path / "x.h5", np.ones(2, np.float32)), "model.weights.h5")
    got = read(tmp_path / "model.keras")
    assert (got.container, got.tensors["conv/kernel"].tolist()) == ("hdf5", [1, 1])


def safetensors_with(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + bytes(64)


def torch_bytes(content: object, **arguments: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **arguments)
    return buffer.getvalue()


BROKEN = {
    "cut.pth": torch_bytes({"w": torch.zeros(20_000)})[:5_000],
    "cut_old.pth": torch_bytes({"w": torch.zeros(20_000)}, _use_new_zipfile_serialization=False)[:5_000],
    "other.zip": b"PK\x03\x04" + bytes(100),
    "no_json.safetensors": safetensors_with(b"{broken"),
    "no_text.safetensors": safetensors_with(b'{"\xff\xfe":0}'),
    "outside.safetensors": safetensors_with(
        json.dumps({"w": {"dtype": "F32", "shape": [99], "data_offsets": [0, 396]}}).encode()
    ),
    "huge.safetensors": struct.pack("<Q", 1 << 60) + b"{}",
    "cut.h5": b"\x89HDF\r\n\x1a\n" + bytes(300),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_said_to_be_broken(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(
        WeightsError, match=f"{name} cannot be read, it may be broken or truncated .*Fetch it"
    ) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_truncated_files_of_every_kind(share: float, tmp_path: Path) -> None:
    ours = network(width_mult=0.25, dialect="keras")
    for name, layout in (("a.h5", "keras"), ("a.weights.h5", "keras"), ("a.pth", "litevision"), ("a.safetensors",) * 2):
        whole = save_weights(ours, tmp_path / name, layout if layout in ("keras", "litevision") else "litevision")
        content = whole.read_bytes()
        whole.write_bytes(content[: int(share * len(content))])
        with pytest.raises(WeightsError, match="cannot be read"):
            read(whole)


@pytest.mark.parametrize(
    ("content", "first"), [(b"conv1.weight 1 2 3", r"b'conv1.wei'"), (b"\x89PNG\r\n\x1a\n...", "PNG")]
)
def test_other_files(content: bytes, first: str, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"no weight file .*first bytes .*{first}.*expected .pth, .safetensors"):
        read(tmp_path / "x.pth")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="no weight file at"):
        read(tmp_path / "x.pth")
    with pytest.raises(FileMissingError):
        read(tmp_path)


W, V = torch.tensor([1.0]), torch.tensor([2.0])


@pytest.mark.parametrize(
    "content",
    [
        {"conv.weight": W},
        {"module.conv.weight": W},
        {"_orig_mod.module.conv.weight": W},
        {"state_dict": {"conv.weight": W}, "epoch": 3, "optimizer": {"conv.weight": V}},
        {"model": {"module.conv.weight": W}},
        {"checkpoint": 1, "model": {"state_dict": {"conv.weight": W}}},
        {"state_dict_ema": {"conv.weight": W}, "state_dict": {"conv.weight": V}},
        {"model": {"conv.weight": V}, "model_ema": {"n_averaged": torch.tensor(7), "module.conv.weight": W}},
    ],
)
def test_wrapped_state_dicts(content: dict[str, Any], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pth")
    assert read(tmp_path / "x.pth").tensors == {"conv.weight": W}


def test_a_prefix_in_safetensors(tmp_path: Path) -> None:
    save_file({"module.conv.weight": W}, tmp_path / "x.safetensors", {"note": "n"})
    got = read(tmp_path / "x.safetensors")
    assert (got.tensors, got.metadata) == ({"conv.weight": W}, {"note": "n"})


def test_a_dict_that_holds_itself_ends(tmp_path: Path) -> None:
    content: dict[str, Any] = {"conv.weight": W}
    content["model"] = content
    torch.save(content, tmp_path / "x.pth")
    assert read(tmp_path / "x.pth").tensors == {"conv.weight": W}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([W], "holds a list, expected a state_dict"),
        (W, "holds a Tensor, expected a state_dict"),
        ({"epoch": 3, "net": {"best": 0.5}}, r"holds no tensors \(but epoch, net\), expected a state_dict"),
        ({}, r"holds no tensors \(but nothing\)"),
    ],
)
def test_what_is_no_state_dict(content: object, reason: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=reason):
        read(tmp_path / "x.pth")


def test_a_file_is_told_by_its_bytes_not_its_name(tmp_path: Path) -> None:
    save_file({"w": W}, tmp_path / "x.h5")
    keras_file(tmp_path / "x.pth", np.ones(1, np.float32))
    assert read(tmp_path / "x.h5").container == "safetensors"
    assert read(tmp_path / "x.pth").container == "hdf5"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: torch.zeros(1).expand(1000, 1000), "stands for more numbers than it holds, at 'w' of the shape"),
        (lambda: torch.zeros(9).as_strided((5, 5), (1, 1)), "stands for more numbers than it holds"),
        (lambda: torch.zeros(3, 3).to_sparse(), r"'w' as no plain tensor \(cpu, torch.sparse_coo\)"),
        (lambda: torch.zeros(3, 3, device="meta"), r"'w' as no plain tensor \(meta"),
    ],
    ids=["stride 0", "overlap", "sparse", "meta"],
)
def test_tensors_that_are_more_than_their_values_are_refused(
    make: Callable[[], Tensor], said: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=said):
        require_plain({"w": make()}, tmp_path / "w.pth")


def test_a_file_of_tensors_that_are_more_than_their_values_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(1000, 1000)}, tmp_path / "w.pth")
    with pytest.raises(UnsafeFileError, match=r"w\.pth stands for more numbers than it holds"):
        read(tmp_path / "w.pth")


def test_many_names_of_one_tensor_are_counted_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 1_000_000)
    one = torch.zeros(100_000)
    torch.save({str(number): one for number in range(3)}, tmp_path / "w.pth")
    with pytest.raises(UnsafeFileError, match="stands for more numbers than it holds"):
        read(tmp_path / "w.pth")


def test_views_of_a_larger_tensor_are_read(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(12.0).reshape(3, 4).T[1:]}, tmp_path / "w.pth")
    assert read(tmp_path / "w.pth").tensors["w"].shape == (3, 3)


def test_an_hdf5_file_that_keeps_its_reader_busy_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "busy.h5").write_bytes(hdf5.HDF5_MAGIC)
    run = subprocess.run
    busy = [sys.executable, "-c", "while True: pass"]
    monkeypatch.setattr(subprocess, "run", lambda _, **given: run(busy, **given))
    monkeypatch.setattr(hdf5, "TIME_LIMIT_S", 0.5)
    with pytest.raises(UnsafeFileError, match=r"busy\.h5 takes its reader more time than any such file"):
        read(tmp_path / "busy.h5")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the system")
def test_a_reader_of_hdf5_has_limits_of_its_own(tmp_path: Path) -> None:
    case = "from litevision.weights.hdf5 import _limit; _limit({memory}, 0)\n{work}"
    busy = case.format(memory=8 * 10**9, work="while True: pass")
    large = case.format(memory=10**9, work="bytes(4 * 10**9)")
    assert subprocess.run([sys.executable, "-c", busy], check=False).returncode == -signal.SIGXCPU
    done = subprocess.run([sys.executable, "-c", large], check=False, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "MemoryError"
