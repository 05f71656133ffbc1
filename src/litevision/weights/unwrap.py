"""Find the network inside a file: a prefix that all names have, what lies beside it, and a head of another name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from torch import Tensor

from litevision.errors import WeightsError
from litevision.models.network import Network
from litevision.weights.convert.apply import CLASSIFIER, HEAD, Match, match
from litevision.weights.convert.layout import Layout, TensorMapping, Tensors, to_layout, to_native
from litevision.weights.detect_layout import DetectedLayout, detect_layout, whole_of
from litevision.weights.layouts import layout_named
from litevision.weights.read import StoredWeights
from litevision.weights.structure.match import Matched, match_structure
from litevision.weights.writers import CONFIG_KEY

_LEAST_SHARE = 0.4  # of the tensors, that share a prefix: the network's, beside whatever else a script keeps
_MOST_PREFIXES = 8
# What counting tools add to a module and its state_dict: thop.
_LEFTOVERS = ("total_ops", "total_params")
_SHOWN = 3
_FEW = 3  # tensors that do not fit a known layout: it is that layout all the same


class _Mended(NamedTuple):
    tensors: Tensors
    left_out: list[str]
    notes: list[str]


def unwrapped(stored: StoredWeights, request: Mapping[str, Any]) -> StoredWeights:
    """Give the tensors of a known network their names at its origin, and say what was left out.

    A file whose names fit as they are stays as it is, and so does one in which no network is found.

    Args:
        request: the network that was asked for, as `detect_layout` takes it; None for what was not said.
    """
    if CONFIG_KEY in stored.metadata:
        return stored
    stored = _without_leftovers(stored)
    if _fit(stored, request):
        return stored
    prefixes = ("", *_prefixes(stored.tensors))
    for prefix in prefixes:
        found = _inside(stored, prefix, request)
        if found is not None:
            return found
    try:
        known = detect_layout(stored)
    except WeightsError:  # our own names, of several dialects
        return stored
    if known is not None and known.mismatches <= _FEW:
        return stored  # another network than the one asked for, or a damaged file: whoever reads it says which
    return _by_structure(stored, prefixes, request)


def _by_structure(stored: StoredWeights, prefixes: Sequence[str], request: Mapping[str, Any]) -> StoredWeights:
    """``stored`` with the map of the network that its layers are; where there is none, with the reason."""
    reason = ""
    for prefix in prefixes:
        inner = {name: tensor for name, tensor in stored.tensors.items() if name.startswith(prefix)}
        found = match_structure(inner, stored.container, request)
        if isinstance(found, Matched):
            beside = _left_out([name for name in stored.tensors if name not in inner])
            return replace(stored, tensors=inner, map=found.map, notes=(*stored.notes, *beside, *found.notes))
        reason = reason or found.reason
    return replace(stored, nearest=reason)


def _left_out(beside: Sequence[str]) -> list[str]:
    if not beside:
        return []
    shown = ", ".join(beside[:_SHOWN]) + (", ..." if len(beside) > _SHOWN else "")
    return [f"{len(beside)} tensors beside the network were left out: {shown}"]


def _without_leftovers(stored: StoredWeights) -> StoredWeights:
    kept = {name: tensor for name, tensor in stored.tensors.items() if not name.endswith(_LEFTOVERS)}
    return stored if len(kept) == len(stored.tensors) else replace(stored, tensors=kept)


def _nearest(stored: StoredWeights, request: Mapping[str, Any]) -> DetectedLayout | None:
    try:
        return detect_layout(stored, **request, likely_dialect=request["dialect"])
    except WeightsError:
        return None


def _fit(stored: StoredWeights, request: Mapping[str, Any]) -> bool:
    found = _nearest(stored, request)
    return found is not None and found.mismatches == 0


def _prefixes(tensors: Mapping[str, object]) -> list[str]:
    """What many names begin with, the longest first."""
    counts = Counter[str]()
    for name in tensors:
        for i, character in enumerate(name):
            if character in "./":
                counts[name[: i + 1]] += 1
    common = [prefix for prefix, count in counts.items() if count >= max(4, _LEAST_SHARE * len(tensors))]
    return sorted(common, key=len)[:_MOST_PREFIXES]


def _inside(stored: StoredWeights, prefix: str, request: Mapping[str, Any]) -> StoredWeights | None:
    """What ``stored`` holds under ``prefix``, where that is a network, with what lies beside it left out."""
    inner = {name[len(prefix) :]: tensor for name, tensor in stored.tensors.items() if name.startswith(prefix)}
    candidate = replace(stored, tensors=inner)
    nearest = _nearest(candidate, request)
    if nearest is None:
        return None
    notes = [f"the names begin with {prefix!r}, which was cut off"] if prefix else []
    beside = [name for name in stored.tensors if not name.startswith(prefix)]
    if nearest.mismatches:
        mended = _mended(inner, {name: stored.tensors[name] for name in beside}, nearest)
        if mended is None:
            return None
        candidate = replace(candidate, tensors=mended.tensors)
        if not _fit(candidate, request):
            return None
        beside = mended.left_out
        notes += mended.notes
    return replace(candidate, notes=(*stored.notes, *notes, *_left_out(beside)))


def _mended(tensors: Tensors, beside: Tensors, nearest: DetectedLayout) -> _Mended | None:
    """The network's tensors with the classifier under its own name; None where the backbone itself does not fit."""
    layout = layout_named(nearest.layout)
    network, wanted = whole_of(nearest)
    matched = match(wanted, tensors, layout)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    of_head = {mapping: name for mapping, name in matched.found.items() if mapping.ours.startswith(HEAD)}
    backbone = {mapping: name for mapping, name in matched.found.items() if mapping not in of_head}
    if any(not mapping.ours.startswith(HEAD) for mapping in matched.missing) or any(
        to_native(tensors[name], mapping.kind, layout).shape != shapes[mapping.ours]
        for mapping, name in backbone.items()
    ):
        return None
    kept = {name: tensors[name] for name in (*backbone.values(), *matched.dropped)}
    loose = {name: tensor for name, tensor in tensors.items() if name not in kept}
    if layout.separator == ".":  # Keras' layers lie side by side: a head's are not told by where they are
        places = {name.partition(".")[0] for name in backbone.values()}
        if any(name.partition(".")[0] in places for name in loose.keys() - set(of_head.values())):
            return None  # another network's, which has more parts than this one
    if _is_whole(of_head, matched, tensors, shapes, layout):
        kept |= {name: tensors[name] for name in of_head.values()}
        return _Mended(kept, sorted((loose.keys() | beside.keys()) - kept.keys()), [])
    if _is_damaged(of_head, matched, tensors):
        return None
    head = loose | beside
    found = _classifier(head, network, layout)
    dense = [name for name, tensor in head.items() if tensor.dim() >= 2]
    if found is None and dense:
        shown = ", ".join(f"{name} {tuple(head[name].shape)}" for name in dense[:_SHOWN])
        note = (
            f"the head ({shown}) is no single dense layer on the features, and was left out: the backbone alone is read"
        )
        return _Mended(kept, sorted(head), [note])
    if found is None:
        return _Mended(kept, sorted(head), [])
    ours = {mapping.ours: mapping for mapping in wanted}
    weight_row, bias_row = ours[f"{CLASSIFIER}weight"], ours[f"{CLASSIFIER}bias"]
    classes_by_features = found.weight if layout.separator == "." else found.weight.T
    kept[weight_row.theirs[0]] = to_layout(classes_by_features.contiguous(), weight_row.kind, layout)
    kept[bias_row.theirs[0]] = found.bias
    return _Mended(kept, sorted(head.keys() - set(found.names)), [f"the classifier is {found.title!r}"])


class _Classifier(NamedTuple):
    title: str
    names: tuple[str, ...]
    weight: Tensor
    bias: Tensor


def _is_whole(
    of_head: Mapping[TensorMapping, str],
    matched: Match,
    tensors: Tensors,
    shapes: Mapping[str, Sequence[int]],
    layout: Layout,
) -> bool:
    """Whether the head is there under its own names, with whatever number of classes."""
    if any(mapping.ours.startswith(HEAD) for mapping in matched.missing):
        return False
    for mapping, name in of_head.items():
        shape, wanted = to_native(tensors[name], mapping.kind, layout).shape, shapes[mapping.ours]
        skipped = 1 if mapping.ours.startswith(CLASSIFIER) else 0
        if len(shape) != len(wanted) or shape[skipped:] != wanted[skipped:]:
            return False
    return True


def _is_damaged(of_head: Mapping[TensorMapping, str], matched: Match, tensors: Tensors) -> bool:
    """Whether the head's own names are all there, and a weight does not go with its bias: that is no other head."""
    if any(mapping.ours.startswith(HEAD) for mapping in matched.missing) or not of_head:
        return False
    shapes = {mapping.ours: tensors[name].shape for mapping, name in of_head.items()}
    biases = {ours: shape for ours, shape in shapes.items() if ours.endswith(".bias")}
    return any(
        len(shape) != 1 or shape[0] not in shapes.get(ours.removesuffix("bias") + "weight", ())
        for ours, shape in biases.items()
    )


def _classifier(head: Tensors, network: Network, layout: Layout) -> _Classifier | None:
    """The one dense layer in what is left over; None where there is none, or another layer beside it."""
    weights = [name for name, tensor in head.items() if tensor.dim() >= 2]
    widths = {network.num_features, network.endpoints[-1].channels}
    if len(weights) != 1:
        return None
    (name,) = weights
    weight = head[name]
    if weight.dim() == 4:  # a 1x1 convolution
        is_keras = layout.separator == "/"
        if tuple(weight.shape[:2] if is_keras else weight.shape[2:]) != (1, 1):
            return None
        weight = weight[0, 0] if is_keras else weight[:, :, 0, 0]
    if weight.dim() != 2 or not weight.is_floating_point():
        return None
    features, classes = weight.shape if layout.separator == "/" else weight.shape[::-1]
    if features not in widths or not classes:
        return None
    if any(part in other for other in head for part in ("running_var", "moving_variance")):
        return None
    stem = name.rpartition(layout.separator)[0]
    biases = [other for other in head if other != name and other.rpartition(layout.separator)[0] == stem]
    if len(biases) > 1 or any(tuple(head[other].shape) != (classes,) for other in biases):
        return None
    bias = head[biases[0]] if biases else weight.new_zeros(classes)
    return _Classifier(stem or name, (name, *biases), weight, bias)
