"""Read the convolutions of ncnn models: the text of a ``.param`` file and the numbers of the ``.bin`` beside it.

Source: ncnn's wiki, "param and model file structure", and ``modelbin.cpp``. Files come from strangers: every count is
compared with what the file has before anything is read or made.
"""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NoReturn

import numpy as np

from litevision.errors import FileMissingError, WeightsError, reason_of
from litevision.weights.convolutions import Array, ConvForm, FoldedConv, FoldedGraph

MAGIC = "7767517"
_MOST_PARAM_BYTES, _MOST_BIN_BYTES, _MOST_LAYERS = 2_000_000, 1_000_000_000, 10_000
_MOST_VALUES = 64  # of an array in a layer's line
_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise")
# fmt: off
_WITHOUT_NUMBERS = frozenset((
    "BinaryOp", "Concat", "Crop", "Dropout", "Eltwise", "Flatten", "Input", "Interp", "Noop", "Padding", "Permute",
    "Pooling", "ReLU", "Reshape", "ShuffleChannel", "Sigmoid", "Slice", "Softmax", "Split", "UnaryOp",
))
# fmt: on
_FLOAT32, _TAGGED_FLOAT32, _FLOAT16 = 0, 0x0002C056, 0x01306B47
_OTHER_TAGS = {0x000D4B38: "8-bit whole numbers"}
_RELU, _LEAKY = 1, 2  # of a convolution's activation


@dataclass(frozen=True)
class _Layer:
    kind: str
    name: str
    parameters: dict[int, list[float]]

    def whole(self, key: int, default: int = 0) -> int:
        """The parameter ``key`` as a whole number."""
        value = self.parameters.get(key, [default])[0]
        if value != int(value):
            raise ValueError(f"its parameter {key} is {value:g}, expected a whole number")
        return int(value)


class _Numbers:
    """The numbers of a ``.bin`` file, one after another."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> Array:
        """The next ``count`` numbers of a kernel, which says itself how they are stored."""
        tag = int(self._raw(1, "<u4")[0])
        if tag == _FLOAT16:
            kernel = self._raw(count, "<f2").astype(np.float32)
            self.at = -(-self.at // 4) * 4
            return kernel
        if tag in (_FLOAT32, _TAGGED_FLOAT32):
            return self.floats(count)
        raise ValueError(f"its numbers are {_OTHER_TAGS.get(tag, f'stored in a way (tag {tag:#x}) that is not read')}")

    def floats(self, count: int) -> Array:
        """The next ``count`` numbers of float32."""
        return self._raw(count, "<f4").astype(np.float32)

    def _raw(self, count: int, kind: str) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        size = count * np.dtype(kind).itemsize
        if count < 0 or size > len(self.data) - self.at:
            raise ValueError(f"it takes {size:,} bytes at {self.at:,}, and the file has {len(self.data):,}")
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += size
        return found


def read_ncnn(path: Path) -> FoldedGraph:
    """Reads the convolutions of the model at ``path``, a ``.param`` file with its ``.bin`` beside it.

    Raises:
        FileMissingError: one of the two is not there.
        WeightsError: they are no model, damaged, quantised, or have layers that are not read.
    """
    numbers = path.with_suffix(".bin")
    for file, most in ((path, _MOST_PARAM_BYTES), (numbers, _MOST_BIN_BYTES)):
        if not file.is_file():
            raise FileMissingError(f"no file {file}; a model of ncnn's is a .param file and a .bin of the same name")
        if file.stat().st_size > most:
            raise WeightsError(f"{file}: {file.stat().st_size:,} bytes; expected a model of ncnn's of {most:,} at most")
    layers = _layers(path)
    data = _Numbers(numbers.read_bytes())
    convs, slopes = [], Counter[float]()
    for layer in layers:
        try:
            if layer.kind == "ReLU":
                slopes[layer.parameters.get(0, [0.0])[0]] += 1
            if layer.kind not in _CONVOLUTIONS:
                continue
            convs.append(_convolution(layer, data))
            if activation := layer.whole(9):
                if activation not in (_RELU, _LEAKY):
                    raise ValueError(f"its activation has the number {activation}, which is not read")
                slopes[layer.parameters.get(-23310, [0.0])[0] if activation == _LEAKY else 0.0] += 1
        except (ValueError, OverflowError) as error:
            raise WeightsError(
                f"{numbers}: {layer.kind} {layer.name[:60]} cannot be read ({reason_of(error)})"
            ) from None
    if data.at != len(data.data):
        raise WeightsError(
            f"{numbers}: has {len(data.data):,} bytes, and the layers of {path.name} take {data.at:,}; is it another's?"
        )
    return FoldedGraph(tuple(convs), slopes, None)


def _layers(path: Path) -> list[_Layer]:
    try:
        lines = path.read_text("ascii").splitlines()
    except UnicodeDecodeError:
        _refuse(path, "it is no text; a .param.bin file is not read, give the .param that it was made of")
    if not lines or lines[0].strip() != MAGIC:
        _refuse(path, f"its first line is {lines[0][:20] if lines else ''!r}, expected {MAGIC}")
    counts = lines[1].split() if len(lines) > 1 else []
    rows = [line.split() for line in lines[2:] if line.strip()]
    if len(counts) != 2 or counts[0] != str(len(rows)) or not 0 < len(rows) <= _MOST_LAYERS:
        _refuse(path, f"its second line is {' '.join(counts)[:40]!r} and {len(rows):,} layers follow")
    return [_layer(row, path) for row in rows]


def _layer(row: list[str], path: Path) -> _Layer:
    kind, name = (*row, "", "")[:2]
    if kind not in _CONVOLUTIONS and kind not in _WITHOUT_NUMBERS:
        _refuse(path, f"it has a layer of the kind {kind[:40]!r}, which is not read")
    try:
        blobs = int(row[2]) + int(row[3])
        if not 0 <= blobs <= len(row) - 4:
            raise ValueError("fewer inputs and outputs than it says")
        parameters = {}
        for text in row[4 + blobs :]:
            key, _, values = text.partition("=")
            found = [float(value) for value in values.split(",", _MOST_VALUES + 1)]
            if len(found) > _MOST_VALUES:
                raise ValueError(f"more than {_MOST_VALUES} values of the parameter {key[:9]}")
            parameters[int(key)] = found[1:] or [0.0] if int(key) <= -23300 else found
        return _Layer(kind, name, parameters)
    except (ValueError, IndexError) as error:
        _refuse(path, f"the line of {kind[:40]} {name[:60]} cannot be read ({reason_of(error)})")


def _convolution(layer: _Layer, data: _Numbers) -> FoldedConv:
    width, height = layer.whole(1), layer.whole(11, layer.whole(1))
    dilation = (layer.whole(12, layer.whole(2, 1)), layer.whole(2, 1))
    stride = (layer.whole(13, layer.whole(3, 1)), layer.whole(3, 1))
    sides = [layer.whole(key, default) for key, default in _sides(layer)]
    outputs, groups = layer.whole(0), layer.whole(7, 1) if layer.kind == "ConvolutionDepthWise" else 1
    count, kernel = layer.whole(6), (outputs, height, width)
    if min(*kernel, groups, *stride) < 1 or count < 1 or count % prod(kernel):
        raise ValueError(f"{count:,} numbers for a kernel of {'x'.join(map(str, kernel))}")
    if layer.whole(8) or dilation != (1, 1) or sides[:2] != sides[2:]:
        raise ValueError("it is quantised, dilated or padded unevenly, which is not read")
    shape = (outputs, count // prod(kernel), height, width)
    weight = data.take(count).reshape(shape)
    bias = data.floats(outputs) if layer.whole(5) else np.zeros(outputs, np.float32)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ValueError("its numbers are NaN or infinite")
    return FoldedConv(layer.name, ConvForm(shape, stride, (sides[0], sides[1]), groups), weight, bias)


def _sides(layer: _Layer) -> tuple[tuple[int, int], ...]:
    """The keys of the padding at the top, left, bottom and right, each with its default."""
    left = layer.whole(4)
    top = layer.whole(14, left)
    return (14, left), (4, 0), (16, top), (15, left)


def _refuse(path: Path, why: str) -> NoReturn:
    raise WeightsError(f"{path}: cannot be read as a model of ncnn's: {why}")
