"""Read weight files as plain tensors, without running anything that they hold.

The kind of a file is told by its first bytes, never by its name.
"""

import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from litevision.errors import FileMissingError, LitevisionError, UnsafeFileError, WeightsError, reason_of
from litevision.runtime.metadata import Activation
from litevision.weights.archives import (
    WEIGHT_ENDINGS,
    foreign_file,
    is_exported,
    pickle_error,
    read_exported,
    read_npz,
    script_error,
)
from litevision.weights.convert.layout import Tensors
from litevision.weights.hdf5 import HDF5_MAGIC, MAX_BYTES, read_hdf5
from litevision.weights.keras_config import MEMBER, output_activation
from litevision.weights.layouts import Container
from litevision.weights.pickles import load_torch, require_small, state_dict_in
from litevision.weights.tensorflow_checkpoint import checkpoint_prefix, read_checkpoint

if TYPE_CHECKING:
    from litevision.weights.structure.weight_map import WeightMap

_ZIP_MAGIC = b"PK\x03\x04"
_KERAS_MEMBER = "model.weights.h5"
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
_EMA = "/ExponentialMovingAverage"


@dataclass(frozen=True)
class StoredWeights:
    """What a file holds.

    Attributes:
        metadata: the string fields that a safetensors header, or the dict around a state_dict, carries.
        notes: what was chosen or left out, a line each.
        map: where no layout is known, the network that the tensors are, and the place of each in it.
        nearest: where there is no map either, the nearest networks and what does not fit.
        activation: of the logits, where the file itself says it.
    """

    tensors: Tensors
    container: Container
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    map: "WeightMap | None" = None
    nearest: str = ""
    activation: Activation | None = None


def read(path: Path) -> StoredWeights:
    """The tensors of a .pth, .safetensors, Keras .h5, .weights.h5 or .keras file, or of a TensorFlow checkpoint.

    Args:
        path: the file; of a checkpoint its prefix, or any of its files.

    Raises:
        FileMissingError: there is no such file.
        UnsafeFileError: a pickle that would run code, an HDF5 file that links outside itself, or one that unpacks to
            more than ``MAX_BYTES``.
        WeightsError: another or a broken file.
    """
    prefix = checkpoint_prefix(path)
    if prefix is None and path.is_dir():
        raise FileMissingError(f"{what_folder(path)}; expected a weight file")
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
        raise pickle_error(path, _refused(error)) from None  # torch's message advises to load it all the same
    except Exception as error:  # the readers raise a dozen kinds for a malformed file
        line = reason_of(error)
        raise WeightsError(f"{path} cannot be read, it may be broken or truncated ({line}). Fetch it again") from error


def what_folder(path: Path) -> str:
    """Says what a folder is that stands in the place of a weight file or run."""
    if (path / "saved_model.pb").is_file():
        return f"{path} is a SavedModel of TensorFlow's; save its Keras model as .keras or .weights.h5 and give that"
    held = sorted(file.name for file in path.iterdir() if file.name.endswith((*WEIGHT_ENDINGS, ".index")))
    if held:
        shown = ", ".join(held[:3]) + (", ..." if len(held) > 3 else "")
        return f"{path} is a folder that holds no run, but weight files: {shown}"
    return f"{path} is a folder that holds no run and no weight file"


def _read_file(path: Path) -> StoredWeights:
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(HDF5_MAGIC):
        return _from_hdf5(path, path)
    if head.startswith(_ZIP_MAGIC):
        return _read_zip(path)
    if head[8:9] == b"{":
        return _read_safetensors(path)
    if head.startswith(b"\x80"):
        return _read_torch(path)
    raise foreign_file(head, path)


def _from_hdf5(file: Path, path: Path) -> StoredWeights:
    found = read_hdf5(file, path, MAX_BYTES)
    tensors = {name: torch.from_numpy(array) for name, array in found.arrays.items()}
    return StoredWeights(tensors, "hdf5", activation=found.activation)


def _read_zip(path: Path, *, is_outer: bool = True) -> StoredWeights:
    """A ``.keras`` archive's weights, torch's own format, arrays of numpy's, or one weight file that was packed."""
    with zipfile.ZipFile(path) as archive:
        require_small(archive, path)
        names = archive.namelist()
        if _KERAS_MEMBER in names:
            with tempfile.TemporaryDirectory() as folder:
                stored = _from_hdf5(Path(archive.extract(_KERAS_MEMBER, folder)), path)
            if MEMBER in names:
                stored = replace(stored, activation=output_activation(archive.read(MEMBER)))
            return stored
        if is_exported(names):
            return StoredWeights(_plain(read_exported(archive, path), path), "torch")
        if names and all(name.endswith(".npy") for name in names):
            tensors = _plain(read_npz(path), path)
            return StoredWeights(tensors, "hdf5" if any("/" in name for name in tensors) else "torch")
        packed = [name for name in names if name.lower().endswith(WEIGHT_ENDINGS)]
        if is_outer and not any(name.endswith("data.pkl") for name in names) and packed:
            if len(packed) > 1:
                raise WeightsError(
                    f"{path} holds several weight files ({', '.join(packed[:3])}, ...); unpack one of them"
                )
            with tempfile.TemporaryDirectory() as folder:
                inner = _read_packed(Path(archive.extract(packed[0], folder)))
            return replace(inner, notes=(f"the weights are those of {packed[0]} in the archive", *inner.notes))
    if any("/code/" in name for name in names):
        raise script_error(path)
    return _read_torch(path)


def _read_packed(path: Path) -> StoredWeights:
    with path.open("rb") as file:
        is_zip = file.read(4) == _ZIP_MAGIC
    return _read_zip(path, is_outer=False) if is_zip else _read_file(path)


def _read_torch(path: Path) -> StoredWeights:
    found = state_dict_in(load_torch(path), path)
    tensors = {_unprefixed(name): value for name, value in found.tensors.items()}
    tensors.pop("n_averaged", None)  # AveragedModel's own counter
    return StoredWeights(_plain(tensors, path), "torch", found.metadata, tuple(found.notes))


def _plain(tensors: Tensors, path: Path) -> Tensors:
    quantised = [name for name, tensor in tensors.items() if tensor.is_quantized or name.endswith("_packed_params")]
    if quantised or any(name.endswith(".zero_point") for name in tensors):
        raise WeightsError(
            f"{path} holds the weights of a quantised model, whole numbers with scales ({len(tensors)} tensors); "
            "expected those of the floating-point model that it was made of"
        )
    require_plain(tensors, path)
    return tensors


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


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Says how many tensors hold NaN or infinity: whoever trained them has diverged, or the file is damaged."""
    names = [
        name for name, tensor in tensors.items() if tensor.is_floating_point() and not bool(tensor.isfinite().all())
    ]
    if not names:
        return []
    return [f"{len(names)} tensors hold NaN or infinity (the first: {names[0]}): a training that diverged, or damage"]
