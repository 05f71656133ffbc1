"""Match a file to a network by structure: the one network that all of its layers fit, each used once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from litevision.errors import WeightsError
from litevision.models.centernet import CenterNetConfig
from litevision.models.config import NetworkConfig
from litevision.models.necks import STRIDE
from litevision.models.network import Network
from litevision.weights.convert.layout import Tensors
from litevision.weights.layouts import Container
from litevision.weights.structure.candidates import Fit, described, fitting, nearest
from litevision.weights.structure.layers import Axes, FileLayer, FileLayers, file_layers, numbers_of
from litevision.weights.structure.orders import Order, OwnLayer
from litevision.weights.structure.sequences import (
    Pairing,
    Pairs,
    by_file_order,
    by_names,
    contradictions,
    distinct,
    first_difference,
)
from litevision.weights.structure.weight_map import WeightMap

_HEADS = {"heatmap": ("hm", "heat", "cls", "center"), "size": ("wh", "size", "dim"), "offset": ("reg", "off")}
_SHOWN = 3


class AmbiguousWeightsError(WeightsError):
    """Several maps fit a file, or what its names say contradicts its order.

    Attributes:
        likeliest: one of the maps.
    """

    def __init__(self, message: str, likeliest: WeightMap) -> None:
        super().__init__(message)
        self.likeliest = likeliest


class Matched(NamedTuple):
    """A file's map, with what was found and assumed, a line each."""

    map: WeightMap
    notes: tuple[str, ...]


class Unmatched(NamedTuple):
    """Why no network fits.

    Attributes:
        reason: the nearest networks, and where the file differs; empty where nothing is near.
    """

    reason: str


class _Head(NamedTuple):
    config: NetworkConfig | CenterNetConfig
    pairs: Pairs
    notes: tuple[str, ...] = ()
    left_out: tuple[FileLayer, ...] = ()
    prefix: str = ""  # of the backbone's layers
    what: str = "network"


def match_structure(tensors: Tensors, container: Container, request: Mapping[str, Any]) -> Matched | Unmatched:
    """Finds the network that ``tensors`` are, and the place of each in it.

    Args:
        request: the network that was asked for: architecture, dialect and width_mult, None for what was not said.

    Raises:
        AmbiguousWeightsError: several maps fit, or names and order contradict each other.
    """
    keras_first = container in ("hdf5", "tensorflow")
    first: tuple[Axes, Axes] = ("keras", "torch") if keras_first else ("torch", "keras")
    reasons: list[str] = []
    for axes in first:
        file = file_layers(tensors, axes, keeps_order=container in ("torch", "hdf5"))
        if file.strange or not file.layers:
            continue
        fits = list(fitting(file, request, keras_first))
        for fit in fits:
            matched = _matched(file, fit, reasons)
            if matched is not None:
                return matched
        if not fits and not reasons:
            reasons += nearest(file, request)
    return Unmatched("; ".join(reasons[:_SHOWN]))


def _matched(file: FileLayers, fit: Fit, reasons: list[str]) -> Matched | None:
    head = _head(fit)
    if head is None:
        features = fit.network.endpoints[-1].channels
        strange = [layer for layer in fit.left if layer.signature.shape[1:] != (features, 1, 1)] or fit.left
        shown = ", ".join(f"{layer.name} {layer.signature.shape}" for layer in strange[:_SHOWN])
        reasons.append(f"{described(fit.network)} has no place for {len(strange)} of its layers ({shown})")
        return None
    left = {id(layer) for layer in fit.left}
    layers = [layer for layer in file.layers if id(layer) not in left]
    pairings = distinct(by_file_order(layers, fit.orders)) if file.has_order else []
    if not pairings:
        pairings = distinct(by_names(layers, fit.orders))
    if not pairings:
        reasons.append(
            f"{described(fit.network)} has the same layers in another order{_difference(layers, fit.orders)}"
        )
        return None
    own = {layer.path: layer for layer in fit.orders[0].layers}
    pairing = pairings[0]
    maps = [_map(file, head, it.pairs) for it in pairings]
    if len(pairings) > 1:
        raise AmbiguousWeightsError(
            f"its layers fit {described(fit.network)} in more than one way{_two_ways(pairings[0], pairings[1])}. "
            "--save-map FILE writes the first of them: correct it and give it with --map FILE",
            maps[0],
        )
    wrong = [
        pairing.pairs[path].name
        for path, layer in own.items()
        if layer.signature.kind == "conv"
        and not layer.has_bias
        and layer.norm is None
        and "bias" in pairing.pairs[path].tensors
    ]
    if wrong:
        reasons.append(f"{described(fit.network)} has no bias at {wrong[0]}")
        return None
    early = _early_gate(pairing.pairs)
    if early is not None:
        reasons.append(
            f"{described(fit.network)} has squeeze-and-excite behind the activation, and the file before it, by its "
            f"numbers ({early})"
        )
        return None
    against = contradictions(pairing.pairs, layers if file.has_order else (), _of_title(fit.orders, pairing.title))
    if against:
        one, other = against[0]
        raise AmbiguousWeightsError(
            f"its layers fit {described(fit.network)}, but the order in the file and the names contradict each other: "
            f"{one.name} stands before {other.name}, of the same shape {one.signature.shape}, "
            f"where the other source says the opposite ({len(against)} such pairs). "
            "--save-map FILE writes a map by the order: correct it and give it with --map FILE",
            maps[0],
        )
    return Matched(maps[0], tuple(_notes(file, fit, head, pairing, own)))


def _early_gate(pairs: Pairs) -> str | None:
    """A squeeze-and-excite that directly follows a normalisation, in modules whose activations have numbers too.

    The weights of d-li14/mobilenetv3.pytorch are of such a network, which no dialect computes.
    """
    for path, gate in pairs.items():
        unit, is_gate, _ = path.partition(".se.reduce")
        before, conv = pairs.get(f"{unit}.expand.norm"), pairs.get(f"{unit}.depthwise.conv")
        norm = pairs.get(f"{unit}.depthwise.norm")
        if not is_gate or before is None or conv is None or norm is None:
            continue
        places = [numbers_of(layer.name)[1] for layer in (before, conv, norm)]
        depth = len(places[2]) - 1
        at = numbers_of(gate.name)[1][: depth + 1]
        if depth < 0 or len({place[:depth] for place in (*places, at)}) > 1 or len(at) <= depth:
            continue
        if places[1][depth] == places[0][depth] + 2 and at[depth] == places[2][depth] + 1:
            return f"{gate.name} after {norm.name}"
    return None


def _of_title(orders: Sequence[Order], title: str) -> Order:
    return next(order for order in orders if order.title == title)


def _difference(layers: Sequence[FileLayer], orders: Sequence[Order]) -> str:
    theirs, ours = first_difference(layers, orders[0])
    there = "nothing" if theirs is None else f"{theirs.name} {theirs.signature.shape}"
    here = "nothing" if ours is None else f"{ours.path} {ours.signature.shape}"
    return f"; they part at {there}, where it has {here}"


def _two_ways(one: Pairing, other: Pairing) -> str:
    path = next(path for path, layer in one.pairs.items() if other.pairs[path] != layer)
    return f": {path} may be {one.pairs[path].name} or {other.pairs[path].name}"


def _head(fit: Fit) -> _Head | None:
    """What is on top of the backbone: a classifier, the heads of a detector, or nothing that is known."""
    network = fit.network
    config, last = network.config, network.endpoints[-1]
    if any(layer.signature.kind == "norm" or layer.signature.shape[2:] != (1, 1) for layer in fit.left):
        return None
    shapes = [layer.signature.shape[:2] for layer in fit.left]
    hidden = network.num_features if network.num_features != last.channels else None
    first, final = "head.hidden", "head.classifier"
    if not shapes:
        end = last.name if hidden else None
        return _Head(replace(config, num_classes=0, final_endpoint=end), {})
    if hidden is not None and shapes == [(hidden, last.channels)]:
        return _Head(replace(config, num_classes=0), {first: fit.left[0]})
    if len(shapes) == 1 and shapes[0][1] == last.channels:
        options = {**config.options, "hidden_channels": 0} if hidden else config.options
        return _Head(replace(config, num_classes=shapes[0][0], options=options), {final: fit.left[0]})
    if hidden is not None and shapes[:1] == [(hidden, last.channels)] and [s[1] for s in shapes[1:]] == [hidden]:
        return _Head(replace(config, num_classes=shapes[1][0]), dict(zip((first, final), fit.left, strict=True)))
    detector = _detector(fit, last.channels, last.stride)
    if detector is not None:
        return detector
    if [shape[1] for shape in shapes] == [last.channels, *(shape[0] for shape in shapes[:-1])]:
        shown = ", ".join(f"{layer.name} {layer.signature.shape[:2]}" for layer in fit.left[:_SHOWN])
        note = f"the head ({shown}) is none that the network has, and was left out: the backbone alone is read"
        return _Head(
            replace(config, num_classes=0, final_endpoint=last.name if hidden else None), {}, (note,), fit.left
        )
    return None


def _detector(fit: Fit, channels: int, stride: int) -> _Head | None:
    """The three heads of a CenterNet on a plain view of the last map: heatmap, size and offset."""
    if len(fit.left) != len(_HEADS) or any(
        layer.signature.shape[1] * (stride // STRIDE) ** 2 != channels for layer in fit.left
    ):
        return None
    named: dict[str, FileLayer] = {}
    for head, words in _HEADS.items():
        fits = [layer for layer in fit.left if any(word in layer.name.lower().rpartition(".")[2] for word in words)]
        if len(fits) == 1:
            named[head] = fits[0]
    note: tuple[str, ...] = ()
    if len({id(layer) for layer in named.values()}) != len(_HEADS):
        named = dict(zip(_HEADS, fit.left, strict=True))
        note = ("the names do not tell the heads apart: heatmap, size (width, height) and offset in turn",)
    if any(named[head].signature.shape[0] != 2 for head in ("size", "offset")):
        return None
    backbone = replace(fit.network.config, num_classes=1000)
    config = CenterNetConfig(backbone, named["heatmap"].signature.shape[0], neck="reshape")
    return _Head(
        config,
        {f"heads.{head}.output": layer for head, layer in named.items()},
        note,
        prefix="backbone.",
        what="detector with the backbone",
    )


def _map(file: FileLayers, head: _Head, pairs: Pairs) -> WeightMap:
    placed = [*((f"{head.prefix}{path}", layer) for path, layer in pairs.items()), *head.pairs.items()]
    ours = {name: f"{path}.{role}" for path, layer in placed for role, name in layer.tensors.items()}
    left_out: dict[str, str | None] = {name: None for layer in head.left_out for name in layer.tensors.values()}
    in_turn = {name: None for layer in file.layers for name in layer.tensors.values()}
    return WeightMap(head.config, file.axes, {name: (ours | left_out)[name] for name in in_turn})


def _notes(file: FileLayers, fit: Fit, head: _Head, pairing: Pairing, own: Mapping[str, OwnLayer]) -> Iterator[str]:
    config, dialect = fit.network.config, fit.network.dialect
    tensors = sum(len(layer.tensors) for layer in file.layers)
    yield (
        f"no known layout; by its structure it is the {head.what} {config.architecture} at width "
        f"{config.width_mult:g}: {tensors} tensors, each used once, paired by {pairing.by}"
        + (f" ({pairing.title})" if pairing.title else "")
    )
    yield f"the map: {_shown_map(fit.network, pairing.pairs, head)}"
    others = [name for name in fit.dialects if name != config.dialect]
    yield (
        f"shapes do not tell padding, eps, strides and activations: those of the dialect {config.dialect!r} are taken "
        f"(padding {dialect.padding}, eps {dialect.bn_eps:g})"
        + (f"; --dialect {', '.join(others)} fit as well" if others else "")
    )
    yield from file.assumed
    yield from head.notes
    extra = [path for path, layer in own.items() if "bias" in pairing.pairs[path].tensors and not layer.has_bias
             and layer.signature.kind == "conv"]  # fmt: skip
    if extra:
        yield f"{len(extra)} convolutions have a bias before batch normalisation, which went into its mean"
    lacking = [path for path, layer in own.items() if layer.has_bias and "bias" not in pairing.pairs[path].tensors]
    if lacking:
        yield f"{len(lacking)} convolutions have no bias in the file, and 0 here"


def _shown_map(network: Network, pairs: Pairs, head: _Head) -> str:
    """Each part of the network with what the names of its layers in the file have in common."""
    parts = []
    for name, _ in network.features.named_children():
        names = [layer.name for path, layer in pairs.items() if path.startswith(f"features.{name}.")]
        if names:
            parts.append(f"{name} = {_common(names)}")
    parts += [f"{path.removeprefix('head.')} = {layer.name}" for path, layer in head.pairs.items()]
    return ", ".join(parts)


def _common(names: Sequence[str]) -> str:
    """What the names of a part's layers begin with."""
    if len(set(names)) == 1:
        return names[0]
    low, high = min(names), max(names)  # what these two share, all share
    cut = low[: next((i for i, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low))]
    cut = cut[: max(cut.rfind("."), cut.rfind("/")) + 1]
    return f"{cut}*" if cut else f"{names[0]} .. {names[-1]}"
