"""Read weight files as plain tensors, without running anything that they hold.

The kind of a file is told by its first bytes, never by its name.
"""

import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from litevision.errors import FileMissingError, LitevisionError, UnsafeFileError, WeightsError
from litevision.weights.convert.layout import Tensors
from litevision.weights.hdf5 import HDF5_MAGIC, MAX_BYTES, read_hdf5
from litevision.weights.layouts import Container
from litevision.weights.tensorflow_checkpoint import checkpoint_prefix, read_checkpoint
from litevision.weights.writers import STATE_KEY

_ZIP_MAGIC = b"PK\x03\x04"
_KERAS_MEMBER = "model.weights.h5"
# Where training scripts keep a state_dict; averaged weights first, since their scores are measured with those.
_WRAPPERS = ("state_dict_ema", "model_ema", STATE_KEY, "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
_EMA = "/ExponentialMovingAverage"


@dataclass(frozen=True)
class StoredWeights:
    """What a file holds.

    Attributes:
        metadata: the string fields that a safetensors header, or the dict around a state_dict, carries.
    """

    tensors: Tensors
    container: Container
    metadata: Mapping[str, str] = field(default_factory=dict)


def read(path: Path) -> StoredWeights:
    """The tensors of a .pth, .safetensors, Keras .h5, .weights.h5 or .keras file, or of a TensorFlow checkpoint.

    Args:
        path: the file; of a checkpoint its prefix, or any of its files.

    Raises:
        FileMissingError: there is no such file.
        UnsafeFileError: a pickle that would run code, an HDF5 file that links outside itself, or one that unpacks to
            more than ``MAX_BYTES``.
        WeightsError: another or a broken file.
        MissingExtraError: a TensorFlow checkpoint without TensorFlow.
    """
    prefix = checkpoint_prefix(path)
    if prefix is None and not path.is_file():
        raise FileMissingError(f"no weight file at {path}")
    try:
        if prefix is None:
            return _read_file(path)
        variables = {name: torch.as_tensor(value) for name, value in read_checkpoint(prefix, MAX_BYTES).items()}
        return StoredWeights(prefer_averages(variables), "tensorflow")
    except LitevisionError:
        raise
    except UnpicklingError as error:
        raise UnsafeFileError(
            f"{path} holds pickled objects beyond tensors and would run code ({_refused(error)}); "
            "it was not opened. Save its state_dict alone, best as safetensors"
        ) from None  # torch's message advises to load it all the same
    except Exception as error:  # the readers raise a dozen kinds for a malformed file
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path} cannot be read, it may be broken or truncated ({line}). Fetch it again") from error


def _read_file(path: Path) -> StoredWeights:
    with path.open("rb") as file:
        head = file.read(9)
    if head.startswith(HDF5_MAGIC):
        return _from_hdf5(path, path)
    if head.startswith(_ZIP_MAGIC):
        return _read_zip(path)
    if head[8:] == b"{":
        return _read_safetensors(path)
    if head.startswith(b"\x80"):
        return _read_torch(path)
    raise WeightsError(
        f"{path} is no weight file that litevision reads (got the first bytes {head!r}); expected .pth, .safetensors, "
        "Keras .h5, .weights.h5 or .keras, or a TensorFlow checkpoint"
    )


def _from_hdf5(file: Path, path: Path) -> StoredWeights:
    arrays = read_hdf5(file, path, MAX_BYTES)
    return StoredWeights({name: torch.from_numpy(array) for name, array in arrays.items()}, "hdf5")


def _read_zip(path: Path) -> StoredWeights:
    """A ``.keras`` archive's weights, or torch's own format."""
    with zipfile.ZipFile(path) as archive:
        _require_small(archive, path)
        names = archive.namelist()
        if _KERAS_MEMBER in names:
            with tempfile.TemporaryDirectory() as folder:
                return _from_hdf5(Path(archive.extract(_KERAS_MEMBER, folder)), path)
    if any("/code/" in name for name in names):
        raise UnsafeFileError(f"{path} is a TorchScript program, expected a state_dict: names with tensors")
    return _read_torch(path)


def _require_small(archive: zipfile.ZipFile, path: Path) -> None:
    if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
        raise UnsafeFileError(f"{path} unpacks to more than {MAX_BYTES / 1e9:g} GB; it was not opened")


def load_torch(path: Path) -> Any:
    """Loads what a file of torch's holds, on the CPU; nothing in it is run.

    Raises:
        UnsafeFileError: it unpacks to more than ``MAX_BYTES``.
        UnpicklingError: it holds objects beyond tensors and plain values; for a damaged file, other errors of torch's.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _require_small(archive, path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _read_torch(path: Path) -> StoredWeights:
    loaded = load_torch(path)
    metadata: dict[str, str] = {}
    for _ in _WRAPPERS:  # bounded, because a pickle can hold a dict that holds itself
        if not isinstance(loaded, dict):
            raise WeightsError(f"{path} holds a {type(loaded).__name__}, expected a state_dict: names with tensors")
        metadata |= {str(name): value for name, value in loaded.items() if isinstance(value, str)}
        loaded = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), dict)), loaded)
    tensors = {_unprefixed(str(name)): value for name, value in loaded.items() if isinstance(value, Tensor)}
    tensors.pop("n_averaged", None)  # AveragedModel's own counter
    require_plain(tensors, path)
    if not tensors:
        held = ", ".join(map(str, list(loaded)[:5])) or "nothing"
        raise WeightsError(f"{path} holds no tensors (but {held}), expected a state_dict: names with tensors")
    return StoredWeights(tensors, "torch", metadata)


def require_plain(tensors: Mapping[str, object], path: Path) -> None:
    """Refuses tensors that stand for more numbers than the file holds.

    Raises:
        WeightsError: sparse or quantised tensors, some without values, or views that repeat the values that they have.
    """
    total_bytes = 0
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise WeightsError(f"{path} holds a {type(tensor).__name__} at {name!r}, expected a tensor")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            kind = "quantised" if tensor.is_quantized else f"{tensor.device.type}, {tensor.layout}"
            raise WeightsError(f"{path} holds {name!r} as no plain tensor ({kind}), expected its values")
        size_bytes = tensor.numel() * tensor.element_size()
        total_bytes += size_bytes
        if size_bytes > tensor.untyped_storage().nbytes() or total_bytes > MAX_BYTES:
            raise UnsafeFileError(
                f"{path} stands for more numbers than it holds, at {name!r} of the shape {tuple(tensor.shape)}; "
                "it was not used. Save contiguous tensors"
            )


def _read_safetensors(path: Path) -> StoredWeights:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {_unprefixed(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        return StoredWeights(tensors, "safetensors", file.metadata() or {})


def _unprefixed(name: str) -> str:
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name


def _refused(error: UnpicklingError) -> str:
    """What torch's unpickler stopped at, out of its long advice."""
    found = re.search(r"GLOBAL ([\w.]+)|(Unsupported \w+ \d+)", str(error))
    return (found[1] or found[2]) if found else "an instruction that no state_dict needs"


def prefer_averages(tensors: Tensors) -> Tensors:
    """Each variable's exponential moving average in its place, where there is one: slim's scores are measured so."""
    return {name: tensors.get(f"{name}{_EMA}", tensor) for name, tensor in tensors.items()}
