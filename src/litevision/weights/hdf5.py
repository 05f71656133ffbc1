"""Keras' HDF5 files as plain arrays: each data set is read by itself, and nothing outside the file is.

They are read in a process of its own, with limits of time and memory: the HDF5 library can be kept busy without end by
a damaged file, and no signal reaches Python meanwhile.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from litevision.errors import LitevisionError, UnsafeFileError, WeightsError, reason_of
from litevision.weights.keras_config import output_activation

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 1_000_000_000  # a small file can unpack to an enormous one, or declare one
CPU_LIMIT_S = 6  # beside a second for each 20 MB of the file; 100 MB take a second
TIME_LIMIT_S = 600.0  # where the system cannot limit the processor's time
_WITHOUT_WEIGHTS = ("normalization", "random_", "seed_generator")  # layers that count or draw
_NORM_LEAVES = ("gamma", "beta", "moving_mean", "moving_variance")
_LEAVES = ("kernel", "bias")

Arrays = dict[str, npt.NDArray[np.floating[Any]]]


class KerasFile(NamedTuple):
    """What a Keras file holds: arrays named ``layer/leaf``, and the activation of its output where it says that."""

    arrays: Arrays
    activation: Literal["softmax", "sigmoid"] | None


def read_hdf5(file: Path, path: Path, max_bytes: int = MAX_BYTES) -> KerasFile:
    """Reads the layers of a Keras file.

    Both of Keras' forms are read: ``layer_names`` with ``weight_names``, and the ``layers`` of Keras 3. The layers of a
    model within the model keep their own names.

    Args:
        file: what to read.
        path: what an error calls it.
        max_bytes: how many bytes of numbers it may declare.

    Raises:
        UnsafeFileError: links, data in other files, more than ``max_bytes``, or more time than the limit.
        WeightsError: no Keras layers, a name twice, or what is no number.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "arrays.npz"
        command = [sys.executable, "-P", "-m", __name__, str(file), str(path), str(out), str(max_bytes)]
        late = UnsafeFileError(
            f"{path} takes its reader more time than any such file, it may be broken; fetch it again"
        )
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise late from None
        if sys.platform != "win32" and done.returncode == -signal.SIGXCPU:
            raise late
        if done.returncode != 0:
            raise _refusal(done.stdout, done.stderr, path)
        with np.load(out, allow_pickle=False) as arrays:
            activation, *names = json.loads(str(arrays["arr_0"]))
            return KerasFile({name: arrays[f"arr_{index}"] for index, name in enumerate(names, start=1)}, activation)


def _refusal(told: str, errors: str, path: Path) -> LitevisionError:
    try:
        kind, message = json.loads(told)
    except ValueError:  # it was ended, or ran out of memory
        line = (errors.strip().splitlines() or ["its reader was ended"])[-1]
        return WeightsError(f"{path} cannot be read, it may be broken or truncated ({line}). Fetch it again")
    return {"UnsafeFileError": UnsafeFileError}.get(kind, WeightsError)(message)


def _write_arrays(file: str, path: str, out: str, max_bytes: int) -> None:
    """Read ``file`` and write its arrays to ``out``; or print the error as JSON and leave with 1."""
    import h5py  # noqa: F401 - before the limits

    _limit(4 * max_bytes + 2_000_000_000, CPU_LIMIT_S + Path(file).stat().st_size // 20_000_000)
    try:
        found = _read(Path(file), Path(path), max_bytes)
        np.savez(out, np.array(json.dumps([found.activation, *found.arrays])), *found.arrays.values())
    except Exception as error:  # the library raises a dozen kinds for a malformed file
        line = reason_of(error)
        if not isinstance(error, LitevisionError):
            line = f"{path} cannot be read, it may be broken or truncated ({line}). Fetch it again"
        print(json.dumps([type(error).__name__, line]))
        sys.exit(1)


def _limit(memory_bytes: int, cpu_s: int) -> None:
    if sys.platform == "linux":
        import resource

        until_s = cpu_s + round(time.process_time())
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (until_s, until_s + 1))


def _read(source: Path, path: Path, max_bytes: int) -> KerasFile:
    import h5py

    arrays: Arrays = {}
    with h5py.File(source, "r") as file:
        _refuse_unsafe(file, path, max_bytes)
        root = file.get("model_weights", file)
        if "layers" in file:
            found = _keras3(file["layers"], path)
        elif any(str(name).startswith("layer_names") for name in root.attrs):
            found = _legacy(root)
        else:
            raise WeightsError(f"{path} is an HDF5 file without Keras layers (no layer_names, no group layers)")
        for name, data_set in found:
            if data_set.dtype.kind in "iu" and name.startswith(_WITHOUT_WEIGHTS):
                continue
            if name in arrays:
                raise WeightsError(f"{path} holds {name} twice, expected one network's layers")
            arrays[name] = _array(data_set, path)
        return KerasFile(arrays, output_activation(file.attrs.get("model_config", "")))


def _refuse_unsafe(file: Any, path: Path, max_bytes: int) -> None:
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
                if total > max_bytes:
                    raise UnsafeFileError(f"{path} declares more than {max_bytes / 1e9:g} GB; it was not opened")


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


def _in_turn(layers: Any) -> list[tuple[str, Any]]:
    """The groups in the order in which they were written, which is the model's; by name where they don't tell it.

    HDF5 lists groups by name. A file that was written in one go has what was written last at the highest address.
    Keras numbers the layers of each class, which the order must agree with; in a file that was packed anew it may not.
    """
    import h5py

    def last_address(group: Any) -> int:
        found = [0]
        group.visititems(lambda _, item: found.append(h5py.h5o.get_info(item.id).addr))
        return max(found)

    by_address = sorted(layers.items(), key=lambda entry: last_address(entry[1]))
    numbers: dict[str, int] = {}
    for key, layer in by_address:
        if len(layer.get("vars", ())) == 0:
            continue
        kind, _, number = key.rpartition("_")
        if not number.isdecimal():
            kind, number = key, "0"
        if numbers.get(kind, -1) > int(number):
            return sorted(layers.items())
        numbers[kind] = int(number)
    return by_address


def _keras3(layers: Any, path: Path) -> Iterator[tuple[str, Any]]:
    for key, layer in _in_turn(layers):
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


def _array(data_set: Any, path: Path) -> npt.NDArray[np.floating[Any]]:
    if data_set.dtype.kind == "V" and data_set.dtype.itemsize == 2:  # bfloat16, which HDF5 does not know
        halves: npt.NDArray[Any] = np.asarray(data_set[()]).view(np.uint16).astype(np.uint32)
        return (halves << 16).view(np.float32)
    if data_set.dtype.kind != "f":
        raise WeightsError(f"{path} holds {data_set.dtype} at {data_set.name}, expected floating-point numbers")
    array = np.asarray(data_set[()])
    return array.astype(array.dtype.newbyteorder("="), copy=False)


if __name__ == "__main__":
    _write_arrays(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
