"""Our own names: the state_dict of a network as it is, with its configuration beside it."""

from collections.abc import Iterator

from torch import nn

from litevision.models.network import Network
from litevision.registry import ARCHITECTURES
from litevision.weights.convert.layout import Layout, Pair


def every_layer(network: Network) -> Iterator[Pair]:
    """Each layer under its own path."""
    for path, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            yield Pair(path, path)


OWN = Layout(
    name="litevision",
    dialects=("torchvision", "timm", "timm_tf", "keras", "slim", "tutorial"),
    pairs={row.family: every_layer for row in ARCHITECTURES.values()},
    dropped={"num_batches_tracked": "counts batches; nothing reads it"},
)
