"""Match a file to a network by structure: the one network that all of its layers fit, each used once."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from litevision.errors import WeightsError
from litevision.models.centernet import CenterNetConfig
from litevision.models.config import NetworkConfig
from litevision.models.necks import STRIDE
from litevision.models.network import Network
from litevision.registry import Variant
from litevision.weights.convert.layout import Tensors
from litevision.weights.detect_layout import NATIVE, WIDTHS, built, variants
from litevision.weights.layouts import Container
from litevision.weights.structure.layers import Axes, FileLayer, FileLayers, Signature, file_layers
from litevision.weights.structure.orders import Order, OwnLayer, orders_of
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

_NEAR = 0.06  # of the width that the shapes tell, which rounding to multiples of 8 hides
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


@dataclass(frozen=True)
class _Fit:
    """A network whose backbone's layers are among the file's, by kind and shape.

    Attributes:
        dialects: all that have the same layers; the network's own is the first.
        left: the file's layers that the backbone does not have: its head.
    """

    network: Network
    orders: tuple[Order, ...]
    dialects: tuple[str, ...]
    left: tuple[FileLayer, ...]


class _Head(NamedTuple):
    config: NetworkConfig | CenterNetConfig
    pairs: Pairs
    notes: tuple[str, ...] = ()
    left_out: tuple[FileLayer, ...] = ()


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
        fits = list(_fitting(file, request, keras_first))
        for fit in fits:
            matched = _matched(file, fit, reasons)
            if matched is not None:
                return matched
        if not fits and not reasons:
            reasons += _nearest(file, request)
    return Unmatched("; ".join(reasons[:_SHOWN]))


def _fitting(file: FileLayers, request: Mapping[str, Any], keras_first: bool) -> Iterator[_Fit]:
    """The networks whose backbone's layers are all in the file, those with the conventions of its framework first."""
    theirs = file.counts
    made: dict[tuple[OwnLayer, ...], list[tuple[Network, tuple[Order, ...]]]] = {}
    for index, variant in enumerate(variants(NATIVE)):
        if not _is_asked(variant, request):
            continue
        if _kinds_of(_kin(index)) != _kinds(theirs):
            continue
        base, _ = built(NATIVE, index, variant.width_mult)
        for width in _widths(base, variant, theirs, request["width_mult"]):
            network, _ = built(NATIVE, index, width)
            orders = orders_of(network)
            if _counts(orders[0]) <= theirs:
                made.setdefault(orders[0].layers, []).append((network, orders))
                break
    for alike in made.values():
        alike.sort(key=lambda entry: _strangeness(entry[0], keras_first))
        network, orders = alike[0]
        same = [entry[0] for entry in alike if entry[0].config.architecture == network.config.architecture]
        left = theirs - _counts(orders[0])
        yield _Fit(network, orders, tuple(it.config.dialect for it in same), tuple(_last_of(file.layers, left)))


def _is_asked(variant: Variant, request: Mapping[str, Any]) -> bool:
    asked = (request["architecture"], request["dialect"], request["width_mult"] if variant.options else None)
    offered = (variant.architecture, variant.dialect, variant.width_mult)
    return all(wanted in (None, got) for wanted, got in zip(asked, offered, strict=True))


def _strangeness(network: Network, keras_first: bool) -> tuple[bool, bool, bool]:
    """How far a network is from width 1, and from what its framework's layers do unless they are told otherwise."""
    padding, eps = ("same", 1e-3) if keras_first else ("symmetric", 1e-5)
    return network.config.width_mult != 1, network.dialect.padding != padding, network.dialect.bn_eps != eps


def _counts(order: Order) -> Counter[Signature]:
    return Counter(own.signature for own in order.layers)


def _is_depthwise(signature: Signature) -> bool:
    return signature.kind == "conv" and signature.shape[1] == 1 and signature.shape[2] > 1


def _kinds(counts: Counter[Signature]) -> tuple[int, Counter[tuple[int, ...]]]:
    """What another width leaves as it is: how many normalisations, and depthwise convolutions of each size."""
    depthwise = Counter[tuple[int, ...]]()
    for signature, count in counts.items():
        if _is_depthwise(signature):
            depthwise[signature.shape[2:]] += count
    return sum(count for signature, count in counts.items() if signature.kind == "norm"), depthwise


def _kin(index: int) -> int:
    """The first variant with the same kinds of layers: the scales and the dialects of a network differ in widths."""

    def network(variant: Variant) -> tuple[object, ...]:
        plain = re.sub(r"_x\d_\d$", "", variant.architecture)
        return plain, variant.dialect == "tutorial", tuple(variant.options.items())

    every = variants(NATIVE)
    return next(i for i, variant in enumerate(every) if network(variant) == network(every[index]))


@cache
def _kinds_of(index: int) -> tuple[int, Counter[tuple[int, ...]]]:
    network, _ = built(NATIVE, index, variants(NATIVE)[index].width_mult)
    return _kinds(_counts(orders_of(network)[0]))


def _widths(base: Network, variant: Variant, theirs: Counter[Signature], asked: float | None) -> list[float]:
    """The widths that the file may have, the likeliest first."""
    if variant.options:
        return [variant.width_mult]
    if asked is not None:
        return [asked]

    def channels(counts: Counter[Signature]) -> int:
        return sum(count * signature.shape[0] for signature, count in counts.items() if _is_depthwise(signature))

    likely = channels(theirs) / max(1, channels(_counts(orders_of(base)[0])))
    if not 0.02 < likely < 8:
        return []
    usual = [width for width in WIDTHS if abs(width - likely) <= max(_NEAR, 0.25 * likely)]
    near = {round(likely + step / 100, 2) for step in range(-6, 7)}
    rest = sorted(near - set(usual), key=lambda width: (width * 20 % 1 > 1e-6, abs(width - likely)))
    return [*sorted(usual, key=lambda width: abs(width - likely)), *(width for width in rest if width > 0)]


def _last_of(layers: Sequence[FileLayer], wanted: Counter[Signature]) -> Iterator[FileLayer]:
    """The last layers with the signatures ``wanted``, in their order."""
    left = Counter(wanted)
    found = []
    for layer in reversed(layers):
        if left[layer.signature]:
            left[layer.signature] -= 1
            found.append(layer)
    yield from reversed(found)


def _matched(file: FileLayers, fit: _Fit, reasons: list[str]) -> Matched | None:
    head = _head(fit)
    if head is None:
        features = fit.network.endpoints[-1].channels
        strange = [layer for layer in fit.left if layer.signature.shape[1:] != (features, 1, 1)] or fit.left
        shown = ", ".join(f"{layer.name} {layer.signature.shape}" for layer in strange[:_SHOWN])
        reasons.append(f"{_title(fit.network)} has no place for {len(strange)} of its layers ({shown})")
        return None
    left = {id(layer) for layer in fit.left}
    layers = [layer for layer in file.layers if id(layer) not in left]
    pairings = distinct(by_file_order(layers, fit.orders)) if file.has_order else []
    if not pairings:
        pairings = distinct(by_names(layers, fit.orders))
    if not pairings:
        reasons.append(f"{_title(fit.network)} has the same layers in another order{_difference(layers, fit.orders)}")
        return None
    own = {layer.path: layer for layer in fit.orders[0].layers}
    pairing = pairings[0]
    maps = [_map(file, head, it.pairs) for it in pairings]
    if len(pairings) > 1:
        raise AmbiguousWeightsError(
            f"its layers fit {_title(fit.network)} in more than one way{_two_ways(pairings[0], pairings[1])}. "
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
        reasons.append(f"{_title(fit.network)} has no bias at {wrong[0]}")
        return None
    against = contradictions(pairing.pairs, layers if file.has_order else (), _of_title(fit.orders, pairing.title))
    if against:
        one, other = against[0]
        raise AmbiguousWeightsError(
            f"its layers fit {_title(fit.network)}, but the order in the file and the names contradict each other: "
            f"{one.name} stands before {other.name}, of the same shape {one.signature.shape}, "
            f"where the other source says the opposite ({len(against)} such pairs). "
            "--save-map FILE writes a map by the order: correct it and give it with --map FILE",
            maps[0],
        )
    return Matched(maps[0], tuple(_notes(file, fit, head, pairing, own)))


def _of_title(orders: Sequence[Order], title: str) -> Order:
    return next(order for order in orders if order.title == title)


def _title(network: Network) -> str:
    config = network.config
    return f"{config.architecture} (width {config.width_mult:g})"


def _difference(layers: Sequence[FileLayer], orders: Sequence[Order]) -> str:
    theirs, ours = first_difference(layers, orders[0])
    there = "nothing" if theirs is None else f"{theirs.name} {theirs.signature.shape}"
    here = "nothing" if ours is None else f"{ours.path} {ours.signature.shape}"
    return f"; they part at {there}, where it has {here}"


def _two_ways(one: Pairing, other: Pairing) -> str:
    path = next(path for path, layer in one.pairs.items() if other.pairs[path] != layer)
    return f": {path} may be {one.pairs[path].name} or {other.pairs[path].name}"


def _head(fit: _Fit) -> _Head | None:
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


def _detector(fit: _Fit, channels: int, stride: int) -> _Head | None:
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
    return _Head(config, {f"heads.{head}.output": layer for head, layer in named.items()}, note)


def _map(file: FileLayers, head: _Head, pairs: Pairs) -> WeightMap:
    prefix = "backbone." if isinstance(head.config, CenterNetConfig) else ""
    placed = [*((f"{prefix}{path}", layer) for path, layer in pairs.items()), *head.pairs.items()]
    ours = {name: f"{path}.{role}" for path, layer in placed for role, name in layer.tensors.items()}
    left_out: dict[str, str | None] = {name: None for layer in head.left_out for name in layer.tensors.values()}
    in_turn = {name: None for layer in file.layers for name in layer.tensors.values()}
    return WeightMap(head.config, file.axes, {name: (ours | left_out)[name] for name in in_turn})


def _notes(file: FileLayers, fit: _Fit, head: _Head, pairing: Pairing, own: Mapping[str, OwnLayer]) -> Iterator[str]:
    config, dialect = fit.network.config, fit.network.dialect
    what = "detector with the backbone" if isinstance(head.config, CenterNetConfig) else "network"
    tensors = sum(len(layer.tensors) for layer in file.layers)
    yield (
        f"no known layout; by its structure it is the {what} {config.architecture} at width {config.width_mult:g}: "
        f"{tensors} tensors, each used once, paired by {pairing.by}" + (f" ({pairing.title})" if pairing.title else "")
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


def _nearest(file: FileLayers, request: Mapping[str, Any]) -> list[str]:
    """The networks whose layers are nearest to the file's, with what is left over on either side."""
    theirs = file.counts
    scored = []
    for index, variant in enumerate(variants(NATIVE)):
        if not _is_asked(variant, request):
            continue
        network, _ = built(NATIVE, index, variant.width_mult)
        ours = _counts(orders_of(network)[0])
        lacking, extra = ours - theirs, theirs - ours
        score = lacking.total() + extra.total()
        if score < min(ours.total(), theirs.total()):
            scored.append((score, index, network, lacking, extra))
    scored.sort(key=lambda entry: entry[:2])
    found: dict[str, str] = {}
    for _, _, network, lacking, extra in scored:
        beside = next((layer for layer in file.layers if extra[layer.signature]), None)
        absent = next((own for own in orders_of(network)[0].layers if lacking[own.signature]), None)
        found.setdefault(
            network.config.architecture,
            f"{_title(network)} lacks {extra.total()} of its layers"
            + (f" (the first: {beside.name} {beside.signature.shape})" if beside else "")
            + f" and has {lacking.total()} others"
            + (f" (the first: {absent.path} {absent.signature.shape})" if absent else ""),
        )
    return list(found.values())
