"""Every network of the package, with weights that follow from the names of its layers alone."""

import functools
import zlib

import pytest
import torch
from torch import Tensor, nn

from litevision.models import Network, build, configure
from litevision.models.dla import Level
from litevision.models.mobilenet_v1 import Conv, DepthSepConv
from litevision.models.mobilenet_v2 import Stage as V2Stage
from litevision.models.mobilenet_v3 import Bneck
from litevision.models.mobilenet_v4 import Conv as V4Conv
from litevision.models.mobilenet_v4 import FusedBottleneck, UniversalBottleneck
from litevision.models.shufflenet_v2 import Stage as ShuffleStage
from litevision.registry import ARCHITECTURES
from originals import randomise

NETWORKS = tuple((row.name, dialect) for row in ARCHITECTURES.values() for dialect in row.dialects)

SHORT_ROWS = {
    "mobilenet_v1": (Conv(3, 2, 16), DepthSepConv(3, 1, 24), DepthSepConv(5, 2, 32), Conv(1, 2, 40)),
    "mobilenet_v2": (V2Stage(1, 8, 1, 1), V2Stage(6, 16, 2, 2), V2Stage(3, 24, 1, 2)),
    "mobilenet_v3_large": (
        Bneck(3, 16, 16, False, "relu", 1),
        Bneck(5, 40, 24, True, "hardswish", 2),
        Bneck(3, 60, 24, True, "relu", 1),
        Bneck(3, 60, 40, False, "hardswish", 2),
    ),
    "mobilenet_v4_conv_small": (
        FusedBottleneck(3, 2, 16, 2),
        UniversalBottleneck(3, 5, 2, 24, 2),
        UniversalBottleneck(5, 0, 2, 24),
        UniversalBottleneck(0, 3, 2, 24),
        UniversalBottleneck(0, 0, 2, 24),
        V4Conv(3, 32, 2),
    ),
    "shufflenet_v2_x0_5": (ShuffleStage(16, 2), ShuffleStage(36, 3)),
    "dla34": (Level(0, 8, 1), Level(1, 16, 2), Level(2, 24, 2)),
}
"""For one network of each family, few rows that hold every kind of layer: what tracers take long for in a whole one."""

# MobileNetV4's Large, ten times the others' size, has no kind of row that its Medium has not.
every_network = pytest.mark.parametrize(
    ("name", "dialect"), [(name, dialect) for name, dialect in NETWORKS if name != "mobilenet_v4_conv_large"]
)
every_form = pytest.mark.parametrize(
    ("name", "dialect"), [(name, dialect) for name, dialect in NETWORKS if name in SHORT_ROWS]
)


def fill(network: Network) -> Network:
    """``network`` in float32 and eval mode, with random weights and BN statistics that keep every map near unit size.

    A layer's weights follow from its name, so that they do not change with the layers before it.
    """
    for name, part in network.named_modules():
        if not list(part.children()):
            randomise(part, zlib.crc32(name.encode()))
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # takes the statistics of the one batch that follows
    x = images(4, (64, 64), channels=network.config.in_channels, dtype=torch.float64)
    contrast, brightness = torch.tensor([[0.3, 0.6, 1.0, 1.6], [-1.2, -0.4, 0.0, 0.8]])[:, :, None, None, None]
    with torch.no_grad():
        network.train()(contrast * x + brightness)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        variance = norm.get_buffer("running_var")
        variance.clamp_(min=float(variance.mean()) / 10)  # a channel that hardly varied would be blown up elsewhere
    return network.float().eval()


@functools.cache
def filled(name: str, dialect: str) -> Network:
    """A network of 10 classes. All tests share it and leave it as it is."""
    return fill(build(configure(name, dialect=dialect, num_classes=10)))


@functools.cache
def short(name: str, dialect: str) -> Network:
    """The same of ``SHORT_ROWS``."""
    return fill(build(configure(name, dialect=dialect, num_classes=10, rows=SHORT_ROWS[name])))


def images(count: int, size_hw: tuple[int, int], *, channels: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random normalised images, [N, C, H, W]."""
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, channels, *size_hw, generator=generator, dtype=torch.float64).to(dtype)


def map_hw(network: Network, size_hw: tuple[int, int], stride: int) -> tuple[int, ...]:
    """The size of a map at ``stride``: each stride-2 layer rounds up, but for those that Keras' V1 pads at one end."""
    sides = []
    for side in size_hw:
        floors = network.config.architecture == "mobilenet_v1" and network.dialect.padding == "bottom_right"
        sides.append((-(-side // 2) if stride > 1 else side) // max(stride // 2, 1) if floors else -(-side // stride))
    return tuple(sides)
