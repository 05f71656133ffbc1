"""Fills a network from stored tensors, and turns it back into them. Nothing is left over in silence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from litevision.errors import WeightsMismatchError
from litevision.models.factory import build
from litevision.models.network import Network
from litevision.weights.convert.layout import Layout, Leaf, Tensors, leaves, to_ours, to_theirs

CLASSIFIER = "head.classifier"
_SHOWN = 3  # how many misfits a message names


@dataclass(frozen=True)
class Applied:
    """What happened to a file's tensors.

    Attributes:
        dropped: stored tensors that the network did not take, with the reason.
        reset: our tensors that were left freshly initialised, because that was asked for.
        background_dropped: whether class 0 of a 1001-class head was left out.
    """

    dropped: dict[str, str]
    reset: tuple[str, ...]
    background_dropped: bool


def apply(
    network: Network,
    tensors: Mapping[str, Tensor],
    layout: Layout,
    *,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
) -> Applied:
    """Fills ``network`` in place from a file's ``tensors``.

    A network without classes, or one that stops at an endpoint, takes the part of the file that it has.

    Args:
        reset_classifier: keeps the network's fresh classifier where the file's has another number of classes.
        drop_background: leaves class 0 out of a head that has one class more than the network; by default where the
            layout is known to have a background class.

    Raises:
        WeightsMismatchError: a tensor is missing, unknown, or of another shape; it names the first few.
    """
    whole = whole_network(network)
    stored = layout.prepare(whole, dict(tensors)) if layout.prepare else dict(tensors)
    wanted = network.state_dict()
    left = set(stored)
    state: Tensors = {}
    dropped: dict[str, str] = {}
    missing: list[str] = []
    for leaf in leaves(whole, layout):
        name = next((name for name in leaf.theirs if name in stored), None)
        if name is not None:
            left.discard(name)
        if leaf.ours not in wanted:
            if name is not None:
                dropped[name] = "the network ends before it"
        elif name is None:
            missing.append(f"{leaf.theirs[0]} {tuple(wanted[leaf.ours].shape)}")
        else:
            state[leaf.ours] = to_ours(stored[name], leaf.kind, layout)
    for name in sorted(left):
        reason = _drop_reason(name, layout)
        if reason:
            dropped[name] = reason
    unknown = [f"{name} {tuple(stored[name].shape)}" for name in sorted(left - dropped.keys())]
    if missing or unknown:
        raise WeightsMismatchError(_misfit_message(network, layout, missing, unknown))

    background_dropped = _drop_background(state, wanted, layout.background_class, drop_background)
    reset = _reset_classifier(state, wanted) if reset_classifier else ()
    _require_shapes(network, state, wanted)
    with torch.no_grad():
        for name, tensor in state.items():
            wanted[name].copy_(tensor)
    return Applied(dropped, reset, background_dropped)


def extract(network: Network, layout: Layout) -> Tensors:
    """The tensors of ``network`` under the layout's names, in its order; the inverse of ``apply``."""
    state = network.state_dict()
    whole = whole_network(network)
    present: list[Leaf] = [leaf for leaf in leaves(whole, layout) if leaf.ours in state]
    tensors = {leaf.theirs[0]: to_theirs(state[leaf.ours].detach().cpu(), leaf.kind, layout) for leaf in present}
    return layout.restore(whole, tensors) if layout.restore else tensors


def whole_network(network: Network) -> Network:
    """The network that ``network`` is a part of, with a head, on the meta device."""
    config = network.config
    classes = config.num_classes or 1000
    return build(replace(config, final_endpoint=None, num_classes=classes), device="meta")


def _drop_reason(name: str, layout: Layout) -> str | None:
    return next((why for end, why in (layout.dropped or {}).items() if name.endswith(end)), None)


def _misfit_message(network: Network, layout: Layout, missing: Sequence[str], unknown: Sequence[str]) -> str:
    parts = [f"these are not {layout.name} weights of {_described(network)}"]
    if missing:
        parts.append(f"{len(missing)} tensors are missing: {_first(missing)}")
    if unknown:
        parts.append(f"{len(unknown)} are unknown: {_first(unknown)}")
    return "; ".join(parts) + ". Name the network that the file belongs to, or let it be recognised"


def _described(network: Network) -> str:
    config = network.config
    return f"{config.architecture} (dialect {config.dialect}, width {config.width_mult:g})"


def _first(items: Sequence[str]) -> str:
    return ", ".join(items[:_SHOWN]) + (", ..." if len(items) > _SHOWN else "")


def _drop_background(state: Tensors, wanted: Mapping[str, Tensor], known: bool, asked: bool | None) -> bool:
    names = [name for name in state if name.startswith(CLASSIFIER)]
    if not (known if asked is None else asked) or not names:
        return False
    if any(state[name].shape[0] != wanted[name].shape[0] + 1 for name in names):
        return False
    for name in names:
        state[name] = state[name][1:]
    return True


def _reset_classifier(state: Tensors, wanted: Mapping[str, Tensor]) -> tuple[str, ...]:
    reset = [n for n in state if n.startswith(CLASSIFIER) and state[n].shape != wanted[n].shape]
    # Weight and bias go together: half of an old classifier is of no use.
    names = tuple(n for n in state if n.startswith(CLASSIFIER)) if reset else ()
    for name in names:
        del state[name]
    return names


def _require_shapes(network: Network, state: Tensors, wanted: Mapping[str, Tensor]) -> None:
    wrong = [name for name, tensor in state.items() if tensor.shape != wanted[name].shape]
    if not wrong:
        return
    shown = [f"{n}: file {tuple(state[n].shape)}, network {tuple(wanted[n].shape)}" for n in wrong]
    if all(name.startswith(CLASSIFIER) for name in wrong):
        ours, theirs = wanted[wrong[0]].shape[0], state[wrong[0]].shape[0]
        hint = f"The file has {theirs} classes, the network {ours}: ask for a fresh classifier (reset_classifier)"
        if theirs == ours + 1:
            hint += ", or leave out the file's class 0 if it is the background (drop_background)"
    else:
        hint = "Is it another width or network?"
    raise WeightsMismatchError(f"shapes do not fit {_described(network)}: {_first(shown)}. {hint}")
