"""MobileNetV2, arXiv:1801.04381, in the forms of torchvision, timm, Keras and slim, and of a PyTorch tutorial.

The dialect ``tutorial`` is the network that a widely read tutorial on MobileNetV2 in PyTorch builds, with 5 classes.
Its quirks, each kept by name in `Rules`: one block more than the paper's in every stage; a projection shortcut (1x1
convolution and batch normalisation) in every stride-1 block, also where the channels agree, and none at stride 2; the
first stage keeps its expansion of factor 1; every convolution has a bias. With 5 classes it has 4,320,301 parameters,
and as the backbone of the same tutorial's CenterNet (`necks.ReshapeNeck`), with 10 classes, 4,314,190.
"""

import math
from dataclasses import dataclass, replace

from litevision.errors import UsageError
from litevision.models.blocks import ClassifierHead, InvertedResidual, conv_factory
from litevision.models.config import NetworkConfig
from litevision.models.dialect import Dialect, make_divisible
from litevision.models.network import Backbone, Network


@dataclass(frozen=True)
class Stage:
    """A row of Table 2: ``repeats`` inverted residuals of ``out_channels``, the first with ``stride``."""

    expand_ratio: int
    out_channels: int
    repeats: int
    stride: int

    def __post_init__(self) -> None:
        if min(self.expand_ratio, self.out_channels, self.repeats) < 1:
            raise UsageError(
                "a stage's expand_ratio, out_channels and repeats must be 1 or more, "
                f"got {self.expand_ratio}, {self.out_channels}, {self.repeats}"
            )


# Table 2.
# fmt: off
STAGES = (
    #     t  c    n  s     input
    Stage(1, 16,  1, 1),  # 112 x 112
    Stage(6, 24,  2, 2),  # 112 x 112
    Stage(6, 32,  3, 2),  # 56 x 56
    Stage(6, 64,  4, 2),  # 28 x 28
    Stage(6, 96,  3, 1),  # 14 x 14
    Stage(6, 160, 3, 2),  # 14 x 14
    Stage(6, 320, 1, 1),  # 7 x 7
)
# fmt: on
ROW_KINDS = (Stage,)
STEM_CHANNELS = 32
LAST_CHANNELS = 1280


@dataclass(frozen=True)
class Rules:
    """What V2's dialects do differently, beyond their layers' conventions.

    Attributes:
        dropout: before the classifier.
        expand_always: the tutorial's first block keeps its 1x1 expansion, though its factor is 1.
        projection_shortcut: the tutorial sums in *every* stride-1 block, through a 1x1 convolution with BN; the
            paper sums where the channels agree, and adds nothing to it.
        extra_blocks: blocks that the tutorial adds to each stage's ``repeats``.
        truncate: Keras cuts a block's scaled channels off to a whole number before it rounds them to a multiple of 8,
            which makes another width of 9 of the 191 from 0.10 to 2.00.
    """

    dialect: Dialect
    dropout: float
    expand_always: bool = False
    projection_shortcut: bool = False
    extra_blocks: int = 0
    truncate: bool = False


RULES = {
    "torchvision": Rules(Dialect("torchvision"), dropout=0.2),
    "timm": Rules(Dialect("timm", initialisation="fan_out"), dropout=0.0),
    "keras": Rules(
        Dialect("keras", padding="same", bn_eps=1e-3, bn_momentum=0.001, initialisation="glorot"),
        dropout=0.0,
        truncate=True,
    ),
    "slim": Rules(
        Dialect("slim", padding="same", bn_eps=1e-3, bn_momentum=0.003, initialisation="truncated"), dropout=0.2
    ),
    "tutorial": Rules(
        Dialect("tutorial", conv_bias=True),
        dropout=0.2,
        expand_always=True,
        projection_shortcut=True,
        extra_blocks=1,
    ),
}


def build(config: NetworkConfig, *, depth_mult: float = 1.0, fixed_ends: bool = False) -> Network:
    """Builds MobileNetV2.

    Args:
        depth_mult: multiplies each stage's repeats, rounded up (timm's 110d and 120d).
        fixed_ends: keeps the stem, the last convolution, and the repeats of the first and last stage as the table
            has them, whatever the multipliers.

    Source: Table 2; Keras ``applications/mobilenet_v2.py``, torchvision ``mobilenetv2.py``, timm ``_gen_mobilenet_v2``.
    The tutorial's AvgPool 7 is a global pool here, which is the same at its size, 224.
    """
    if not (depth_mult > 0 and math.isfinite(depth_mult)):
        raise UsageError(f"depth_mult must be a number above 0, got {depth_mult}")
    rules = RULES[config.dialect]
    conv = conv_factory(rules.dialect)
    backbone = Backbone(config.output_stride)

    channels = make_divisible(STEM_CHANNELS * (1.0 if fixed_ends else config.width_mult))
    stride, dilation = backbone.step(2)
    backbone.add("stem", conv(config.in_channels, channels, 3, stride=stride, dilation=dilation, act="relu6"), channels)

    index = 0
    for stage in deepened(config.rows_or(STAGES), depth_mult, fixed_ends):
        scaled = stage.out_channels * config.width_mult
        out = make_divisible(int(scaled) if rules.truncate else scaled)
        for repeat in range(stage.repeats + rules.extra_blocks):
            table_stride = stage.stride if repeat == 0 else 1
            stride, dilation = backbone.step(table_stride)
            sums_anyway = rules.projection_shortcut and table_stride == 1
            block = InvertedResidual(
                channels,
                channels * stage.expand_ratio,
                out,
                conv=conv,
                stride=stride,
                dilation=dilation,
                expand=rules.expand_always or stage.expand_ratio != 1,
                residual=sums_anyway or (table_stride == 1 and channels == out),
                shortcut=conv(channels, out, act="none") if sums_anyway else None,
            )
            backbone.add(f"block_{index}", block, out)
            channels, index = out, index + 1

    last = make_divisible(LAST_CHANNELS * (1.0 if fixed_ends else max(1.0, config.width_mult)))
    backbone.add("conv_last", conv(channels, last, act="relu6"), last, in_pyramid=False)
    dropout = rules.dropout if config.dropout is None else config.dropout
    return Network(config, rules.dialect, backbone, ClassifierHead(last, config.num_classes, dropout=dropout))


def deepened(stages: tuple[Stage, ...], depth_mult: float, fixed_ends: bool) -> tuple[Stage, ...]:
    """Multiplies the repeats of ``stages``, rounded up; with fixed ends the first and last stay as they are."""
    ends = {0, len(stages) - 1} if fixed_ends else set()
    return tuple(
        stage if i in ends else replace(stage, repeats=math.ceil(stage.repeats * depth_mult))
        for i, stage in enumerate(stages)
    )
