"""MobileNetV3, arXiv:1905.02244, in the forms of torchvision, timm, Keras and slim, and of a Keras tutorial's Large.

The dialect ``tutorial`` is the Large that a widely read tutorial on MobileNetV3 in Keras builds. Its quirks: ReLU6 in
place of ReLU; the first row keeps its 1x1 expansion of 16 to 16 channels; every convolution has a bias; batch
normalisation at Keras' defaults; the squeeze-and-excite ends in h-swish in place of a hard sigmoid, and its width is a
quarter of the expansion, unrounded. With 1000 classes it has 5,493,702 trainable parameters of 5,518,134.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from torch import nn

from litevision.errors import UsageError
from litevision.models.blocks import Activation, ClassifierHead, InvertedResidual, SqueezeExcite, conv_factory
from litevision.models.config import NetworkConfig
from litevision.models.dialect import Dialect, make_divisible
from litevision.models.network import Backbone, Network


@dataclass(frozen=True)
class Bneck:
    """A row of Tables 1 and 2: one inverted residual, with squeeze-and-excite where ``se``.

    Raises:
        UsageError: an even kernel, a channel count below 1, or an activation that does not exist.
    """

    kernel_size: int
    exp_channels: int
    out_channels: int
    se: bool
    act: Activation
    stride: int

    def __post_init__(self) -> None:
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise UsageError(f"a row's kernel_size must be odd and above 0, got {self.kernel_size}")
        if min(self.exp_channels, self.out_channels) < 1:
            raise UsageError(
                f"a row's exp_channels and out_channels must be 1 or more, got {self.exp_channels}, {self.out_channels}"
            )
        if self.act not in get_args(Activation):
            raise UsageError(f"a row's act must be one of {', '.join(get_args(Activation))}, got {self.act!r}")


# fmt: off
# Table 1, Large.
LARGE = (
    #     k  exp  out  se     act          s     input
    Bneck(3, 16,  16,  False, "relu",      1),  # 112 x 112
    Bneck(3, 64,  24,  False, "relu",      2),  # 112 x 112
    Bneck(3, 72,  24,  False, "relu",      1),  # 56 x 56
    Bneck(5, 72,  40,  True,  "relu",      2),  # 56 x 56
    Bneck(5, 120, 40,  True,  "relu",      1),  # 28 x 28
    Bneck(5, 120, 40,  True,  "relu",      1),  # 28 x 28
    Bneck(3, 240, 80,  False, "hardswish", 2),  # 28 x 28
    Bneck(3, 200, 80,  False, "hardswish", 1),  # 14 x 14
    Bneck(3, 184, 80,  False, "hardswish", 1),  # 14 x 14
    Bneck(3, 184, 80,  False, "hardswish", 1),  # 14 x 14
    Bneck(3, 480, 112, True,  "hardswish", 1),  # 14 x 14
    Bneck(3, 672, 112, True,  "hardswish", 1),  # 14 x 14
    Bneck(5, 672, 160, True,  "hardswish", 2),  # 14 x 14
    Bneck(5, 960, 160, True,  "hardswish", 1),  # 7 x 7
    Bneck(5, 960, 160, True,  "hardswish", 1),  # 7 x 7
)
# Table 2, Small.
SMALL = (
    #     k  exp  out  se     act          s     input
    Bneck(3, 16,  16,  True,  "relu",      2),  # 112 x 112
    Bneck(3, 72,  24,  False, "relu",      2),  # 56 x 56
    Bneck(3, 88,  24,  False, "relu",      1),  # 28 x 28
    Bneck(5, 96,  40,  True,  "hardswish", 2),  # 28 x 28
    Bneck(5, 240, 40,  True,  "hardswish", 1),  # 14 x 14
    Bneck(5, 240, 40,  True,  "hardswish", 1),  # 14 x 14
    Bneck(5, 120, 48,  True,  "hardswish", 1),  # 14 x 14
    Bneck(5, 144, 48,  True,  "hardswish", 1),  # 14 x 14
    Bneck(5, 288, 96,  True,  "hardswish", 2),  # 14 x 14
    Bneck(5, 576, 96,  True,  "hardswish", 1),  # 7 x 7
    Bneck(5, 576, 96,  True,  "hardswish", 1),  # 7 x 7
)
# fmt: on
ROW_KINDS = (Bneck,)
STEM_CHANNELS = 16


@dataclass(frozen=True)
class Table:
    """A whole table: its rows, and what stands around them.

    Attributes:
        last_channels: the 1x1 convolution before the pool.
        hidden_channels: the layer after the pool.
        act: the activation of the stem and of those two.
    """

    rows: tuple[Bneck, ...]
    last_channels: int
    hidden_channels: int
    act: Activation = "hardswish"


def minimalistic(table: Table) -> Table:
    """``table`` without 5x5 kernels, squeeze-and-excite and h-swish. Source: slim ``V3_LARGE_MINIMALISTIC``."""
    rows = tuple(replace(row, kernel_size=3, se=False, act="relu") for row in table.rows)
    return replace(table, rows=rows, act="relu")


_LARGE = Table(LARGE, last_channels=960, hidden_channels=1280)
_SMALL = Table(SMALL, last_channels=576, hidden_channels=1024)
TABLES = {
    "mobilenet_v3_large": _LARGE,
    "mobilenet_v3_small": _SMALL,
    "mobilenet_v3_large_minimalistic": minimalistic(_LARGE),
    "mobilenet_v3_small_minimalistic": minimalistic(_SMALL),
}


@dataclass(frozen=True)
class Rules:
    """What V3's dialects do differently, beyond their layers' conventions.

    Attributes:
        expansion: what width_mult does to a row's expansion. ``column``: scales the table's number. ``ratio``: the
            row's input, already scaled, times the table's ratio; at 0.75 that differs in 12 of Large's 15 rows.
        stem_scales_from: the least width_mult that scales the stem; a smaller one leaves its 16 channels.
        hidden_scales_from: the same for the hidden layer. slim's published checkpoints are its "finegrain" form,
            which never scales it.
        last: what gives the last convolution's channels: the table's number, scaled, or 6 times the last row's.
        dropout: before the classifier.
        relu: what stands where the tables say ReLU, the squeeze-and-excite included.
        gate: ends the squeeze-and-excite.
        squeeze_divisor: a quarter of the expansion, rounded to a multiple of this, is the squeeze's width.
        expand_always: keeps the 1x1 expansion in a row that expands nothing.
    """

    dialect: Dialect
    expansion: Literal["column", "ratio"]
    stem_scales_from: float
    hidden_scales_from: float
    last: Literal["table", "six_fold"]
    dropout: float
    relu: Activation = "relu"
    gate: type[nn.Module] = nn.Hardsigmoid
    squeeze_divisor: int = 8
    expand_always: bool = False


_TIMM = Rules(
    Dialect("timm", initialisation="fan_out"),
    expansion="ratio",
    stem_scales_from=0.75,
    hidden_scales_from=math.inf,
    last="table",
    dropout=0.0,
)
_KERAS = Rules(
    Dialect("keras", padding="same", bn_eps=1e-3, bn_momentum=0.001, initialisation="glorot"),
    expansion="ratio",
    stem_scales_from=math.inf,
    hidden_scales_from=1.0,
    last="six_fold",
    dropout=0.2,
)
RULES = {
    "torchvision": Rules(
        Dialect("torchvision", bn_eps=1e-3, bn_momentum=0.01),
        expansion="column",
        stem_scales_from=0.0,
        hidden_scales_from=0.0,
        last="six_fold",
        dropout=0.2,
    ),
    "timm": _TIMM,
    "timm_tf": replace(_TIMM, dialect=Dialect("timm_tf", padding="same", bn_eps=1e-3, initialisation="fan_out")),
    "keras": _KERAS,
    "slim": replace(
        _KERAS,
        dialect=Dialect("slim", padding="same", bn_eps=1e-3, bn_momentum=0.003, initialisation="truncated"),
        stem_scales_from=0.0,
        hidden_scales_from=math.inf,
        last="table",
    ),
    # Every convolution has a bias; BN follows each outside the head and the squeeze-and-excite, whose width is a
    # quarter of the expansion, unrounded. This reading gives exactly its counts, 5,493,702 of 5,518,134 trainable.
    "tutorial": Rules(
        Dialect("tutorial", padding="same", bn_eps=1e-3, bn_momentum=0.01, conv_bias=True, initialisation="glorot"),
        expansion="column",
        stem_scales_from=0.0,
        hidden_scales_from=0.0,
        last="table",
        dropout=0.0,
        relu="relu6",
        gate=nn.Hardswish,
        squeeze_divisor=1,
        expand_always=True,
    ),
}


def build(config: NetworkConfig, *, hidden_channels: int | None = None) -> Network:
    """Builds MobileNetV3.

    Args:
        hidden_channels: width of the layer between pool and classifier; 0 leaves it out, None takes the dialect's.

    Source: Tables 1 and 2; torchvision ``mobilenetv3.py``, timm ``_gen_mobilenet_v3``, Keras
    ``applications/mobilenet_v3.py``, slim ``nets/mobilenet/mobilenet_v3.py``.
    Differs: slim's gate multiplies by 0.16667, ours by 1/6, as everywhere else.
    """
    if hidden_channels is not None and hidden_channels < 0:
        raise UsageError(f"hidden_channels must be 0 (none) or more, got {hidden_channels}")
    table, rules, width = TABLES[config.architecture], RULES[config.dialect], config.width_mult
    conv = conv_factory(rules.dialect)
    backbone = Backbone(config.output_stride)

    channels = scaled_from(rules.stem_scales_from, STEM_CHANNELS, width)
    stride, dilation = backbone.step(2)
    stem = conv(config.in_channels, channels, 3, stride=stride, dilation=dilation, act=table.act)
    backbone.add("stem", stem, channels)

    table_in = STEM_CHANNELS
    for i, row in enumerate(config.rows_or(table.rows)):
        if rules.expansion == "ratio":
            exp = make_divisible(channels * (row.exp_channels / table_in))
        else:
            exp = make_divisible(row.exp_channels * width)
        out = make_divisible(row.out_channels * width)
        squeeze = make_divisible(exp / 4, rules.squeeze_divisor)
        stride, dilation = backbone.step(row.stride)
        block = InvertedResidual(
            channels,
            exp,
            out,
            conv=conv,
            kernel_size=row.kernel_size,
            stride=stride,
            dilation=dilation,
            act=row.act if row.act != "relu" else rules.relu,
            expand=rules.expand_always or exp != channels,
            se=SqueezeExcite(exp, squeeze, act=rules.relu, gate=rules.gate()) if row.se else None,
            residual=row.stride == 1 and channels == out,
        )
        backbone.add(f"block_{i}", block, out)
        channels, table_in = out, row.out_channels

    last = 6 * channels if rules.last == "six_fold" else make_divisible(table.last_channels * width)
    backbone.add("conv_last", conv(channels, last, act=table.act), last, in_pyramid=False)
    if hidden_channels is None:
        hidden_channels = scaled_from(rules.hidden_scales_from, table.hidden_channels, width)
    head = ClassifierHead(
        last,
        config.num_classes,
        hidden_channels=hidden_channels,
        act=table.act,
        dropout=rules.dropout if config.dropout is None else config.dropout,
    )
    return Network(config, rules.dialect, backbone, head)


def scaled_from(least_width: float, channels: int, width_mult: float) -> int:
    """``channels`` at ``width_mult``, unscaled where that is below ``least_width``."""
    return make_divisible(channels * width_mult) if width_mult >= least_width else channels
