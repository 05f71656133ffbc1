"""Bundles of published weights without torch: graphs that were made beforehand, filled with numbers from the file.

A template is an exported graph without its weights, and for each weight how it is made of the tensors that a library
publishes: ``tools/graph_templates.py`` writes them from the networks and the tables of `litevision.weights.convert`.
"""

import functools
import json
import lzma
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from litevision.errors import WeightsMismatchError
from litevision.registry import DETECTORS
from litevision.registry.schema import WeightSet
from litevision.runtime import METADATA_KEY, BundleMetadata
from litevision.weights.published import labels_of

FILE = Path(__file__).with_name("graph_templates.xz")
Arrays = Mapping[str, npt.NDArray[Any]]

_VARINT, _BYTES = 0, 2  # wire types of protobuf
_FLOAT, _UINT8 = 1, 2  # element types of ONNX
_SHOWN = 3


class Network(NamedTuple):
    """What a template is for."""

    architecture: str
    dialect: str
    width_mult: float
    options: tuple[tuple[str, Any], ...]


def network_of(weight_set: WeightSet) -> Network:
    """Returns the network that a weight set fits."""
    options = dict(weight_set.options)
    if weight_set.architecture in DETECTORS:  # whose graph knows where its cells lie
        options["size_px"] = weight_set.input.size_hw[0]
    return Network(weight_set.architecture, weight_set.dialect, weight_set.width_mult, tuple(sorted(options.items())))


@dataclass(frozen=True)
class Template:
    """One network's graph without weights.

    Attributes:
        plain: its record, as ``tools/graph_templates.py`` writes it.
    """

    plain: Mapping[str, Any]

    def bundle(self, arrays: Arrays, metadata: BundleMetadata) -> bytes:
        """Makes the bundle of weights.

        Args:
            arrays: the tensors of a file by name, in its publisher's layout.

        Raises:
            WeightsMismatchError: a tensor is missing, of another shape, or none that the network has.
        """
        return self._model(self.plain["nodes"], self._tensors(arrays, metadata, folded=True), metadata)

    def layers(self, arrays: Arrays, metadata: BundleMetadata) -> bytes:
        """Makes the same network with batch normalisation as layers, which the bundle is compared with."""
        return self._model(self.plain["layers"], self._tensors(arrays, metadata, folded=False), metadata)

    def boxes(self, edges: npt.NDArray[np.float32], size_hw: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Decodes the boxes of a NanoDet's cells in plain numpy, as the graph does it.

        Args:
            edges: logits of the distances to the four edges, [M, 4 * bins], level after level.
            size_hw: of the input, px, to which boxes are clipped.

        Returns:
            x1, y1, x2, y2 in px of the input, [M, 4].
        """
        height, width = size_hw
        levels = []
        for stride in self.plain["strides"]:
            shift = (stride - 1) / 2 if self.plain["is_centred"] else 0.0
            rows, columns = np.mgrid[: -(-height // stride), : -(-width // stride)] * stride + shift
            levels.append(np.stack((columns, rows, np.full_like(rows, stride)), -1).reshape(-1, 3))
        x_y_stride = np.concatenate(levels)
        logits = edges.astype(np.float64).reshape(len(edges), 4, -1)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        distances = powers @ np.arange(logits.shape[-1]) / powers.sum(-1) * x_y_stride[:, 2:]
        points = x_y_stride[:, :2]
        boxes = np.concatenate((points - distances[:, :2], points + distances[:, 2:]), -1)
        return boxes.clip(0, (width, height, width, height)).astype(np.float32)

    def _tensors(self, arrays: Arrays, metadata: BundleMetadata, *, folded: bool) -> dict[str, npt.NDArray[Any]]:
        used: set[str] = set()

        def take(names: Iterable[str], what: Mapping[str, Any] | None = None) -> npt.NDArray[np.float64]:
            name = next((name for name in names if name in arrays), None)
            if name is None:
                raise WeightsMismatchError(f"the file lacks {next(iter(names))}. Is it another network, or damaged?")
            used.add(name)
            array = arrays[name].astype(np.float64)
            order = what and what["order"]
            if order and array.ndim == len(order):
                array = array.transpose(order)
            return array.reshape(array.shape[:2]) if what and what["flat"] and array.ndim == 4 else array

        made: dict[str, npt.NDArray[Any]] = {}
        mean, std = (np.asarray(each, np.float64) for each in (metadata.normalisation.mean, metadata.normalisation.std))
        for row in self.plain["weights"]:
            name, kind = row["name"], row["kind"]
            if kind in ("scale", "shift"):
                made[name] = (1 / (255 * std) if kind == "scale" else -mean / std)[:, None, None]
                continue
            norm = [take(names) for names in row["norm"]] if "norm" in row else None
            if norm is None:
                made[name] = take(row[kind]["names"], row[kind])
            elif folded:
                gamma, beta, mean_, var = norm
                factor = gamma / np.sqrt(var + row["eps"])
                if kind == "weight":
                    made[name] = take(row["weight"]["names"], row["weight"]) * factor[:, None, None, None]
                else:
                    own = take(row["bias"]["names"]) if "bias" in row else 0.0
                    made[name] = beta + (own - mean_) * factor
            elif kind == "weight":
                made[name] = take(row["weight"]["names"], row["weight"])
                made |= {f"{name}/norm{i}": part for i, part in enumerate(norm)}
                if "bias" in row:
                    made[f"{name}/bias"] = take(row["bias"]["names"])
            else:
                continue
            if tuple(made[name].shape) != tuple(row["shape"]):
                raise WeightsMismatchError(
                    f"{name} becomes {made[name].shape} of the file, expected {tuple(row['shape'])}. "
                    "Is it another network or width?"
                )
        strange = [name for name in arrays if name not in used and not name.endswith(tuple(self.plain["dropped"]))]
        if strange:
            shown = ", ".join(strange[:_SHOWN]) + (", ..." if len(strange) > _SHOWN else "")
            raise WeightsMismatchError(f"the file has {len(strange)} tensors more than the network: {shown}")
        return made

    def _model(self, nodes: bytes, tensors: Arrays, metadata: BundleMetadata) -> bytes:
        plain = self.plain
        height, width = metadata.preprocess.size_hw
        graph = [
            nodes,
            field(2, b"main_graph"),
            *(field(5, _tensor(name, array)) for name, array in tensors.items()),
            plain["constants"],
            field(11, _value("images", _UINT8, ("batch", height, width, 3))),
            *(field(12, _value(*output)) for output in plain["outputs"]),
        ]
        producer, version = plain["producer"]
        model = [
            field(1, plain["ir_version"]),
            field(2, producer.encode()),
            field(3, version.encode()),
            field(7, b"".join(graph)),
            *(field(8, field(1, domain.encode()) + field(2, number)) for domain, number in plain["opset"].items()),
            field(14, field(1, METADATA_KEY.encode()) + field(2, metadata.to_json().encode())),
        ]
        return b"".join(model)


def find_template(weight_set: WeightSet) -> Template | None:
    """Finds the template for a weight set; None where its network has none, or its classes have no names."""
    if not labels_of(weight_set):
        return None
    plain = templates().get(network_of(weight_set))
    return None if plain is None else Template(plain)


_BLOBS = ("nodes", "layers", "constants")


@functools.cache
def templates() -> dict[Network, dict[str, Any]]:
    """Reads every template."""
    data = memoryview(lzma.decompress(FILE.read_bytes()))
    end = 8 + int.from_bytes(data[:8], "little")
    found: dict[Network, dict[str, Any]] = {}
    position = end
    for key, plain in json.loads(bytes(data[8:end])):
        for name in _BLOBS:
            plain[name], position = bytes(data[position : position + plain[name]]), position + plain[name]
        architecture, dialect, width_mult, options = key
        pairs = tuple((option, value) for option, value in options)
        found[Network(architecture, dialect, width_mult, pairs)] = plain
    return found


def pack(made: Mapping[Network, Mapping[str, Any]]) -> bytes:
    """Writes templates as `templates` reads them, packed together, as they are much alike."""
    records = [[list(key), dict(plain) | {name: len(plain[name]) for name in _BLOBS}] for key, plain in made.items()]
    header = json.dumps(records).encode()
    blobs = b"".join(plain[name] for plain in made.values() for name in _BLOBS)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    return lzma.compress(len(header).to_bytes(8, "little") + header + blobs, filters=filters)


def field(number: int, value: int | bytes) -> bytes:
    """Writes a field of a protobuf message: its number with a whole number, or with bytes."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _tensor(name: str, array: npt.NDArray[Any]) -> bytes:
    """A TensorProto of float32."""
    dims = b"".join(field(1, size) for size in array.shape)
    values = np.ascontiguousarray(array, np.dtype("<f4")).tobytes()
    return dims + field(2, _FLOAT) + field(8, name.encode()) + field(9, values)


def _value(name: str, element: int, shape: Sequence[str | int]) -> bytes:
    """A ValueInfoProto of a tensor; a text in the shape is an axis of any length."""
    dims = [field(1, field(2, size.encode()) if isinstance(size, str) else field(1, size)) for size in shape]
    tensor = field(1, element) + field(2, b"".join(dims))
    return field(1, name.encode()) + field(2, field(1, tensor))
