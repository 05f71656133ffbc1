"""A network's layers in the orders in which implementations write them down."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from torch import nn

from litevision.models.blocks import InvertedResidual
from litevision.models.network import Network
from litevision.models.shufflenet_v2 import DownUnit
from litevision.weights.structure.layers import Signature


@dataclass(frozen=True)
class OwnLayer:
    """A layer of ours.

    Attributes:
        path: its path in the network.
        unit: the part of the backbone that holds it, counted.
        branch: of two that run side by side in the unit, the one that holds it.
        has_bias: whether a convolution has one.
        norm: of a convolution, the path of the normalisation behind it.
    """

    path: str
    signature: Signature
    unit: int
    branch: str
    has_bias: bool
    norm: str | None

    def precedes(self, other: "OwnLayer") -> bool:
        """Whether the network computes this layer before ``other``, given that it is written before it."""
        return self.unit != other.unit or self.branch == other.branch


class Order(NamedTuple):
    """One order of a backbone's layers, and what it is called; empty for the plain one."""

    title: str
    layers: tuple[OwnLayer, ...]


def orders_of(network: Network) -> tuple[Order, ...]:
    """Every order in which an implementation may write the layers of the backbone of ``network``.

    Only what runs side by side, and squeeze-and-excitation, which modules define before or after the rest, leave a
    choice, and an implementation makes it in the same way in every unit.
    """
    units = [_unit(f"features.{name}", part, i) for i, (name, part) in enumerate(network.features.named_children())]
    most = max(len(unit) for unit in units)
    made = []
    for choice in range(most):
        chosen = [unit[choice] if choice < len(unit) else unit[0] for unit in units]
        title = next((title for title, _ in chosen if title), "")
        made.append(Order(title, tuple(layer for _, layers in chosen for layer in layers)))
    return tuple(made)


def _unit(path: str, part: nn.Module, index: int) -> list[Order]:
    if isinstance(part, InvertedResidual):
        main = [
            layer for name in ("expand", "depthwise", "se", "project") for layer in _layers(path, part, name, index, "")
        ]
        shortcut = _layers(path, part, "shortcut", index, "shortcut")
        if shortcut:
            return [
                Order("the shortcut last", (*main, *shortcut)),
                Order("the shortcut first", (*shortcut, *main)),
                Order("by depth, the shortcut last", _by_depth(main, shortcut)),
                Order("by depth, the shortcut first", _by_depth(shortcut, main)),
            ]
        if not isinstance(part.se, nn.Identity):
            gate = _layers(path, part, "se", index, "")
            rest = [layer for layer in main if layer not in gate]
            return [
                Order("", tuple(main)),
                Order("squeeze-and-excite after the rest", (*rest, *gate)),
                Order("squeeze-and-excite before the rest", (*gate, *rest)),
            ]
        return [Order("", tuple(main))]
    if isinstance(part, DownUnit):
        side, main = (_layers(path, part, name, index, name) for name in ("side", "main"))
        # Keras lists the branch first that is concatenated first.
        by_depth = _by_depth(main, side) if part.processed_first else _by_depth(side, main)
        return [
            Order("the side branch first", (*side, *main)),
            Order("the side branch last", (*main, *side)),
            Order("both branches by depth", by_depth),
        ]
    return [Order("", tuple(_found(path, part, index, "")))]


def _by_depth(first: Sequence[OwnLayer], second: Sequence[OwnLayer]) -> tuple[OwnLayer, ...]:
    """Two branches as Keras lists layers: by their depth from the end."""
    pairs = zip_longest(reversed(first), reversed(second))
    return tuple(layer for pair in reversed(list(pairs)) for layer in pair if layer is not None)


def _layers(path: str, part: nn.Module, name: str, unit: int, branch: str) -> list[OwnLayer]:
    return _found(f"{path}.{name}", part.get_submodule(name), unit, branch)


def _found(path: str, part: nn.Module, unit: int, branch: str) -> list[OwnLayer]:
    """The layers in ``part``, each convolution with the normalisation that follows it."""
    found: list[OwnLayer] = []
    modules = dict(part.named_modules(prefix=path))
    for name, module in modules.items():
        if isinstance(module, nn.Conv2d | nn.Linear):
            norm = f"{name.removesuffix('conv')}norm" if name.endswith("conv") else None
            has_norm = norm is not None and isinstance(modules.get(norm), nn.BatchNorm2d)
            shape = (*module.weight.shape, 1, 1)[:4]
            signature = Signature("conv", shape)
            found.append(OwnLayer(name, signature, unit, branch, module.bias is not None, norm if has_norm else None))
        elif isinstance(module, nn.BatchNorm2d):
            found.append(OwnLayer(name, Signature("norm", (module.num_features,)), unit, branch, False, None))
    return found
