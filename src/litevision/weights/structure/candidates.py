"""The networks that a file's layers may be: those whose layers are all in the file, or else the nearest ones."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from litevision.models.network import Network
from litevision.registry import Variant
from litevision.weights.detect_layout import NATIVE, WIDTHS, built, variants
from litevision.weights.structure.layers import FileLayer, FileLayers, Signature
from litevision.weights.structure.orders import Order, OwnLayer, orders_of

_MOST_NEAR = 3
_NEAR = 0.06  # of the width that the shapes tell, which rounding to multiples of 8 hides


@dataclass(frozen=True)
class Fit:
    """A network whose backbone's layers are among the file's, by kind and shape.

    Attributes:
        dialects: all that have the same layers; the network's own is the first.
        left: the file's layers that the backbone does not have: its head.
    """

    network: Network
    orders: tuple[Order, ...]
    dialects: tuple[str, ...]
    left: tuple[FileLayer, ...]


def fitting(file: FileLayers, request: Mapping[str, Any], keras_first: bool) -> Iterator[Fit]:
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
        yield Fit(network, orders, tuple(it.config.dialect for it in same), tuple(_last_of(file.layers, left)))


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


def described(network: Network) -> str:
    """A network in the words of a message."""
    config = network.config
    return f"{config.architecture} (width {config.width_mult:g})"


def nearest(file: FileLayers, request: Mapping[str, Any]) -> list[str]:
    """The networks whose layers are nearest to the file's, with what is left over on either side."""
    theirs = file.counts
    norms, depthwise = _kinds(theirs)

    def distance(index: int) -> int:
        own_norms, own_depthwise = _kinds_of(index)
        return abs(own_norms - norms) + ((own_depthwise - depthwise) + (depthwise - own_depthwise)).total()

    kin = {_kin(index) for index, variant in enumerate(variants(NATIVE)) if _is_asked(variant, request)}
    scored = []
    for index in sorted(kin, key=lambda index: (distance(index), index))[:_MOST_NEAR]:
        variant = variants(NATIVE)[index]
        base, _ = built(NATIVE, index, variant.width_mult)
        for width in _widths(base, variant, theirs, request["width_mult"])[:_MOST_NEAR]:
            network, _ = built(NATIVE, index, width)
            ours = _counts(orders_of(network)[0])
            lacking, extra = ours - theirs, theirs - ours
            if lacking.total() + extra.total() < min(ours.total(), theirs.total()):
                scored.append((lacking.total() + extra.total(), index, network, lacking, extra))
    found: dict[str, str] = {}
    for _, _, network, lacking, extra in sorted(scored, key=lambda entry: entry[:2]):
        beside = next((layer for layer in file.layers if extra[layer.signature]), None)
        absent = next((own for own in orders_of(network)[0].layers if lacking[own.signature]), None)
        found.setdefault(
            network.config.architecture,
            f"{described(network)} lacks {extra.total()} of its layers"
            + (f" (the first: {beside.name} {beside.signature.shape})" if beside else "")
            + f" and has {lacking.total()} others"
            + (f" (the first: {absent.path} {absent.signature.shape})" if absent else ""),
        )
    return list(found.values())
