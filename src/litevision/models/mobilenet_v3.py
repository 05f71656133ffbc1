"""MobileNetV3, arXiv:1905.02244, in the forms of torchvision, timm, Keras and slim, and of a Keras tutorial's Large.

The dialect ``tutorial`` is the Large that a widely read tutorial on MobileNetV3 in Keras builds. Its quirks: ReLU6 in
place of ReLU; the first row keeps its 1x1 expansion of 16 to 16 channels; every convolution has a bias; batch
normalisation at Keras' defaults; the squeeze-and-excite ends in h-swish in place of a hard sigmoid, and its width is a
quarter of the expansion, unrounded. With 1000 classes it has 5,493,702 trainable parameters of 5,518,134.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from litevision.errors import UsageError
from litevision.models.blocks import Activation, ClassifierHead, InvertedResidual, SqueezeExcite, conv_factory
from litevision.models.config import NetworkConfig
from litevision.models.dialect import Dialect, make_divisible
from litevision.models.mobilenet_v3_tables import STEM_CHANNELS, TABLES, Bneck, deepened, with_reduced_tail
from litevision.models.network import Backbone, Network

ROW_KINDS = (Bneck,)


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
        se_act: what stands between the two layers of the squeeze-and-excite: ``relu``, as above, or the row's own
            activation.
        first_sums: whether the first row adds its input.
        hidden_bias: whether the hidden layer has a bias.
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
    se_act: Literal["relu", "row"] = "relu"
    first_sums: bool = True
    hidden_bias: bool = True


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
    # timm's mobilenetv3_rw, which its author trained before the official code appeared.
    "timm_rw": replace(
        _TIMM,
        dialect=Dialect("timm_rw", bn_eps=1e-3, initialisation="fan_out"),
        stem_scales_from=0.0,
        squeeze_divisor=1,
        se_act="row",
        first_sums=False,
        hidden_bias=False,
    ),
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


def build(
    config: NetworkConfig,
    *,
    hidden_channels: int | None = None,
    depth_mult: float = 1.0,
    reduced_tail: bool = False,
    dilated: bool = False,
) -> Network:
    """Builds MobileNetV3.

    Args:
        hidden_channels: width of the layer between pool and classifier; 0 leaves it out, None takes the dialect's.
        depth_mult: multiplies each stage's repeats, rounded up, and so the last convolution; of the dialect timm, whose
            150d has 1.2.
        reduced_tail: halves the channels behind the last stride, as torchvision does for detection and segmentation.
        dilated: the last row that strides is dilated in place of that, itself and those after it, as torchvision's
            backbones for segmentation are; ``output_stride`` 16 dilates only those after it, as slim does.

    Source: Tables 1 and 2; torchvision ``mobilenetv3.py``, timm ``_gen_mobilenet_v3``, Keras
    ``applications/mobilenet_v3.py``, slim ``nets/mobilenet/mobilenet_v3.py``.
    Differs: slim's gate multiplies by 0.16667, ours by 1/6, as everywhere else.
    """
    if hidden_channels is not None and hidden_channels < 0:
        raise UsageError(f"hidden_channels must be 0 (none) or more, got {hidden_channels}")
    if not (depth_mult > 0 and math.isfinite(depth_mult)):
        raise UsageError(f"depth_mult must be a number above 0, got {depth_mult}")
    for option, is_given, dialects in (
        ("depth_mult", depth_mult != 1, ("timm", "timm_tf")),
        ("reduced_tail", reduced_tail, ("torchvision",)),
        ("dilated", dilated, ("torchvision",)),
    ):
        if is_given:
            config.require_dialect(option, *dialects)
    if dilated and config.output_stride != 32:
        raise UsageError(f"dilated gives the output stride 16, got output_stride {config.output_stride} too")
    table, rules, width = TABLES[config.architecture], RULES[config.dialect], config.width_mult
    if reduced_tail:
        table = with_reduced_tail(table)
    rows = deepened(config.rows_or(table.rows), depth_mult)
    last_stride = max((i for i, row in enumerate(rows) if row.stride == 2), default=-1)
    conv = conv_factory(rules.dialect)
    backbone = Backbone(config.output_stride)

    channels = scaled_from(rules.stem_scales_from, STEM_CHANNELS, width)
    stride, dilation = backbone.step(2)
    stem = conv(config.in_channels, channels, 3, stride=stride, dilation=dilation, act=table.act)
    backbone.add("stem", stem, channels)

    table_in = STEM_CHANNELS
    for i, row in enumerate(rows):
        if rules.expansion == "ratio":
            exp = make_divisible(channels * (row.exp_channels / table_in))
        else:
            exp = make_divisible(row.exp_channels * width)
        out = make_divisible(row.out_channels * width)
        squeeze = make_divisible(exp / 4, rules.squeeze_divisor)
        stride, dilation = backbone.step(row.stride, dilates_at_once=dilated and i == last_stride)
        act = row.act if row.act != "relu" else rules.relu
        se_act = act if rules.se_act == "row" else rules.relu
        block = InvertedResidual(
            channels,
            exp,
            out,
            conv=conv,
            kernel_size=row.kernel_size,
            stride=stride,
            dilation=dilation,
            act=act,
            expand=rules.expand_always or exp != channels,
            se=SqueezeExcite(exp, squeeze, act=se_act, gate=rules.gate()) if row.se else None,
            residual=row.stride == 1 and channels == out and (i > 0 or rules.first_sums),
        )
        backbone.add(f"block_{i}", block, out)
        channels, table_in = out, row.out_channels

    last = 6 * channels if rules.last == "six_fold" else make_divisible(table.last_channels * width)
    for i in range(math.ceil(depth_mult)):
        backbone.add(
            f"conv_last_{i + 1}" if i else "conv_last", conv(channels, last, act=table.act), last, in_pyramid=False
        )
        channels = last
    if hidden_channels is None:
        hidden_channels = scaled_from(rules.hidden_scales_from, table.hidden_channels, width)
    head = ClassifierHead(
        last,
        config.num_classes,
        hidden_channels=hidden_channels,
        hidden_bias=rules.hidden_bias,
        act=table.act,
        dropout=rules.dropout if config.dropout is None else config.dropout,
    )
    return Network(config, rules.dialect, backbone, head)


def scaled_from(least_width: float, channels: int, width_mult: float) -> int:
    """``channels`` at ``width_mult``, unscaled where that is below ``least_width``."""
    return make_divisible(channels * width_mult) if width_mult >= least_width else channels
