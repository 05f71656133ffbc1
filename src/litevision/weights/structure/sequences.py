"""Pair a file's layers with a network's, by the order in the file or by the names, and find what contradicts it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from litevision.weights.structure.layers import FileLayer, Signature, numbers_of
from litevision.weights.structure.orders import Order, OwnLayer

Pairs = dict[str, FileLayer]
"""The file's layer for each of ours, by its path."""

_NORM_WORDS = ("batch_normalization", "batchnormalization", "batch_norm", "batchnorm", "normalization", "norm", "bn")
_CONV_WORDS = ("depthwise_conv2d", "convolution", "conv2d", "conv", "dense", "linear")
_MOST_STEPS = 20_000
_NOISE = 0.25  # a share of the pairs above which the numbers in the names say nothing: by chance it is a half


class Pairing(NamedTuple):
    """A total pairing.

    Attributes:
        title: of the network's layers, the order in which the file has them.
        by: where the file's order comes from.
    """

    pairs: Pairs
    title: str
    by: str


def by_file_order(layers: Sequence[FileLayer], orders: Sequence[Order]) -> list[Pairing]:
    """Every pairing by the order in the file; where one order fits layer by layer, those of kind by kind are left out.

    Kind by kind: convolutions and normalisations may stand apart, each in the network's order.
    """
    signatures = [layer.signature for layer in layers]
    found = [
        Pairing(_zipped(order.layers, layers), order.title, "the order in the file")
        for order in orders
        if signatures == [own.signature for own in order.layers]
    ]
    if found:
        return found
    for order in orders:
        pairs: Pairs = {}
        for kind in ("conv", "norm"):
            theirs = [layer for layer in layers if layer.signature.kind == kind]
            ours = [own for own in order.layers if own.signature.kind == kind]
            if [layer.signature for layer in theirs] == [own.signature for own in ours]:
                pairs |= _zipped(ours, theirs)
        if len(pairs) == len(layers):
            found.append(Pairing(pairs, order.title, "the order in the file, of each kind of layer by itself"))
    return found


def _zipped(ours: Sequence[OwnLayer], theirs: Sequence[FileLayer]) -> Pairs:
    return {own.path: layer for own, layer in zip(ours, theirs, strict=True)}


def distinct(pairings: Sequence[Pairing]) -> list[Pairing]:
    """``pairings`` without those that pair the same layers as one before."""
    kept: list[Pairing] = []
    for pairing in pairings:
        if all(pairing.pairs != other.pairs for other in kept):
            kept.append(pairing)
    return kept


def contradictions(pairs: Pairs, layers: Sequence[FileLayer], order: Order) -> list[tuple[FileLayer, FileLayer]]:
    """The pairs of layers of one shape whose names, or whose order in the file, say the opposite of ``pairs``.

    Names whose numbers say the opposite everywhere, or at random, carry no order and contradict nothing.

    Args:
        layers: the file's, in its order; empty where it has none.
    """
    paired = [(own, pairs[own.path]) for own in order.layers]
    split = {id(layer): numbers_of(layer.name) for _, layer in paired}
    place = {id(layer): i for i, layer in enumerate(layers)}
    by_names: list[tuple[FileLayer, FileLayer]] = []
    by_places: list[tuple[FileLayer, FileLayer]] = []
    compared = against = placed = misplaced = 0
    for i, (own, layer) in enumerate(paired):
        for other_own, other in paired[i + 1 :]:
            if not own.precedes(other_own) or layer.name == other.name:
                continue
            same = layer.signature == other.signature
            (words, numbers), (other_words, other_numbers) = split[id(layer)], split[id(other)]
            if words == other_words and numbers:
                compared += 1
                if numbers > other_numbers:
                    against += 1
                    if same:
                        by_names.append((layer, other))
            if place and layer.signature.kind == other.signature.kind:
                placed += 1
                if place[id(layer)] > place[id(other)]:
                    misplaced += 1
                    if same:
                        by_places.append((layer, other))
    told = by_names if against <= _NOISE * compared else []
    return told or (by_places if misplaced <= _NOISE * placed else [])


@dataclass
class _Node:
    """A part of the tree of names: a layer, a convolution with its normalisation, or chains of numbered parts."""

    layers: tuple[FileLayer, ...]
    chains: tuple[tuple["_Node", ...], ...]
    size: int


def by_names(layers: Sequence[FileLayer], orders: Sequence[Order]) -> list[Pairing]:
    """Every pairing in which the parts of the names are parts of the network, and numbered parts stand in order.

    Parts without numbers may stand in any order. At most two different pairings are given for each order.
    """
    found = []
    for paired in (True, False):
        root = _node(_components(layers, paired))
        for order in orders:
            signatures = [own.signature for own in order.layers]
            search = _Search(signatures)
            for placed in islice(search.place(root, 0), 2):
                pairs = {order.layers[i].path: layer for i, layer in enumerate(placed)}
                found.append(Pairing(pairs, order.title, "the parts and numbers of the names"))
        if found:
            break
    return found


Item = tuple[tuple[str, ...], tuple[FileLayer, ...]]


def _components(layers: Sequence[FileLayer], paired: bool) -> list[Item]:
    """Each layer, or convolution with the normalisation of the same name, with the components of its name."""
    items: list[Item] = []
    norms: dict[tuple[str, ...], list[FileLayer]] = {}
    for layer in layers:
        if layer.signature.kind == "norm":
            norms.setdefault(_stem(layer.name, _NORM_WORDS), []).append(layer)
    taken: set[int] = set()
    for layer in layers:
        if layer.signature.kind != "conv":
            continue
        group: tuple[FileLayer, ...] = (layer,)
        fits = [
            norm
            for key in {_stem(layer.name, ()), _stem(layer.name, _CONV_WORDS)}
            for norm in norms.get(key, ())
            if norm.signature.shape[0] == layer.signature.shape[0] and id(norm) not in taken
        ]
        if paired and len(fits) == 1:
            group = (layer, fits[0])
            taken.add(id(fits[0]))
        items.append((_split(layer.name), group))
    items += [(_split(norm.name), (norm,)) for norm in layers
              if norm.signature.kind == "norm" and id(norm) not in taken]  # fmt: skip
    return items


def _split(name: str) -> tuple[str, ...]:
    return tuple(name.replace("/", ".").split("."))


def _stem(name: str, words: Sequence[str]) -> tuple[str, ...]:
    """The components of ``name``, the last of them without ``words`` and what joins them to the rest."""
    *path, last = _split(name.lower())
    for word in words:
        if word in last:
            last = last.replace(word, "", 1)
            break
    return (*path, last.strip("_-"))


def _node(items: Sequence[Item], depth: int = 0) -> _Node:
    if len(items) == 1:
        return _Node(items[0][1], (), len(items[0][1]))
    children: dict[str, list[Item]] = {}
    for components, layers in items:
        children.setdefault(components[depth] if depth < len(components) else "", []).append((components, layers))
    if len(children) == 1 and any(depth >= len(components) for components, _ in items):  # two layers of one name
        parts = [_Node(layers, (), len(layers)) for _, layers in items]
        return _Node((), tuple((part,) for part in parts), sum(part.size for part in parts))
    chains: dict[str, list[tuple[tuple[int, ...], _Node]]] = {}
    for name, inside in children.items():
        words, numbers = numbers_of(name)
        chains.setdefault(words if numbers else f"={name}", []).append((numbers, _node(inside, depth + 1)))
    ordered = tuple(tuple(node for _, node in sorted(chain, key=lambda entry: entry[0])) for chain in chains.values())
    return _Node((), ordered, sum(node.size for chain in ordered for node in chain))


class _Search:
    """Lays a tree along a sequence of signatures; gives up after many steps."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self.signatures = signatures
        self.steps = 0
        self.known: dict[tuple[int, int], list[tuple[FileLayer, ...]]] = {}

    def place(self, node: _Node, at: int) -> Iterator[tuple[FileLayer, ...]]:
        """The layers of ``node`` in the orders in which they fit from ``at`` on; at most two."""
        key = (id(node), at)
        if key not in self.known:
            self.known[key] = list(islice(self._orders(node, at), 2))
        yield from self.known[key]

    def _orders(self, node: _Node, at: int) -> Iterator[tuple[FileLayer, ...]]:
        self.steps += 1
        if at + node.size > len(self.signatures) or self.steps > _MOST_STEPS:
            return
        if node.layers:
            if all(layer.signature == self.signatures[at + i] for i, layer in enumerate(node.layers)):
                yield node.layers
            return
        dead: set[tuple[int, ...]] = set()
        yield from self._merge(node, at, (0,) * len(node.chains), dead)

    def _merge(
        self, node: _Node, at: int, heads: tuple[int, ...], dead: set[tuple[int, ...]]
    ) -> Iterator[tuple[FileLayer, ...]]:
        if all(head == len(chain) for head, chain in zip(heads, node.chains, strict=True)):
            yield ()
            return
        if heads in dead:
            return
        alive = False
        for i, chain in enumerate(node.chains):
            if heads[i] == len(chain):
                continue
            child = chain[heads[i]]
            after = (*heads[:i], heads[i] + 1, *heads[i + 1 :])
            for placed in self.place(child, at):
                for rest in self._merge(node, at + child.size, after, dead):
                    alive = True
                    yield (*placed, *rest)
        if not alive:
            dead.add(heads)


def first_difference(layers: Sequence[FileLayer], order: Order) -> tuple[FileLayer | None, OwnLayer | None]:
    """The first layer of the file, and of the network, at which they part."""
    for i, own in enumerate(order.layers):
        if i >= len(layers) or layers[i].signature != own.signature:
            return (layers[i] if i < len(layers) else None), own
    return (layers[len(order.layers)] if len(layers) > len(order.layers) else None), None
