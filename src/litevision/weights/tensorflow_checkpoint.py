"""Reads TensorFlow checkpoints (``NAME.index`` with ``NAME.data-...``), without TensorFlow.

The index is a sorted table in LevelDB's format, whose values are protobuf messages that say where each variable lies in
the data files. Sources: tensorflow/core/protobuf/tensor_bundle.proto, LevelDB's doc/table_format.md.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import WeightsError
from litevision.runtime.onnx_header import fields, varint

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER_BYTES = 48
_BLOCK_END_BYTES = 5  # how it is compressed, and a checksum
_MOST_INDEX_BYTES = 2**26
_MOST_NAME_BYTES = 4096
_MOST_VARIABLES = 100_000
_MOST_DIMS = 32

_BFLOAT16 = 14
# tensorflow/core/framework/types.proto
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("u1"),
    5: np.dtype("<i2"),
    6: np.dtype("i1"),
    9: np.dtype("<i8"),
    _BFLOAT16: np.dtype("<u2"),  # the upper half of a float32
    19: np.dtype("<f2"),
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a variable lies."""

    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


def checkpoint_prefix(path: Path) -> Path | None:
    """The prefix of the TensorFlow checkpoint that ``path`` names, by itself or by one of its files; else None."""
    part = re.fullmatch(r"(.+)\.(?:index|meta|data-\d+-of-\d+)", path.name)
    prefix = path.with_name(part[1]) if part else path
    return prefix if prefix.parent.joinpath(f"{prefix.name}.index").is_file() else None


def read_checkpoint(prefix: Path, max_bytes: int) -> dict[str, npt.NDArray[np.generic]]:
    """Every variable of a TF-slim checkpoint by name.

    Raises:
        WeightsError: a broken checkpoint, one of TF 2's objects, or one of more than ``max_bytes``.
        OSError: a file that cannot be read.
    """
    try:
        shards, entries = _read_index(prefix.with_name(f"{prefix.name}.index"))
        if sum(entry.size for entry in entries.values()) > max_bytes:
            raise ValueError(f"it declares more than {max_bytes / 1e9:g} GB of variables")
        return {name: _read_variable(prefix, shards, name, entry) for name, entry in entries.items()}
    except ValueError as error:
        raise WeightsError(f"{prefix} is no checkpoint that can be read: {error}") from None


def _read_variable(prefix: Path, shards: int, name: str, entry: _Entry) -> npt.NDArray[np.generic]:
    path = prefix.with_name(f"{prefix.name}.data-{entry.shard:05d}-of-{shards:05d}")
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    with path.open("rb") as file:
        file.seek(entry.offset)
        data = file.read(entry.size)
    if len(data) != entry.size:
        raise ValueError(f"{path.name} is cut short: {name} lies behind its end")
    values = np.frombuffer(data, _DTYPES[entry.kind]).reshape(entry.shape)
    return (values.astype("<u4") << 16).view("<f4") if entry.kind == _BFLOAT16 else values


def _read_index(path: Path) -> tuple[int, dict[str, _Entry]]:
    """How many data files there are, and each variable by name."""
    if path.stat().st_size > _MOST_INDEX_BYTES:
        raise ValueError(f"its index has {path.stat().st_size:,} bytes; expected {_MOST_INDEX_BYTES:,} at most")
    table = memoryview(path.read_bytes())
    if table[-len(_MAGIC) :] != _MAGIC or len(table) < _FOOTER_BYTES:
        raise ValueError(f"{path.name} is no table of TensorFlow's")
    footer = table[-_FOOTER_BYTES:]
    _, position = _handle(footer, 0)  # of what describes the table
    place, _ = _handle(footer, position)
    shards = 0
    entries: dict[str, _Entry] = {}
    for _, block in _block(table, *place):
        for key, value in _block(table, *_handle(block, 0)[0]):
            if not key:
                shards = _header(value)
                continue
            if len(entries) == _MOST_VARIABLES:
                raise ValueError(f"it names more than {_MOST_VARIABLES:,} variables")
            if key.startswith(b"\0"):
                raise ValueError("some of its variables lie there in slices; save it without a partitioner")
            name = key.decode("utf-8")
            entries[name] = _entry(name, value)
    return shards, entries


def _handle(data: memoryview, position: int) -> tuple[tuple[int, int], int]:
    """Where a block lies and how long it is; and where the next thing begins."""
    start, position = varint(data, position)
    length, position = varint(data, position)
    return (start, length), position


def _block(table: memoryview, start: int, length: int) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a block; a key begins like the one before."""
    if start + length + _BLOCK_END_BYTES > len(table):
        raise ValueError("its index is cut short")
    if table[start + length]:
        raise ValueError("its index is compressed, as TensorFlow does not write it")
    block = table[start : start + length]
    if length < 4:
        raise ValueError("its index is damaged")
    end = length - 4 - 4 * int.from_bytes(block[-4:], "little")  # places to begin a search at
    position, key = 0, b""
    while position < end:
        shared, position = varint(block, position)
        rest, position = varint(block, position)
        size, position = varint(block, position)
        if shared > len(key) or position + rest + size > end or shared + rest > _MOST_NAME_BYTES:
            raise ValueError("its index is damaged")
        key = key[:shared] + bytes(block[position : position + rest])
        position += rest
        yield key, block[position : position + size]
        position += size


def _header(message: memoryview) -> int:
    """How many data files there are."""
    found = dict(fields(message))
    if found.get(2, 0) != 0:
        raise ValueError("its numbers are big-endian")
    return _number(found.get(1, 0))


def _entry(name: str, message: memoryview) -> _Entry:
    found = dict(fields(message))
    kind = _number(found.get(1, 0))
    if kind not in _DTYPES:
        raise ValueError(
            f"{name} holds no numbers (type {kind}), as in TF 2's checkpoints of objects; expected TF-slim's variables"
        )
    shape = tuple(_sides(_message(found.get(2, memoryview(b"")))))
    shard, offset, size = (_number(found.get(it, 0)) for it in (3, 4, 5))
    if len(shape) > _MOST_DIMS or math.prod(shape) * _DTYPES[kind].itemsize != size:
        raise ValueError(f"{name} has another size than its shape {list(shape)} says")
    return _Entry(kind, shape, shard, offset, size)


def _sides(shape: memoryview) -> Iterator[int]:
    for number, value in fields(shape):
        if number == 2:
            yield next((_number(side) for key, side in fields(_message(value)) if key == 1), 0)


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("its index is damaged")
    return value


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("its index is damaged")
    return value
