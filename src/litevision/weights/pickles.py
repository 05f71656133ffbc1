"""Load pickles of torch's as plain values, and find the one dict of tensors in what a training script saved."""

import argparse
import datetime
import pathlib
import re
import types
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from litevision.errors import UnsafeFileError, WeightsError
from litevision.weights.hdf5 import MAX_BYTES
from litevision.weights.writers import STATE_KEY

# Where training scripts keep a state_dict; averaged weights first, since their scores are measured with those.
_WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "params_ema",
    "ema",
    STATE_KEY,
    "model_state_dict",
    "model",
)
# The state of an optimiser or a schedule holds tensors, too, and is no network.
_NO_NETWORK = re.compile(r"optim|scheduler|scaler|callback|loop|rng|random|criterion|loss|metric", re.IGNORECASE)
_DEEPEST = 5
_SHOWN = 5

_DTYPES = [type(np.dtype(name)) for name in "?bBhHiIlLqQefdgSUMm"]


class _Scalar(NamedTuple):
    """Stands for a number of numpy's, whose value nobody reads."""

    dtype: object = None
    data: object = None


class _Array(np.ndarray):
    """An array of numpy's, empty until its state fills it: numpy's own may be of any size, with nothing in it."""

    def __new__(cls, *_: object) -> "_Array":
        return super().__new__(cls, (0,), np.int8)


def _dict(*_: object) -> dict[Any, Any]:
    return {}


def _list(items: object = (), *_: object) -> list[Any]:
    return list(items) if isinstance(items, list) else []


def _array(*_: object) -> _Array:
    return _Array()


def _safe_globals() -> list[Any]:
    """What scripts save beside tensors, and what is made of it: nothing that runs or reaches outside."""
    allowed: list[Any] = [argparse.Namespace, types.SimpleNamespace]
    allowed += [(_dict, "collections.defaultdict"), (_list, "collections.deque")]
    allowed += [
        int,
        float,
        bool,
        str,
        list,
        dict,
        tuple,
        set,
        frozenset,
        complex,
        np.dtype,
        *_DTYPES,
        _Array,
        (_Array, "numpy.ndarray"),
    ]
    allowed += [datetime.datetime, datetime.date, datetime.timedelta, datetime.timezone]
    for core in ("numpy._core.multiarray", "numpy.core.multiarray"):
        allowed += [(_Scalar, f"{core}.scalar"), (_array, f"{core}._reconstruct")]
    for module in ("pathlib", "pathlib._local"):
        for kind in ("PosixPath", "PurePosixPath"):
            allowed.append((pathlib.PurePosixPath, f"{module}.{kind}"))
        for kind in ("WindowsPath", "PureWindowsPath"):
            allowed.append((pathlib.PureWindowsPath, f"{module}.{kind}"))
    allowed.append((str.encode, "_codecs.encode"))  # bytes of numpy's in older pickles
    return allowed


def load_torch(path: Path) -> Any:
    """Loads what a file of torch's holds, on the CPU; nothing in it is run.

    Raises:
        UnsafeFileError: it unpacks to more than ``MAX_BYTES``.
        UnpicklingError: it holds objects beyond tensors and plain values; for a damaged file, other errors of torch's.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            require_small(archive, path)
    with torch.serialization.safe_globals(_safe_globals()):
        return torch.load(path, map_location="cpu", weights_only=True)


def require_small(archive: zipfile.ZipFile, path: Path) -> None:
    """Raises ``UnsafeFileError`` for what unpacks to more than ``MAX_BYTES``."""
    if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
        raise UnsafeFileError(f"{path} unpacks to more than {MAX_BYTES / 1e9:g} GB; it was not opened")


class StateDict(NamedTuple):
    """The tensors that were found.

    Attributes:
        metadata: the text fields of the dicts around them.
        notes: what was chosen and left out, a line each.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    notes: list[str]


def state_dict_in(loaded: Any, path: Path) -> StateDict:
    """Finds the dict of tensors in what a file holds.

    The keys that training scripts use are looked for first, averaged weights before others; else the one dict inside
    with the most tensors is taken, the optimiser's and the like aside.

    Raises:
        WeightsError: there is none.
    """
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{path} holds a {type(loaded).__name__}, expected a state_dict: names with tensors")
    found = list(_tensor_dicts(loaded, (), set()))
    if not found:
        held = ", ".join(map(str, list(loaded)[:_SHOWN])) or "nothing"
        raise WeightsError(f"{path} holds no tensors (but {held}), expected a state_dict: names with tensors")
    most = max(len(tensors) for _, tensors, _ in found)
    # What has far fewer is no network beside one: a loss's weights, or numbers that a script keeps.
    found = [each for each in found if 2 * len(each[1]) >= most]
    found.sort(key=lambda each: (_rank(each[0]), len(each[0]), -len(each[1])))
    key, tensors, metadata = found[0]
    notes = []
    rest = [other for other, _, _ in found[1:] if not any(map(_NO_NETWORK.search, other))]
    if rest:
        others = ", ".join(repr(".".join(other) or "its top level") for other in rest[:_SHOWN])
        notes.append(f"the weights are those of {'.'.join(key) or 'its top level'!r}; the file also has {others}")
    return StateDict(tensors, metadata, notes)


def _rank(key: tuple[str, ...]) -> tuple[bool, int]:
    named = [_WRAPPERS.index(part) for part in key if part in _WRAPPERS]
    return any(map(_NO_NETWORK.search, key)), min(named, default=len(_WRAPPERS))


def _tensor_dicts(
    held: Mapping[Any, Any], key: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor], dict[str, str]]]:
    """Each dict with tensors inside ``held``, with its path and the text fields around it."""
    if id(held) in seen or len(key) > _DEEPEST:  # a pickle can hold a dict that holds itself
        return
    seen.add(id(held))
    metadata = {str(name): value for name, value in held.items() if isinstance(value, str)}
    tensors = {str(name): tensor for name, value in held.items() if (tensor := _as_tensor(value)) is not None}
    if tensors:
        yield key, tensors, metadata
    for name, value in held.items():
        inner = vars(value) if isinstance(value, argparse.Namespace | types.SimpleNamespace) else value
        if isinstance(inner, Mapping) and isinstance(name, str):
            for path, found, around in _tensor_dicts(inner, (*key, name), seen):
                yield path, found, metadata | around


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.size:
        return torch.from_numpy(np.ascontiguousarray(value))
    return None
