"""Our own names: the state_dict of a network as it is, with its configuration beside it."""

from collections.abc import Iterator

from torch import nn

from litevision.registry import ARCHITECTURES, DETECTORS
from litevision.weights.convert.layout import BATCH_COUNTS, LayerMapping, Layout


def every_layer(network: nn.Module) -> Iterator[LayerMapping]:
    """Each layer under its own path."""
    for path, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            yield LayerMapping(path, path)


LAYOUT = Layout(
    name="native",
    dialects=("torchvision", "timm", "timm_tf", "timm_rw", "keras", "slim", "tutorial", "nanodet"),
    mappings={row.family: every_layer for row in (*ARCHITECTURES.values(), *DETECTORS.values())},
    dropped=BATCH_COUNTS,
)
