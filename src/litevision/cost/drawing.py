"""What a network's drawing shows: one box per part, framed by the size of its map."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from litevision.cost.ledger import LayerCost, Ledger
from litevision.cost.rows import CONVOLUTIONS, TITLES, FusedLayer, fuse, geometry
from litevision.models.network import Network

Kind = Literal["convolution", "depthwise", "pointwise 1x1", "squeeze-excite", "pool", "linear", "other"]

_PLAIN = re.compile(r"|(conv|pointwise|depthwise)_?\d*|avg_pool")  # a layer's name that says only its kind


@dataclass(frozen=True)
class Line:
    """One line of a box: what is done, and in ``note`` what runs on the result."""

    text: str
    note: str
    kind: Kind


@dataclass(frozen=True)
class Box:
    """One part of the network.

    Attributes:
        sums_input: whether its input is added to what its lines give.
    """

    name: str
    lines: tuple[Line, ...]
    out_shape: tuple[int, ...]
    num_params: int
    macs: int
    sums_input: bool = False


@dataclass
class Frame:
    """The boxes that one frame holds, in order; no frame is drawn without a title."""

    title: str
    boxes: list[Box] = field(default_factory=list)


def frames(network: Network, costs: Ledger) -> list[Frame]:
    """List the frames of a drawing: the input, one per level of the backbone, and the head.

    Args:
        network: the network that is drawn.
        costs: its ledger.
    """
    rows: dict[str, list[LayerCost]] = {end.name: [] for end in network.endpoints}
    head: list[LayerCost] = []
    for layer in costs.rows:
        rows.get(layer.name.split(".")[0], head).append(layer)
    shape: tuple[int, ...] = (network.config.in_channels, *costs.size_hw)
    found = [Frame("", [Box("input", (), shape, 0, 0)])]
    level = None
    for end in network.endpoints:
        if not rows[end.name]:  # an identity
            continue
        box = _box(end.name, rows[end.name], shape)
        shape = box.out_shape
        if end.level != level:
            level = end.level
            found.append(Frame(f"{' x '.join(map(str, shape[1:]))}, stride {end.stride}"))
        found[-1].boxes.append(box)
    if head:
        found.append(Frame("head", [_box(step.layer.name, step.rows, step.layer.in_shape) for step in fuse(head)]))
    return found


def _box(name: str, layers: Sequence[LayerCost], in_shape: tuple[int, ...]) -> Box:
    own = {layer.name for layer in layers}
    sums_input = layers[-1].kind == "add" and not own.issuperset(layers[-1].inputs)
    return Box(
        name,
        tuple(_lines(name, fuse(layers[:-1] if sums_input else layers), in_shape[0])),
        layers[-1].out_shape,
        sum(layer.params for layer in layers),
        sum(layer.macs for layer in layers),
        sums_input,
    )


def _lines(name: str, parts: Sequence[FusedLayer[LayerCost]], in_channels: int) -> Iterator[Line]:
    """One line per step; those from a pool inside the part to the product with its result are one line."""
    gate: list[FusedLayer[LayerCost]] = []
    for i, part in enumerate(parts):
        starts_gate = part.layer.kind == "avg_pool" and any(_scales(later) for later in parts[i:])
        if gate or starts_gate:
            gate.append(part)
        else:
            yield _line(name, part, in_channels if i == 0 else part.layer.in_shape[0])
        if gate and _scales(part):
            channels = "→".join(str(step.layer.out_shape[0]) for step in gate)
            yield Line(f"squeeze-excite {channels}", ", ".join(filter(None, map(_note, gate))), "squeeze-excite")
            gate = []


def _scales(part: FusedLayer[LayerCost]) -> bool:
    return any(row.kind == "mul" for row in part.followers)


def _line(name: str, part: FusedLayer[LayerCost], in_channels: int) -> Line:
    """The line of ``part``, where the part of the network that it lies in takes ``in_channels``."""
    layer = part.layer
    words = [_role(layer, name), *geometry(layer)]
    takes_some = layer.in_shape[0] < in_channels
    taken = f"{layer.in_shape[0]} of {in_channels}" if takes_some else f"{layer.in_shape[0]}"
    if takes_some or (layer.kind in CONVOLUTIONS and layer.kind != "depthwise_conv") or layer.kind == "linear":
        words.append(f"{taken}→{layer.out_shape[0]}")
    return Line(" ".join(words), _note(part), _kind(layer))


def _role(layer: LayerCost, name: str) -> str:
    """What ``layer`` is called in the part ``name``, without what its kernel and fill say anyway."""
    roles = layer.name.removeprefix(name).strip(".").split(".")
    if _PLAIN.fullmatch(roles[-1]):
        roles.pop()
    if not roles or layer.kind == "depthwise_conv":
        roles.append(TITLES.get(layer.kind, layer.kind))
    return " ".join(roles).replace("_", " ")


def _note(part: FusedLayer[LayerCost]) -> str:
    return ", ".join(TITLES.get(row.kind, row.kind) for row in part.followers)


def _kind(layer: LayerCost) -> Kind:
    if layer.kind == "depthwise_conv":
        return "depthwise"
    if layer.kind == "pointwise_conv":
        return "pointwise 1x1"
    if layer.kind == "linear":
        return "linear"
    return "convolution" if layer.kind in CONVOLUTIONS else "pool"
