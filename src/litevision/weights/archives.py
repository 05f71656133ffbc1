"""What is in a zip archive, and what a file is that holds no weights litevision reads."""

import json
import math
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from litevision.errors import UnsafeFileError, WeightsError, reason_of

WEIGHT_ENDINGS = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".h5", ".hdf5", ".keras", ".npz")
_STATE_DICT_RECIPE = "torch.save({}.state_dict(), 'weights.pth')"
_EXPORTED = "data/weights/model_weights_config.json"
# Of torch.export's schema. Source: torch/_export/serde/schema.py.
_EXPORTED_DTYPES = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64"}
_EXPORTED_DTYPES |= {12: "bool", 13: "bfloat16"}


def script_error(path: Path) -> UnsafeFileError:
    """The error for a TorchScript program, with what makes a state_dict of it."""
    return UnsafeFileError(
        f"{path} is a TorchScript program, expected a state_dict: names with tensors. In Python, where you trust it: "
        f"{_STATE_DICT_RECIPE.format(f'torch.jit.load({path.name!r})')}"
    )


def pickle_error(path: Path, refused: str) -> UnsafeFileError:
    """The error for a pickle that would run code; ``refused`` is what it was refused for."""
    recipe = _STATE_DICT_RECIPE.format("model")
    return UnsafeFileError(
        f"{path} holds pickled objects beyond tensors and would run code ({refused}); it was not opened. "
        f"Save its state_dict alone, best as safetensors, in the program that made it: {recipe}"
    )


def foreign_file(head: bytes, path: Path) -> WeightsError:
    """The error for a file that begins with ``head``: what it is, and what to do."""
    start = head.lstrip().lower()
    what = f"no weight file that litevision reads (got the first bytes {head[:9]!r})"
    advice = "expected .pth, .safetensors, .npz, Keras .h5, .weights.h5 or .keras, or a TensorFlow checkpoint"
    if head.startswith(b"version https://git-lfs"):
        what, advice = (
            "a pointer of Git LFS in the place of the file",
            f"fetch it with: git lfs pull --include {path.name}",
        )
    elif start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        what, advice = "a web page, as a download that asked for something gives", "download the file itself"
    elif head[4:8] == b"TFL3":
        what = "a TensorFlow Lite model, whose weights have lost their names"
        advice = "give the Keras file or checkpoint that it was made of"
    elif start.startswith(b"{"):
        what = "a file of JSON, such as a configuration or an index beside the weights"
    elif head[:1] == b"\x08" and (b"onnx" in head.lower() or b"pytorch" in head or path.suffix == ".onnx"):
        what = "an ONNX model that litevision did not make"
        advice = "'litevision info', 'profile' and 'bench' take it; for its weights give the file that it was made of"
    elif not head.strip(b"\0"):
        what, advice = "empty" if not head else "zeros alone", "the download or copy did not finish; fetch it again"
    return WeightsError(f"{path} is {what}; {advice}")


def read_npz(path: Path) -> dict[str, Tensor]:
    """The arrays of a ``.npz`` file."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in arrays.files}


def is_exported(names: Sequence[str]) -> bool:
    """Whether the members ``names`` are those of a program that torch.export saved."""
    return any(name.endswith(_EXPORTED) for name in names)


def read_exported(archive: zipfile.ZipFile, path: Path) -> dict[str, Tensor]:
    """The weights of a program that torch.export saved, by their names in the module; the program is not read.

    Raises:
        WeightsError: weights of another form.
    """
    index = next(name for name in archive.namelist() if name.endswith(_EXPORTED))
    folder = index.removesuffix("model_weights_config.json")
    try:
        rows: dict[str, Any] = json.loads(archive.read(index))["config"]
        return {name: _exported_tensor(archive, folder, row) for name, row in rows.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{path} is a program of torch.export whose weights are stored in another form "
            f"({reason_of(error)}). In Python: "
            f"{_STATE_DICT_RECIPE.format(f'torch.export.load({path.name!r}).module()')}"
        ) from None


def _exported_tensor(archive: zipfile.ZipFile, folder: str, row: dict[str, Any]) -> Tensor:
    meta = row["tensor_meta"]
    shape: list[Any] = [int(each["as_int"]) for each in meta["sizes"]]
    strides = [int(each["as_int"]) for each in meta["strides"]]
    offset, dtype = int(meta["storage_offset"]["as_int"]), getattr(torch, _EXPORTED_DTYPES[meta["dtype"]])
    if row["use_pickle"] or not re.fullmatch(r"[\w.-]+", row["path_name"]) or min([0, offset, *shape, *strides]) < 0:
        raise ValueError("a weight that is no plain tensor")
    data = archive.read(folder + row["path_name"])
    if not data:
        return torch.zeros(shape, dtype=dtype) if math.prod(shape) == 0 else _refuse()
    stored = torch.frombuffer(bytearray(data), dtype=dtype)
    reach = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True)) + 1
    if math.prod(shape) > len(stored) or (math.prod(shape) and reach > len(stored)):
        raise ValueError("a weight that stands for more numbers than it holds")
    return stored.as_strided(shape, strides, offset).clone()


def _refuse() -> Tensor:
    raise ValueError("a weight without numbers")
