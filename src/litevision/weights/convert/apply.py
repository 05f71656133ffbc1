"""Fills a network from stored tensors, and turns it back into them. Nothing is left over in silence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from litevision.errors import WeightsMismatchError
from litevision.models.config import RGB, NetworkConfig
from litevision.models.factory import build
from litevision.models.nanodet import NanoDet
from litevision.models.network import FeaturePyramid, Network
from litevision.weights.convert.layout import Layout, TensorMapping, Tensors, tensor_mappings, to_layout, to_native

HEAD = "head."
CLASSIFIER = "head.classifier."
BACKGROUND_CLASSES = 1001  # ImageNet's, with TensorFlow's class 0, "background", before them
_NO_ADVICE = "Is it another network or width, or a damaged file?"
_SHOWN = 3  # how many mismatches a message names


@dataclass(frozen=True)
class Applied:
    """What happened to a file's tensors.

    Attributes:
        dropped: stored tensors that the network did not take, with the reason.
        reset: our tensors that stay randomly initialised, as requested.
        background_dropped: whether class 0 of the file's head was left out.
    """

    dropped: dict[str, str]
    reset: tuple[str, ...]
    background_dropped: bool


@dataclass(frozen=True)
class Match:
    """Which stored tensor each tensor of a network is.

    Attributes:
        found: each of the network's tensors that the file has, with its name there.
        missing: those that it lacks.
        unknown: the stored tensors that the network has no place for.
        dropped: those that the layout knows to carry nothing, with the reason.
    """

    found: dict[TensorMapping, str]
    missing: list[TensorMapping]
    unknown: list[str]
    dropped: dict[str, str]


def match(wanted: Iterable[TensorMapping], stored: Iterable[str], layout: Layout) -> Match:
    """Matches the tensors ``wanted`` by a network with the names in a file."""
    left = set(stored)
    found: dict[TensorMapping, str] = {}
    missing: list[TensorMapping] = []
    for mapping in wanted:
        name = next((name for name in mapping.theirs if name in left), None)
        if name is None:
            missing.append(mapping)
        else:
            found[mapping] = name
            left.remove(name)
    endings = (layout.dropped or {}).items()
    dropped = {name: why for name in sorted(left) for end, why in endings if name.endswith(end)}
    return Match(found, missing, sorted(left - dropped.keys()), dropped)


def apply(
    network: Network | FeaturePyramid,
    tensors: Mapping[str, Tensor],
    layout: Layout,
    *,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
) -> Applied:
    """Fills ``network`` in place from a file's ``tensors``.

    A network without classes, or one that stops at an endpoint, takes the part of the file that it has.

    Args:
        reset_classifier: leaves the network's classifier randomly initialised where the file's has another number of
            classes, and its head where the file has none.
        drop_background: leaves out class 0 of the file's head; by default where the layout is known to have a
            background class and the head has 1001 classes for the network's 1000.

    Raises:
        WeightsMismatchError: a tensor is missing, unknown, or of another shape; it names the first few.
    """
    whole = whole_network(network)
    stored = layout.prepare(whole, dict(tensors)) if layout.prepare else dict(tensors)
    matched = match(tensor_mappings(whole, layout), stored, layout)
    wanted = network.state_dict()
    state = {mapping.ours: to_native(stored[name], mapping.kind, layout) for mapping, name in matched.found.items()}
    dropped = matched.dropped | {
        name: "the network ends before it" for mapping, name in matched.found.items() if mapping.ours not in wanted
    }
    state = {name: tensor for name, tensor in state.items() if name in wanted}
    missing = [mapping for mapping in matched.missing if mapping.ours in wanted]
    stem = stem_of(whole)
    if stem in state:
        state[stem] = for_channels(state[stem], network.config.in_channels)

    background_dropped = _drop_background(state, wanted, layout.background_class, drop_background)
    reset: tuple[str, ...] = ()
    if reset_classifier:
        reset = _to_reset(state, wanted, missing)
        state = {name: tensor for name, tensor in state.items() if name not in reset}
        missing = [mapping for mapping in missing if mapping.ours not in reset]
    wrong = [name for name, tensor in state.items() if not _fits(tensor, wanted[name])]
    if missing or matched.unknown or wrong:
        theirs = {mapping.ours: name for mapping, name in matched.found.items()}
        listed = (
            _listed("missing", [f"{mapping.theirs[0]} {tuple(wanted[mapping.ours].shape)}" for mapping in missing]),
            _listed("unknown", [f"{name} {tuple(stored[name].shape)}" for name in matched.unknown]),
            _listed("of another shape", [_shapes(theirs[name], state[name], wanted[name]) for name in wrong]),
        )
        advice = None if matched.unknown else _advice_on_head(state, wanted, missing, wrong)
        raise WeightsMismatchError(
            f"these are not {layout.name} weights of {described(network.config)}: "
            f"{'; '.join(filter(None, listed))}. {advice or _NO_ADVICE}"
        )
    with torch.no_grad():
        for name, tensor in state.items():
            wanted[name].copy_(tensor)
    return Applied(dropped, reset, background_dropped)


def stem_of(network: Network) -> str:
    """The name of the kernel that sees the image."""
    return f"features.{network.endpoints[0].name}.conv.weight"


def for_channels(kernel: Tensor, in_channels: int) -> Tensor:
    """A stem's kernel for RGB as one for another number of input channels, such as 1 for grey images.

    One channel takes the sum over RGB, so that a grey image is answered as it was with three equal channels. More take
    turns at the three kernels, scaled so that equal channels give what they gave. Source: timm ``adapt_input_conv``.
    """
    if kernel.dim() != 4 or kernel.shape[1] != RGB or in_channels == RGB:
        return kernel
    if in_channels == 1:
        return kernel.sum(1, keepdim=True, dtype=torch.promote_types(kernel.dtype, torch.float32))
    turns = torch.arange(in_channels) % RGB
    return kernel[:, turns] * (RGB / in_channels)


def extract(network: Network | NanoDet, layout: Layout) -> Tensors:
    """The tensors of ``network`` under the layout's names, in its order; the inverse of ``apply``."""
    state = network.state_dict()
    whole = network if isinstance(network, NanoDet) else whole_network(network)
    present: list[TensorMapping] = [mapping for mapping in tensor_mappings(whole, layout) if mapping.ours in state]
    tensors = {
        mapping.theirs[0]: to_layout(state[mapping.ours].detach().cpu(), mapping.kind, layout, mapping.multiplier)
        for mapping in present
    }
    return layout.restore(whole, tensors) if layout.restore else tensors


def whole_network(network: Network | FeaturePyramid) -> Network:
    """``network``, or the one with a head that it is a part of, on the meta device: whose layers a layout names."""
    config = network.config
    if isinstance(network, Network) and config.num_classes and config.final_endpoint is None:
        return network
    options = dict(config.options)
    if not config.num_classes and options.get("hidden_channels") == 0:
        del options["hidden_channels"]  # it ends at the pool: a file may go on with the layer behind
    whole = replace(config, final_endpoint=None, num_classes=config.num_classes or 1000, options=options)
    return build(whole, device="meta")


def described(config: NetworkConfig) -> str:
    """A network in the words of a message."""
    return f"{config.architecture} (dialect {config.dialect}, width {config.width_mult:g})"


def _fits(tensor: Tensor, wanted: Tensor) -> bool:
    return tensor.shape == wanted.shape and tensor.is_floating_point()


def _shapes(name: str, tensor: Tensor, wanted: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" of {str(tensor.dtype).removeprefix('torch.')}"
    return f"{name} (file {tuple(tensor.shape)}{kind}, network {tuple(wanted.shape)})"


def _listed(kind: str, mismatches: Sequence[str]) -> str:
    if not mismatches:
        return ""
    return f"{len(mismatches)} {kind}: {', '.join(mismatches[:_SHOWN])}{', ...' if len(mismatches) > _SHOWN else ''}"


def _advice_on_head(
    state: Tensors, wanted: Mapping[str, Tensor], missing: Sequence[TensorMapping], wrong: Sequence[str]
) -> str | None:
    """What to do where the file has no head, or one of another size; None where that is not all."""
    if missing and not wrong and all(mapping.ours.startswith(HEAD) for mapping in missing):
        if any(name.startswith(HEAD) for name in state):
            return None
        return "The file has no classifier: ask for a new one (reset_classifier), or for none (num_classes 0)"
    if missing or any(not n.startswith(CLASSIFIER) or state[n].shape[1:] != wanted[n].shape[1:] for n in wrong):
        return None
    theirs, ours = state[wrong[0]].shape[:1], wanted[wrong[0]].shape[:1]
    if not theirs or theirs == ours:
        return None
    advice = f"The file has {theirs[0]} classes, the network {ours[0]}: ask for a new classifier (reset_classifier)"
    if theirs[0] == ours[0] + 1:
        advice += ", or leave out the file's class 0 if it is the background (drop_background)"
    return advice


def _drop_background(state: Tensors, wanted: Mapping[str, Tensor], known: bool, asked: bool | None) -> bool:
    names = [name for name in state if name.startswith(CLASSIFIER) and state[name].dim() > 0]
    if asked is None:
        asked = known and all(len(state[n]) == BACKGROUND_CLASSES == len(wanted[n]) + 1 for n in names)
    if asked:
        state.update({name: state[name][1:] for name in names})
    return asked and bool(names)


def _to_reset(state: Tensors, wanted: Mapping[str, Tensor], missing: Sequence[TensorMapping]) -> tuple[str, ...]:
    """The head where the file has none; its classifier, weight and bias together, where one has another shape."""
    if not any(name.startswith(HEAD) for name in state):
        return tuple(mapping.ours for mapping in missing if mapping.ours.startswith(HEAD))
    names = tuple(name for name in wanted if name.startswith(CLASSIFIER))
    lacking = {mapping.ours for mapping in missing}
    return names if any(n in lacking or state[n].shape != wanted[n].shape for n in names) else ()
