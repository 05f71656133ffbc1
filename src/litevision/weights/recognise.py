"""Which network and whose layout a file of tensors is, told from its names and shapes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from torch import Tensor

from litevision.models.config import NetworkConfig
from litevision.models.factory import build
from litevision.models.network import Network
from litevision.registry import ALIASES, ARCHITECTURES, Variant
from litevision.weights.convert import LAYOUTS, Layout
from litevision.weights.convert.apply import CLASSIFIER
from litevision.weights.convert.layout import Leaf, Tensors, leaves, to_ours
from litevision.weights.files import Container, StoredWeights

WIDTHS = (1.0, 0.75, 0.5, 0.35, 0.25, 1.25, 1.3, 1.4)  # those with published weights
LAYOUTS_OF: dict[Container, tuple[str, ...]] = {
    "torch": ("torchvision", "timm", "megvii", "litevision"),
    "safetensors": ("torchvision", "timm", "megvii", "litevision"),
    "hdf5": ("keras",),
    "tensorflow": ("slim",),
}


@dataclass(frozen=True)
class Recognised:
    """A file's layout, and the network that it fills."""

    layout: Layout
    config: NetworkConfig


@dataclass(frozen=True)
class _Candidate:
    layout: Layout
    variant: Variant
    network: Network
    leaves: tuple[Leaf, ...]


def recognise(
    stored: StoredWeights,
    *,
    architecture: str | None = None,
    dialect: str | None = None,
    width_mult: float | None = None,
) -> Recognised | None:
    """The layout and network of a file, or None where no network of the package has these tensors.

    Where two dialects store the same names and shapes (timm's V3 and its ``tf_`` forms), the commoner one is meant:
    pass ``dialect`` for the other.

    Args:
        architecture, dialect: leaves only these in question.
        width_mult: the width, where it is none of those with published weights.
    """
    for layout_name in LAYOUTS_OF[stored.container]:
        for candidate in _candidates(layout_name):
            variant = candidate.variant
            if architecture not in (None, variant.architecture) or dialect not in (None, variant.dialect):
                continue
            if not _names_fit(candidate, stored.tensors):
                continue
            for config in _widths(candidate, width_mult):
                found = _fit(candidate, config, stored.tensors)
                if found is not None:
                    return Recognised(LAYOUTS[layout_name], found)
    return None


@cache
def _candidates(layout_name: str) -> tuple[_Candidate, ...]:
    return tuple(_every_candidate(LAYOUTS[layout_name]))


def _every_candidate(layout: Layout) -> Iterator[_Candidate]:
    deeper = [variant for variant in ALIASES.values() if variant.options]
    plain = [Variant(name, dialect) for name, row in ARCHITECTURES.items() for dialect in row.dialects]
    # The layout's order of dialects says which of two equal forms is the likelier.
    for dialect in layout.dialects:
        for variant in (*plain, *deeper):
            if variant.dialect != dialect or ARCHITECTURES[variant.architecture].family not in layout.pairs:
                continue
            network = build(_config(variant), device="meta")
            yield _Candidate(layout, variant, network, tuple(leaves(network, layout)))


def _config(variant: Variant) -> NetworkConfig:
    return NetworkConfig(variant.architecture, variant.dialect, variant.width_mult, options=variant.options)


def _names_fit(candidate: _Candidate, tensors: Mapping[str, Tensor]) -> bool:
    """Whether every stored name is the candidate's, and its first half of the trunk is there."""
    known = {name for leaf in candidate.leaves for name in leaf.theirs}
    dropped = tuple(candidate.layout.dropped or {})
    if any(name not in known and not name.endswith(dropped or "\0") for name in tensors):
        return False
    trunk = [leaf for leaf in candidate.leaves if leaf.ours.startswith("features.")]
    return all(any(name in tensors for name in leaf.theirs) for leaf in trunk[: len(trunk) // 2])


def _widths(candidate: _Candidate, width_mult: float | None) -> Iterator[NetworkConfig]:
    config = _config(candidate.variant)
    if candidate.variant.options:
        yield config
        return
    for width in WIDTHS if width_mult is None else (width_mult,):
        yield replace(config, width_mult=width)


def _fit(candidate: _Candidate, config: NetworkConfig, tensors: Tensors) -> NetworkConfig | None:
    """``config`` with the classes and the end that the file has, if the shapes are right."""
    shapes = {name: tensor.shape for name, tensor in build(config, device="meta").state_dict().items()}
    present: set[str] = set()
    classes = 0
    for leaf in candidate.leaves:
        name = next((name for name in leaf.theirs if name in tensors), None)
        if name is None:
            continue
        present.add(leaf.ours)
        shape = to_ours(tensors[name], leaf.kind, candidate.layout).shape
        if leaf.ours.startswith(CLASSIFIER):
            classes = shape[0]
            shape = shape[1:]
            if shape != shapes[leaf.ours][1:]:
                return None
        elif shape != shapes[leaf.ours]:
            return None
    if candidate.layout.background_class and classes:
        classes -= 1
    absent = [leaf.ours for leaf in candidate.leaves if leaf.ours not in present]
    if all(name.startswith(CLASSIFIER) for name in absent):
        return replace(config, num_classes=classes)
    return replace(config, final_endpoint=_last_complete(candidate.network, absent))


def _last_complete(network: Network, absent: list[str]) -> str:
    """The last endpoint before the first one that lacks a tensor."""
    last = network.endpoints[0].name
    for end in network.endpoints:
        if any(name.startswith(f"features.{end.name}.") for name in absent):
            break
        last = end.name
    return last
