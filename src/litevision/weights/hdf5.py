"""Keras' HDF5 files as plain tensors: each data set is read by itself, and nothing outside the file is."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from litevision.errors import UnsafeFileError, WeightsError
from litevision.weights.convert.layout import Tensors

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 1_000_000_000  # a small file can unpack to an enormous one, or declare one
_NORM_LEAVES = ("gamma", "beta", "moving_mean", "moving_variance")
_LEAVES = ("kernel", "bias")


def read_hdf5(source: Path | io.BytesIO, path: Path) -> Tensors:
    """The tensors of a Keras file, named ``layer/leaf``.

    Both of Keras' forms are read: ``layer_names`` with ``weight_names``, and the ``layers`` of Keras 3. The layers of a
    model within the model keep their own names.

    Args:
        source: what to read.
        path: what an error calls it.

    Raises:
        UnsafeFileError: links, data in other files, or more than ``MAX_BYTES``.
        WeightsError: no Keras layers, a name twice, or what is no number.
    """
    import h5py

    tensors: Tensors = {}
    with h5py.File(source, "r") as file:
        _refuse_unsafe(file, path)
        root = file.get("model_weights", file)
        if "layers" in file:
            found = _keras3(file["layers"], path)
        elif any(str(name).startswith("layer_names") for name in root.attrs):
            found = _legacy(root)
        else:
            raise WeightsError(f"{path} is an HDF5 file without Keras layers (no layer_names, no group layers)")
        for name, data_set in found:
            if name in tensors:
                raise WeightsError(f"{path} holds {name} twice, expected one network's layers")
            tensors[name] = _tensor(data_set, path)
    return tensors


def _refuse_unsafe(file: Any, path: Path) -> None:
    """Refuses a file that is no plain tree, whose data lie elsewhere, or that declares more than the limit."""
    import h5py

    total = 0
    seen = {h5py.h5o.get_info(file.id).addr}
    stack = [file]
    while stack:
        group = stack.pop()
        for name in group:
            where = f"{group.name.rstrip('/')}/{name}"
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise UnsafeFileError(
                    f"{path} has a {type(link).__name__} at {where}, which can reach other files; it was not opened"
                )
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:  # a loop, or the same data a thousand times
                raise UnsafeFileError(f"{path} has a second link to one object at {where}; it was not opened")
            seen.add(address)
            if isinstance(item, h5py.Group):
                stack.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise UnsafeFileError(f"{path} keeps the data of {where} in another file; it was not opened")
                total += item.nbytes
                if total > MAX_BYTES:
                    raise UnsafeFileError(f"{path} declares more than {MAX_BYTES / 1e9:g} GB; it was not opened")


def _legacy(root: Any) -> Iterator[tuple[str, Any]]:
    for layer in _names(root, "layer_names"):
        group = root[layer]
        weights = _names(group, "weight_names")
        leaves = [weight.rsplit("/", 1)[-1] for weight in weights]
        is_model = len(set(leaves)) < len(leaves)
        for weight, leaf in zip(weights, leaves, strict=True):
            yield (weight if is_model else f"{layer}/{leaf}").removesuffix(":0"), group[weight]


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


def _keras3(layers: Any, path: Path) -> Iterator[tuple[str, Any]]:
    for key, layer in layers.items():
        if "layers" in layer:
            yield from _keras3(layer["layers"], path)
        variables = layer.get("vars", {})
        if len(variables) == 0:
            continue
        if "name" not in variables.attrs:
            raise WeightsError(
                f"{path} carries no layer names (an early Keras 3 wrote it); load it in Keras and save it again as .h5"
            )
        leaves = _NORM_LEAVES if key.startswith("batch_normalization") else _LEAVES
        # A layer may lack its bias; one with another count is none of ours, and keeps its numbers.
        known = len(variables) == len(leaves) or (leaves is _LEAVES and len(variables) == 1)
        for index, data_set in variables.items():
            yield f"{variables.attrs['name']}/{leaves[int(index)] if known else index}", data_set


def _tensor(data_set: Any, path: Path) -> Tensor:
    if data_set.dtype.kind != "f":
        raise WeightsError(f"{path} holds {data_set.dtype} at {data_set.name}, expected floating-point numbers")
    array = np.asarray(data_set[()])
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
