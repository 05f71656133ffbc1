"""MobileNetV1, arXiv:1704.04861, in the forms of TF-slim, Keras and timm.

The dialect ``slim`` is TF-slim's reference implementation, which guides to retraining a MobileNet start from: named
endpoints, output strides, and widths that are cut off, not rounded.
"""

from dataclasses import dataclass, replace
from typing import Literal

from litevision.errors import UsageError
from litevision.models.blocks import ClassifierHead, conv_factory
from litevision.models.config import NetworkConfig
from litevision.models.dialect import Dialect, make_divisible
from litevision.models.network import Backbone, Network
from litevision.models.rows import one_side


@dataclass(frozen=True)
class TableRow:
    """A row of Table 1; what both kinds of rows hold.

    Raises:
        UsageError: an even kernel, or no channels.
    """

    kernel_size: int
    stride: int
    out_channels: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel_size", one_side(self.kernel_size))  # slim's [3, 3]
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise UsageError(f"a row's kernel_size must be odd and above 0, got {self.kernel_size}")
        if self.out_channels < 1:
            raise UsageError(f"a row's out_channels must be 1 or more, got {self.out_channels}")


class Conv(TableRow):
    """A full convolution: one endpoint, ``Conv2d_{i}``."""


class DepthSepConv(TableRow):
    """A depthwise and a pointwise convolution: two endpoints, ``Conv2d_{i}_depthwise`` and ``Conv2d_{i}_pointwise``."""


# Table 1.
# fmt: off
ROWS: tuple[Conv | DepthSepConv, ...] = (
    #            k  s  out       input
    Conv(        3, 2, 32),    # 224 x 224
    DepthSepConv(3, 1, 64),    # 112 x 112
    DepthSepConv(3, 2, 128),   # 112 x 112
    DepthSepConv(3, 1, 128),   # 56 x 56
    DepthSepConv(3, 2, 256),   # 56 x 56
    DepthSepConv(3, 1, 256),   # 28 x 28
    DepthSepConv(3, 2, 512),   # 28 x 28
    DepthSepConv(3, 1, 512),   # 14 x 14
    DepthSepConv(3, 1, 512),   # 14 x 14
    DepthSepConv(3, 1, 512),   # 14 x 14
    DepthSepConv(3, 1, 512),   # 14 x 14
    DepthSepConv(3, 1, 512),   # 14 x 14
    DepthSepConv(3, 2, 1024),  # 14 x 14
    DepthSepConv(3, 1, 1024),  # 7 x 7
)
# fmt: on
ROW_KINDS = (Conv, DepthSepConv)


@dataclass(frozen=True)
class Rules:
    """What V1's dialects do differently, beyond their layers' conventions.

    Attributes:
        widths: ``truncate``: int(c * width_mult); ``divisible``: to a multiple of 8, as V2 does.
        min_channels: no layer gets fewer channels by ``truncate``; slim's ``min_depth``, which Keras does not have.
        dropout: slim keeps 0.999 of the features.
    """

    dialect: Dialect
    widths: Literal["truncate", "divisible"]
    dropout: float
    min_channels: int = 1


RULES = {
    "timm": Rules(Dialect("timm", initialisation="fan_out"), widths="divisible", dropout=0.0),
    "keras": Rules(
        Dialect("keras", padding="bottom_right", bn_eps=1e-3, bn_momentum=0.01, initialisation="glorot"),
        widths="truncate",
        dropout=0.001,
    ),
    "slim": Rules(
        Dialect("slim", padding="same", bn_eps=1e-3, bn_momentum=0.0003, initialisation="truncated"),
        widths="truncate",
        dropout=0.001,
        min_channels=8,
    ),
}


EXTRA_CONV_CHANNELS = 1024


def build(
    config: NetworkConfig,
    *,
    spatial_squeeze: bool = True,
    min_channels: int | None = None,
    depthwise_multiplier: int = 1,
    extra_conv: bool = False,
) -> Network:
    """Builds MobileNetV1.

    Args:
        min_channels: no layer gets fewer, slim's ``min_depth``; None takes the dialect's own.
        spatial_squeeze: False gives logits [N, 1, 1, classes], slim's layout before it squeezes.
        depthwise_multiplier: output channels of a depthwise convolution for each of its inputs, Keras'
            ``depth_multiplier``; of the dialect keras.
        extra_conv: a 1x1 convolution of 1024 channels more before the pool, scaled above width 1 alone; of the dialect
            timm, whose ``mobilenetv1_100h`` has it.

    Raises:
        UsageError: an option that the dialect does not have, or a ``depthwise_multiplier`` below 1.

    Source: Table 1; ``slim/nets/mobilenet_v1.py``. The head's 7x7 average pool shrinks to a smaller map and is global
    on a larger one, which makes it a global pool at every size.
    """
    if type(depthwise_multiplier) is not int or depthwise_multiplier < 1:
        raise UsageError(f"depthwise_multiplier must be a whole number, 1 or more, got {depthwise_multiplier}")
    if depthwise_multiplier != 1:
        config.require_dialect("depthwise_multiplier", "keras")
    if extra_conv:
        config.require_dialect("extra_conv", "timm")
    rules = RULES[config.dialect]
    if min_channels is not None:
        if min_channels < 1:
            raise UsageError(f"min_channels must be 1 or more, got {min_channels}")
        rules = replace(rules, min_channels=min_channels)
    conv = conv_factory(rules.dialect)
    # Keras pads its stem by SAME, and its stride-2 depthwise layers at the bottom and right alone, so that a map of odd
    # size comes out one smaller there than slim's.
    stem_padding = "same" if rules.dialect.padding == "bottom_right" else rules.dialect.padding
    backbone = Backbone(config.output_stride)
    channels = config.in_channels
    for i, row in enumerate(config.rows_or(ROWS)):
        stride, dilation = backbone.step(row.stride)
        out = scaled(row.out_channels, config.width_mult, rules)
        if isinstance(row, Conv):
            part = conv(
                channels,
                out,
                row.kernel_size,
                stride=stride,
                dilation=dilation,
                act="relu6",
                padding=stem_padding,
            )
            backbone.add(f"Conv2d_{i}", part, out)
        else:
            depthwise = conv(
                channels,
                channels * depthwise_multiplier,
                row.kernel_size,
                stride=stride,
                dilation=dilation,
                groups=channels,
                act="relu6",
            )
            channels *= depthwise_multiplier
            backbone.add(f"Conv2d_{i}_depthwise", depthwise, channels)
            backbone.add(f"Conv2d_{i}_pointwise", conv(channels, out, act="relu6"), out)
        channels = out
    if extra_conv:
        last = max(EXTRA_CONV_CHANNELS, scaled(EXTRA_CONV_CHANNELS, config.width_mult, rules))
        backbone.add("conv_last", conv(channels, last, act="relu6"), last, in_pyramid=False)
        channels = last
    head = ClassifierHead(
        channels,
        config.num_classes,
        dropout=rules.dropout if config.dropout is None else config.dropout,
        spatial_squeeze=spatial_squeeze,
    )
    return Network(config, rules.dialect, backbone, head)


def scaled(channels: int, width_mult: float, rules: Rules) -> int:
    """Scales ``channels`` of the table by ``width_mult``."""
    if rules.widths == "divisible":
        return max(make_divisible(channels * width_mult), rules.min_channels)
    return max(int(channels * width_mult), rules.min_channels)
