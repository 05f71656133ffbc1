"""Reads weight files as plain tensors, without running anything that they hold.

The kind of a file is told by its first bytes, never by its name.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from torch import Tensor

from litevision.errors import FileMissingError, MissingExtraError, UnsafeFileError, WeightsError
from litevision.models.config import NetworkConfig
from litevision.weights.convert.layout import Tensors

Container = Literal["torch", "safetensors", "hdf5", "tensorflow"]

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"
MAX_HDF5_BYTES = 2_000_000_000  # a small file can declare an enormous data set
CONFIG_KEY = "litevision"  # our configuration in a safetensors header
_WRAPPERS = ("state_dict", "model", "model_ema", "model_state_dict")
_EMA = "/ExponentialMovingAverage"


@dataclass(frozen=True)
class StoredWeights:
    """What a file holds.

    Attributes:
        metadata: the string fields that a safetensors header carries.
    """

    tensors: Tensors
    container: Container
    metadata: Mapping[str, str] = field(default_factory=dict)


def read(path: Path) -> StoredWeights:
    """The tensors of a .pth, .safetensors, Keras .h5 or .weights.h5 file, or a TensorFlow checkpoint's prefix.

    Raises:
        FileMissingError: there is no such file.
        UnsafeFileError: a pickle that would run code, or an HDF5 file that links outside itself.
        WeightsError: another or a broken file.
        MissingExtraError: a TensorFlow checkpoint without TensorFlow.
    """
    checkpoint = _checkpoint_prefix(path)
    if checkpoint is not None:
        return StoredWeights(_read_checkpoint(checkpoint), "tensorflow")
    if not path.is_file():
        raise FileMissingError(f"no weight file at {path}")
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(HDF5_MAGIC):
        return StoredWeights(_read_hdf5(path, path), "hdf5")
    if head.startswith(ZIP_MAGIC) and (inner := _keras_archive(path)) is not None:
        return StoredWeights(_read_hdf5(inner, path), "hdf5")
    if head[8:9] == b"{":
        return _read_safetensors(path)
    if head.startswith(ZIP_MAGIC) or head[:1] == b"\x80":
        return StoredWeights(_read_torch(path), "torch")
    raise WeightsError(
        f"{path} is no weight file that litevision reads (got first bytes {head[:8]!r}); "
        "expected .pth, .safetensors, Keras .h5 or .weights.h5, or a TensorFlow checkpoint's prefix"
    )


def _read_torch(path: Path) -> Tensors:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise UnsafeFileError(
            f"{path} holds pickled objects beyond tensors and would run code ({_first_line(error)}); "
            "it was not opened. Save its state_dict alone, best as safetensors"
        ) from None
    except Exception as error:  # torch raises a dozen kinds for a broken archive
        raise WeightsError(f"{path} is broken or truncated: {_first_line(error)}. Fetch it again") from None
    for key in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise WeightsError(f"{path} holds a {type(loaded).__name__}, expected a state_dict: names with tensors")
    tensors = {str(name).removeprefix("module."): value for name, value in loaded.items() if isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors, expected a state_dict: names with tensors")
    return tensors


def _read_safetensors(path: Path) -> StoredWeights:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
            return StoredWeights(tensors, "safetensors", file.metadata() or {})
    except SafetensorError as error:
        raise WeightsError(f"{path} is broken or truncated: {_first_line(error)}. Fetch it again") from None


def _keras_archive(path: Path) -> io.BytesIO | None:
    """The weights inside a ``.keras`` archive; None for another zip."""
    member = "model.weights.h5"
    try:
        with zipfile.ZipFile(path) as archive:
            if member not in archive.namelist():
                return None
            if archive.getinfo(member).file_size > MAX_HDF5_BYTES:
                raise UnsafeFileError(f"{path} unpacks to more than {MAX_HDF5_BYTES / 1e9:g} GB of weights")
            return io.BytesIO(archive.read(member))
    except zipfile.BadZipFile:
        return None


def _read_hdf5(source: Path | io.BytesIO, path: Path) -> Tensors:
    import h5py

    try:
        with h5py.File(source, "r") as file:
            _refuse_links(file, path)
            if "layers" in file:
                return _read_keras3(file, path)
            root = file.get("model_weights", file)
            if not any(str(name).startswith("layer_names") for name in root.attrs):
                raise WeightsError(f"{path} is an HDF5 file without Keras layers (no layer_names, no layers group)")
            return _read_keras_legacy(root)
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path} is broken or truncated: {_first_line(error)}. Fetch it again") from None


def _refuse_links(group: Any, path: Path) -> None:
    """Refuses a file whose groups or data sets lie elsewhere, or declare more than the limit."""
    import h5py

    total = 0
    stack = [group]
    while stack:
        current = stack.pop()
        for name in current:
            where = f"{current.name.rstrip('/')}/{name}"
            link = current.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise UnsafeFileError(
                    f"{path} has a {type(link).__name__} at {where}, which can reach other files; it was not opened"
                )
            item = current[name]
            if isinstance(item, h5py.Group):
                stack.append(item)
                continue
            if item.external or item.is_virtual:
                raise UnsafeFileError(f"{path} keeps the data of {where} in another file; it was not opened")
            total += item.size * item.dtype.itemsize
            if total > MAX_HDF5_BYTES:
                raise UnsafeFileError(f"{path} declares more than {MAX_HDF5_BYTES / 1e9:g} GB of weights")


def _read_keras_legacy(root: Any) -> Tensors:
    tensors: Tensors = {}
    for layer in _names(root, "layer_names"):
        for weight in _names(root[layer], "weight_names"):
            leaf = weight.rsplit("/", 1)[-1].removesuffix(":0")
            tensors[f"{layer}/{leaf}"] = torch.from_numpy(root[layer][weight][()])
    return tensors


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names; Keras splits a long one over ``attribute0``, ``attribute1``, ..."""
    if attribute in group.attrs:
        found = list(group.attrs[attribute])
    else:
        found, chunk = [], 0
        while f"{attribute}{chunk}" in group.attrs:
            found += list(group.attrs[f"{attribute}{chunk}"])
            chunk += 1
    return [name.decode() if isinstance(name, bytes) else str(name) for name in found]


def _read_keras3(file: Any, path: Path) -> Tensors:
    tensors: Tensors = {}
    for key, layer in file["layers"].items():
        variables = layer.get("vars")
        if variables is None or len(variables) == 0:
            continue
        if "name" not in variables.attrs:
            raise WeightsError(
                f"{path} carries no layer names (an early Keras 3 wrote it); load it in Keras and save it again as .h5"
            )
        name = variables.attrs["name"]
        is_norm = key.startswith("batch_normalization")
        leaves = ("gamma", "beta", "moving_mean", "moving_variance") if is_norm else ("kernel", "bias")
        for index, leaf in zip(sorted(variables, key=int), leaves, strict=False):
            tensors[f"{name}/{leaf}"] = torch.from_numpy(variables[index][()])
    return tensors


def _checkpoint_prefix(path: Path) -> Path | None:
    if path.suffix == ".index" and path.is_file():
        return path.with_suffix("")
    return path if path.with_name(f"{path.name}.index").is_file() else None


def _read_checkpoint(prefix: Path) -> Tensors:
    try:
        from tensorflow import train
    except ImportError:
        raise MissingExtraError.of("Reading a TF-slim checkpoint", "slim") from None

    try:
        reader = train.load_checkpoint(str(prefix))
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except Exception as error:  # TensorFlow's own error classes share no base but Exception
        raise WeightsError(f"{prefix} is no readable TensorFlow checkpoint: {_first_line(error)}") from None
    return prefer_averages({name: torch.as_tensor(array) for name, array in arrays.items()})


def prefer_averages(tensors: Tensors) -> Tensors:
    """Each variable's exponential moving average in its place, where there is one: slim's scores are measured so."""
    return {name: tensors.get(f"{name}{_EMA}", tensor) for name, tensor in tensors.items()}


def stored_config(stored: StoredWeights) -> NetworkConfig | None:
    """Our own configuration in a file's header, or None."""
    text = stored.metadata.get(CONFIG_KEY)
    return None if text is None else NetworkConfig.from_json(text)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
