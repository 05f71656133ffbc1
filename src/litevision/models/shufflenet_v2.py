"""ShuffleNetV2, arXiv:1807.11164, in torchvision's form and two others. C: a unit's output channels.

The dialect ``nanodet`` is torchvision's with a leaky ReLU, as the backbones of NanoDet have it (`nanodet`); nobody has
published its classifier.

The dialect ``tutorial`` is the network that a widely read tutorial on ShuffleNetV2 in Keras builds. Its quirks: conv1
has neither batch normalisation nor a bias, conv5 a bias in place of batch normalisation, every other convolution a bias
as well; the first half of the split passes, and the processed half comes first in the concatenation; padding by SAME,
batch normalisation at Keras' defaults; ``bottleneck_ratio`` sets the units' inner width. At 1x with 1000 classes it has
2,284,574 trainable parameters of 2,298,658.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from litevision.errors import UsageError
from litevision.models.blocks import Activation, ClassifierHead, ConvFactory, SamePad, conv_factory
from litevision.models.config import NetworkConfig
from litevision.models.dialect import Dialect
from litevision.models.network import Backbone, Network


@dataclass(frozen=True)
class Stage:
    """A stage of Table 5: one unit that strides, then ``units`` - 1 that do not, all of ``out_channels``."""

    out_channels: int
    units: int

    def __post_init__(self) -> None:
        if self.out_channels < 2 or self.out_channels % 2:
            raise UsageError(f"a stage's out_channels must be even, for its units halve them, got {self.out_channels}")
        if self.units < 1:
            raise UsageError(f"a stage must have 1 unit or more, got {self.units}")


@dataclass(frozen=True)
class Scale:
    """A column of Table 5."""

    stages: tuple[Stage, ...]
    conv5_channels: int


# Table 5, a scale per row.
# fmt: off
SCALES = {
    #                            Stage2 28 x 28  Stage3 14 x 14  Stage4 7 x 7     Conv5 7 x 7
    #                                  out  n          out  n          out  n     out
    "shufflenet_v2_x0_5": Scale((Stage(48,  4),  Stage(96,  8),  Stage(192, 4)),  1024),
    "shufflenet_v2_x1_0": Scale((Stage(116, 4),  Stage(232, 8),  Stage(464, 4)),  1024),
    "shufflenet_v2_x1_5": Scale((Stage(176, 4),  Stage(352, 8),  Stage(704, 4)),  1024),
    "shufflenet_v2_x2_0": Scale((Stage(244, 4),  Stage(488, 8),  Stage(976, 4)),  2048),
}
# fmt: on
ROW_KINDS = (Stage,)
STEM_CHANNELS = 24


@dataclass(frozen=True)
class Rules:
    """What ShuffleNetV2's dialects do differently, beyond their layers' conventions.

    Attributes:
        plain_ends: the tutorial's conv1 and conv5 have no BN; conv1 has no bias either.
        processed_first: the tutorial's units put the processed half before the one that passed.
        has_bottleneck_ratio: the tutorial's units can be made narrower or wider than their stage.
        act: NanoDet's activation is a ReLU with the slope 0.1 below 0.
    """

    dialect: Dialect
    plain_ends: bool = False
    processed_first: bool = False
    has_bottleneck_ratio: bool = False
    act: Activation = "relu"


RULES = {
    "torchvision": Rules(Dialect("torchvision", initialisation="torch")),
    "nanodet": Rules(Dialect("nanodet", initialisation="torch"), act="leaky_relu"),
    "tutorial": Rules(
        Dialect("tutorial", padding="same", bn_eps=1e-3, bn_momentum=0.01, conv_bias=True, initialisation="glorot"),
        plain_ends=True,
        processed_first=True,
        has_bottleneck_ratio=True,
    ),
}


def shuffle(first: Tensor, second: Tensor) -> Tensor:
    """Interleaves the channels of two maps, a channel shuffle with 2 groups: 2 x [N, C/2, H, W] -> [N, C, H, W].

    Stacked, not reshaped and transposed: one copy in place of two.
    """
    return torch.stack((first, second), dim=2).flatten(1, 2)


def main_branch(
    in_channels: int, out_channels: int, *, conv: ConvFactory, act: Activation, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Builds the branch that every unit has: 1x1, depthwise 3x3, 1x1."""
    depthwise = conv(out_channels, out_channels, 3, stride=stride, dilation=dilation, groups=out_channels, act="none")
    return nn.Sequential(
        OrderedDict(
            pointwise_1=conv(in_channels, out_channels, act=act),
            depthwise=depthwise,
            pointwise_2=conv(out_channels, out_channels, act=act),
        )
    )


class BasicUnit(nn.Module):
    """Passes the first half of its channels on and processes the second: [N, C, H, W] -> [N, C, H, W].

    Source: Figure 3 (c).
    """

    def __init__(self, channels: int, *, conv: ConvFactory, rules: Rules, dilation: int) -> None:
        super().__init__()
        self.processed_first = rules.processed_first
        self.main = main_branch(channels // 2, channels // 2, conv=conv, act=rules.act, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        passed, x = x.chunk(2, dim=1)
        processed = self.main(x)
        return shuffle(processed, passed) if self.processed_first else shuffle(passed, processed)


class DownUnit(nn.Module):
    """Processes all of its channels in two branches, and strides: [N, in, H, W] -> [N, C, H', W'].

    Source: Figure 3 (d).
    """

    def __init__(
        self, in_channels: int, channels: int, *, conv: ConvFactory, rules: Rules, stride: int, dilation: int
    ) -> None:
        super().__init__()
        self.processed_first, act = rules.processed_first, rules.act
        side = conv(in_channels, in_channels, 3, stride=stride, dilation=dilation, groups=in_channels, act="none")
        self.side = nn.Sequential(OrderedDict(depthwise=side, pointwise=conv(in_channels, channels // 2, act=act)))
        self.main = main_branch(in_channels, channels // 2, conv=conv, act=act, stride=stride, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        side, main = self.side(x), self.main(x)
        return shuffle(main, side) if self.processed_first else shuffle(side, main)


def build(config: NetworkConfig, *, bottleneck_ratio: float = 1.0) -> Network:
    """Builds ShuffleNetV2.

    ``width_mult`` scales the stages, each to the nearest even number; the stem and conv5 stay, as they do in Table 5
    between 0.5x and 1.5x.

    Args:
        bottleneck_ratio: in the tutorial's form alone: a unit's branches have this part of half its stage's channels,
            rounded down; so its stages become that much narrower.

    Source: Table 5; torchvision ``shufflenetv2.py``.
    """
    rules = RULES[config.dialect]
    if not (bottleneck_ratio > 0 and math.isfinite(bottleneck_ratio)):
        raise UsageError(f"bottleneck_ratio must be a number above 0, got {bottleneck_ratio}")
    if bottleneck_ratio != 1 and not rules.has_bottleneck_ratio:
        raise UsageError(
            f"bottleneck_ratio belongs to the dialect 'tutorial', got {bottleneck_ratio:g} with {config.dialect!r}. "
            "Leave it out, or pass dialect='tutorial'"
        )
    scale = SCALES[config.architecture]
    conv = conv_factory(rules.dialect)
    plain = {"norm": None} if rules.plain_ends else {}
    backbone = Backbone(config.output_stride)

    stride, _ = backbone.step(2)
    stem = conv(config.in_channels, STEM_CHANNELS, 3, stride=stride, act=rules.act, bias=False, **plain)
    backbone.add("stem", stem, STEM_CHANNELS)
    backbone.step(2)
    backbone.add("maxpool", max_pool(rules.dialect), STEM_CHANNELS)

    channels = STEM_CHANNELS
    for number, stage in enumerate(config.rows_or(scale.stages), start=2):
        out = 2 * int(scaled(stage.out_channels, config.width_mult) * bottleneck_ratio / 2)
        if out == 0:
            raise UsageError(f"bottleneck_ratio {bottleneck_ratio:g} leaves stage{number} without channels")
        for unit in range(1, stage.units + 1):
            stride, dilation = backbone.step(2 if unit == 1 else 1)
            part = (
                DownUnit(channels, out, conv=conv, rules=rules, stride=stride, dilation=dilation)
                if unit == 1
                else BasicUnit(out, conv=conv, rules=rules, dilation=dilation)
            )
            backbone.add(f"stage{number}_unit{unit}", part, out)
        channels = out

    conv5 = conv(channels, scale.conv5_channels, act=rules.act, **plain)
    backbone.add("conv5", conv5, scale.conv5_channels, in_pyramid=False)
    head = ClassifierHead(scale.conv5_channels, config.num_classes, dropout=config.dropout or 0.0)
    return Network(config, rules.dialect, backbone, head)


def max_pool(dialect: Dialect) -> nn.Module:
    """The 3x3 max pool of stride 2."""
    if dialect.padding == "symmetric":
        return nn.MaxPool2d(3, stride=2, padding=1)
    # TensorFlow's padding never wins a maximum. Zeros cannot either: the stem's ReLU stands before them.
    return nn.Sequential(SamePad(3), nn.MaxPool2d(3, stride=2))


def scaled(channels: int, width_mult: float) -> int:
    """Returns the even number nearest to ``channels`` * ``width_mult`` (a tie goes up), at least 2."""
    return max(2, 2 * int(channels * width_mult / 2 + 0.5))
