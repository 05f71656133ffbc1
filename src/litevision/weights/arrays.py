"""Published weight files as plain arrays, read without torch: safetensors, torch's own files, and Keras' HDF5.

Nothing in a file is run: of a pickle, dicts and tensors are understood and all else is refused.
"""

import importlib.util
import json
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from litevision.errors import LitevisionError, MissingExtraError, UnsafeFileError, WeightsError, reason_of
from litevision.weights.hdf5 import HDF5_MAGIC, MAX_BYTES, read_hdf5

Arrays = dict[str, npt.NDArray[Any]]

_ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # what torch wrote before its zip files
_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
_STORAGES = {"Double": "<f8", "Float": "<f4", "Half": "<f2", "Long": "<i8", "Int": "<i4", "Byte": "|u1"}
_MAX_HEADER_BYTES = 16_000_000


class _Stored(NamedTuple):
    """A tensor of a pickle: a view of numbers that the file keeps elsewhere."""

    key: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_arrays(path: Path) -> Arrays:
    """Reads a weight file.

    Raises:
        UnsafeFileError: a pickle with more than tensors, or a file that stands for more numbers than it holds.
        WeightsError: another or a broken file.
        MissingExtraError: an HDF5 file without h5py.
    """
    with path.open("rb") as file:
        head = file.read(16)
    try:
        if head.startswith(HDF5_MAGIC):
            if importlib.util.find_spec("h5py") is None:
                raise MissingExtraError.of(f"Reading {path.name}, a file of Keras',", "train")
            return dict(read_hdf5(path, path).arrays)
        if head.startswith(_ZIP_MAGIC):
            return _read_zip(path)
        return _read_safetensors(path) if head[8:9] == b"{" else _read_legacy(path)
    except LitevisionError:
        raise
    except pickle.UnpicklingError as error:
        raise UnsafeFileError(f"{path} holds more than tensors ({reason_of(error)}); it was not used") from None
    except Exception as error:  # the readers raise a dozen kinds for a malformed file
        line = reason_of(error)
        raise WeightsError(f"{path} cannot be read, it may be broken or truncated ({line}). Fetch it again") from error


def _read_safetensors(path: Path) -> Arrays:
    data = np.memmap(path, np.uint8, "r")
    length = int.from_bytes(bytes(data[:8]), "little")
    if length > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise WeightsError(f"{path} is cut short: its header has {length:,} bytes. Fetch it again")
    arrays: Arrays = {}
    total = 0
    for name, entry in json.loads(bytes(data[8 : 8 + length])).items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        total += end - start
        if total > len(data):
            raise UnsafeFileError(f"{path} stands for more numbers than it holds, at {name!r}; it was not used")
        values = np.frombuffer(data[8 + length + start : 8 + length + end].tobytes(), _SAFETENSORS[entry["dtype"]])
        arrays[name] = values.reshape(entry["shape"])
    return arrays


def _read_zip(path: Path) -> Arrays:
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
            raise UnsafeFileError(f"{path} unpacks to more than {MAX_BYTES / 1e9:g} GB; it was not opened")
        [record] = [name for name in archive.namelist() if name.endswith("data.pkl")]
        folder = record.removesuffix("data.pkl")
        with archive.open(record) as file:
            tensors = _tensors(_Unpickler(file).load(), path)
        return _arrays(tensors, lambda key: archive.read(f"{folder}data/{key}"), path)


def _read_legacy(path: Path) -> Arrays:
    """Reads what torch wrote before version 1.6: five pickles, then the numbers of each storage."""
    with path.open("rb") as file:
        if _Unpickler(file).load() != _LEGACY_MAGIC:
            raise WeightsError(f"{path} is no weight file of torch's")
        for _ in ("protocol", "system"):
            _Unpickler(file).load()
        tensors = _tensors(_Unpickler(file).load(), path)
        sizes = {one.key: np.dtype(one.dtype).itemsize for one in tensors.values()}
        storages = {}
        for key in _Unpickler(file).load():
            [numbers] = struct.unpack("<q", file.read(8))
            if not 0 <= numbers <= MAX_BYTES:
                raise WeightsError(f"{path} is broken: a storage of {numbers:,} numbers. Fetch it again")
            storages[key] = file.read(numbers * sizes[key])
    return _arrays(tensors, storages.__getitem__, path)


def _tensors(loaded: Any, path: Path) -> dict[str, _Stored]:
    """The state_dict in what a pickle held."""
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(isinstance(each, _Stored) for each in loaded.values()) or not loaded:
        raise WeightsError(f"{path} holds no state_dict: names with tensors")
    return {str(name): tensor for name, tensor in loaded.items()}


def _arrays(tensors: Mapping[str, _Stored], storage: Callable[[str], bytes], path: Path) -> Arrays:
    arrays: Arrays = {}
    total = 0
    for name, one in tensors.items():
        values = np.frombuffer(storage(one.key), one.dtype)
        reach = one.offset + sum((size - 1) * step for size, step in zip(one.shape, one.strides, strict=True))
        count = math.prod(one.shape)
        total += count * values.itemsize
        if min((*one.shape, *one.strides, one.offset), default=0) < 0 or (count and reach >= len(values)):
            raise WeightsError(f"{path} is cut short at {name!r}. Fetch it again")
        if count > len(values) or total > MAX_BYTES:
            raise UnsafeFileError(f"{path} stands for more numbers than it holds, at {name!r}; it was not used")
        steps = tuple(step * values.itemsize for step in one.strides)
        arrays[name] = np.lib.stride_tricks.as_strided(values[one.offset :], one.shape, steps)
    return arrays


class _Unpickler(pickle.Unpickler):
    """Understands what a state_dict consists of, and nothing else."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="utf-8")

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name.removesuffix("Storage") in _STORAGES:
            return _STORAGES[name.removesuffix("Storage")]
        found = _KNOWN.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key = pid[:3]
        if kind != "storage" or dtype not in _STORAGES.values() or (len(pid) > 5 and pid[5] is not None):
            raise pickle.UnpicklingError(f"a {kind} of {dtype}")
        return str(key), dtype


def _rebuild(storage: tuple[str, str], offset: int, shape: Any, strides: Any, *_: Any) -> _Stored:
    return _Stored(*storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _rebuild_parameter(tensor: _Stored, *_: Any) -> _Stored:
    return tensor


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}
