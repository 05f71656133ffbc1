"""What the tests of weights share: small random networks, and files' contents in memory."""

from typing import Any

import torch

from litevision.models import Network, build, configure
from litevision.weights.convert import extract
from litevision.weights.convert.apply import whole_network
from litevision.weights.convert.layout import tensor_mappings, to_layout
from litevision.weights.layouts import Container, layout_named, layout_row
from litevision.weights.read import StoredWeights


def network(name: str = "mobilenet_v1", *, seed: int = 0, **arguments: Any) -> Network:
    """A network whose every tensor, BN statistics included, is random; V1 at width 0.25 is the smallest."""
    made = build(configure(name, **arguments)).eval()
    generator = torch.Generator().manual_seed(seed)
    for tensor in made.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return made


def container(layout: str) -> Container:
    """A kind of file that holds ``layout``."""
    return layout_row(layout).containers[0]


def stored(made: Network, layout: str) -> StoredWeights:
    """What a file of ``made`` in ``layout`` holds."""
    return StoredWeights(extract(made, layout_named(layout)), container(layout))


def shapes_only(made: Network, layout: str) -> StoredWeights:
    """The same of a network on the meta device: names and shapes, and values that nobody set."""
    state = made.state_dict()
    present = [leaf for leaf in tensor_mappings(whole_network(made), layout_named(layout)) if leaf.ours in state]
    tensors = {
        leaf.theirs[0]: to_layout(torch.empty(state[leaf.ours].shape), leaf.kind, layout_named(layout))
        for leaf in present
    }
    return StoredWeights(tensors, container(layout))


def assert_same_weights(got: Network, expected: Network, *, but: tuple[str, ...] = ()) -> None:
    """Both have the same tensors, bit by bit, except those whose names start with one of ``but``."""
    ours, theirs = got.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys()
    differing = [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])]
    assert [name for name in differing if not name.startswith(but or "\0")] == []
