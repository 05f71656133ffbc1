"""MobileNetV4, arXiv:2404.10518, its networks of convolutions alone, in timm's form.

Its block is the universal inverted bottleneck: an inverted residual with a depthwise convolution before the expansion,
after it, at both places or at none. There are no squeeze-and-excites, and ReLU stands everywhere.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from litevision.errors import UsageError
from litevision.models.blocks import ClassifierHead, ConvFactory, ConvNormAct, batch_norm, conv_factory
from litevision.models.config import NetworkConfig
from litevision.models.dialect import Dialect, make_divisible
from litevision.models.network import Backbone, Network


@dataclass(frozen=True)
class Conv:
    """A row that is one convolution."""

    kernel_size: int
    out_channels: int
    stride: int

    def __post_init__(self) -> None:
        require_odd(self.kernel_size)
        require_above_0("out_channels", self.out_channels)


@dataclass(frozen=True)
class FusedBottleneck:
    """A row that expands by a full k x k convolution in place of 1x1 and depthwise, then projects."""

    kernel_size: int
    expand_ratio: int
    out_channels: int
    stride: int

    def __post_init__(self) -> None:
        require_odd(self.kernel_size)
        require_above_0("expand_ratio", self.expand_ratio)
        require_above_0("out_channels", self.out_channels)


@dataclass(frozen=True)
class UniversalBottleneck:
    """A row that is one universal inverted bottleneck.

    Attributes:
        start: kernel of the depthwise convolution before the expansion; 0 leaves it out.
        middle: kernel of the one after the expansion; 0 leaves it out. The row's stride is its, else the first one's.
    """

    start: int
    middle: int
    expand_ratio: int
    out_channels: int
    stride: int = 1

    def __post_init__(self) -> None:
        for kernel_size in filter(None, (self.start, self.middle)):
            require_odd(kernel_size)
        if self.stride != 1 and not (self.start or self.middle):
            raise UsageError(f"a row of stride {self.stride} must have a start or a middle kernel, got 0 and 0")
        require_above_0("expand_ratio", self.expand_ratio)
        require_above_0("out_channels", self.out_channels)


def require_odd(kernel_size: int) -> None:
    """Raises ``UsageError`` unless ``kernel_size`` is odd and above 0."""
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise UsageError(f"a row's kernel must be odd and above 0, got {kernel_size}")


def require_above_0(what: str, number: int) -> None:
    """Raises ``UsageError`` unless ``number`` is above 0."""
    if number < 1:
        raise UsageError(f"a row's {what} must be 1 or more, got {number}")


Row = Conv | FusedBottleneck | UniversalBottleneck
ROW_KINDS = (Conv, FusedBottleneck, UniversalBottleneck)
UIB = UniversalBottleneck

# fmt: off
# Table 11, as timm has it.
SMALL: tuple[Row, ...] = (
    #    k  c    s     input
    Conv(3, 32,  2),  # 112 x 112
    Conv(1, 32,  1),  # 56 x 56
    Conv(3, 96,  2),  # 56 x 56
    Conv(1, 64,  1),  # 28 x 28
    #   start middle t  c    s
    UIB(5,    5,     3, 96,  2),  # 28 x 28
    UIB(0,    3,     2, 96),   # 14 x 14
    UIB(0,    3,     2, 96),
    UIB(0,    3,     2, 96),
    UIB(0,    3,     2, 96),
    UIB(3,    0,     4, 96),
    UIB(3,    3,     6, 128, 2),  # 14 x 14
    UIB(5,    5,     4, 128),  # 7 x 7
    UIB(0,    5,     4, 128),
    UIB(0,    5,     3, 128),
    UIB(0,    3,     4, 128),
    UIB(0,    3,     4, 128),
)
# Table 12, as timm has it.
MEDIUM: tuple[Row, ...] = (
    #               k  t  c   s
    FusedBottleneck(3, 4, 48, 2),  # 112 x 112
    #   start middle t  c    s
    UIB(3,    5,     4, 80,  2),  # 56 x 56
    UIB(3,    3,     2, 80),   # 28 x 28
    UIB(3,    5,     6, 160, 2),  # 28 x 28
    UIB(3,    3,     4, 160),  # 14 x 14
    UIB(3,    3,     4, 160),
    UIB(3,    5,     4, 160),
    UIB(3,    3,     4, 160),
    UIB(3,    0,     4, 160),
    UIB(0,    0,     2, 160),
    UIB(3,    0,     4, 160),
    UIB(5,    5,     6, 256, 2),  # 14 x 14
    UIB(5,    5,     4, 256),  # 7 x 7
    UIB(3,    5,     4, 256),
    UIB(3,    5,     4, 256),
    UIB(0,    0,     4, 256),
    UIB(3,    0,     4, 256),
    UIB(3,    5,     2, 256),
    UIB(5,    5,     4, 256),
    UIB(0,    0,     4, 256),
    UIB(0,    0,     4, 256),
    UIB(5,    0,     2, 256),
)
# Table 13, as timm has it.
LARGE: tuple[Row, ...] = (
    #               k  t  c   s
    FusedBottleneck(3, 4, 48, 2),  # 112 x 112
    #   start middle t  c    s
    UIB(3,    5,     4, 96,  2),  # 56 x 56
    UIB(3,    3,     4, 96),   # 28 x 28
    UIB(3,    5,     4, 192, 2),  # 28 x 28
    UIB(3,    3,     4, 192),  # 14 x 14
    UIB(3,    3,     4, 192),
    UIB(3,    3,     4, 192),
    UIB(3,    5,     4, 192),
    UIB(5,    3,     4, 192),
    UIB(5,    3,     4, 192),
    UIB(5,    3,     4, 192),
    UIB(5,    3,     4, 192),
    UIB(5,    3,     4, 192),
    UIB(3,    0,     4, 192),
    UIB(5,    5,     4, 512, 2),  # 14 x 14
    UIB(5,    5,     4, 512),  # 7 x 7
    UIB(5,    5,     4, 512),
    UIB(5,    5,     4, 512),
    UIB(5,    0,     4, 512),
    UIB(5,    3,     4, 512),
    UIB(5,    0,     4, 512),
    UIB(5,    0,     4, 512),
    UIB(5,    3,     4, 512),
    UIB(5,    5,     4, 512),
    UIB(5,    0,     4, 512),
    UIB(5,    0,     4, 512),
    UIB(5,    0,     4, 512),
)
# fmt: on
LAST_CHANNELS = 960
HIDDEN_CHANNELS = 1280


@dataclass(frozen=True)
class Table:
    """A whole table: the stem's channels, and the rows up to the 1x1 convolution of 960."""

    stem_channels: int
    rows: tuple[Row, ...]


TABLES = {
    "mobilenet_v4_conv_small": Table(32, SMALL),
    "mobilenet_v4_conv_medium": Table(32, MEDIUM),
    "mobilenet_v4_conv_large": Table(24, LARGE),
}
RULES = {"timm": Dialect("timm", initialisation="fan_out")}


class FusedInvertedResidual(nn.Module):
    """Expand k x k, project 1x1; plus its input where ``residual``: [N, in, H, W] -> [N, out, H', W']."""

    def __init__(self, expand: nn.Module, project: nn.Module, *, residual: bool) -> None:
        super().__init__()
        self.expand = expand
        self.project = project
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.expand(x))
        return x + y if self.residual else y


class UniversalInvertedResidual(nn.Module):
    """Depthwise, expand 1x1, depthwise, project 1x1; plus its input where ``residual``.

    [N, in, H, W] -> [N, out, H', W']. Either depthwise convolution may be the identity.

    Source: MobileNetV4, arXiv:2404.10518, section 3.
    """

    def __init__(
        self, start: nn.Module, expand: nn.Module, middle: nn.Module, project: nn.Module, *, residual: bool
    ) -> None:
        super().__init__()
        self.start = start
        self.expand = expand
        self.middle = middle
        self.project = project
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.middle(self.expand(self.start(x))))
        return x + y if self.residual else y


class PooledConv(ConvNormAct):
    """A 1x1 convolution with batch normalisation of pooled features: [N, in] -> [N, out]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :, None, None]).flatten(1)


def block(row: Row, channels: int, out: int, *, conv: ConvFactory, stride: int, dilation: int) -> nn.Module:
    """Builds ``row``: [N, channels, H, W] -> [N, out, H / stride, W / stride].

    The table's stride decides whether the input is added, so that dilation leaves the sum as it was.
    """
    residual = row.stride == 1 and channels == out
    if isinstance(row, Conv):
        return conv(channels, out, row.kernel_size, stride=stride, dilation=dilation)
    exp = make_divisible(channels * row.expand_ratio)
    project = conv(exp, out, act="none")
    if isinstance(row, FusedBottleneck):
        expand = conv(channels, exp, row.kernel_size, stride=stride, dilation=dilation)
        return FusedInvertedResidual(expand, project, residual=residual)
    start: nn.Module = nn.Identity()
    middle: nn.Module = nn.Identity()
    if row.start:
        start_stride = 1 if row.middle else stride
        start = conv(channels, channels, row.start, stride=start_stride, dilation=dilation, groups=channels, act="none")
    if row.middle:
        middle = conv(exp, exp, row.middle, stride=stride, dilation=dilation, groups=exp)
    return UniversalInvertedResidual(start, conv(channels, exp), middle, project, residual=residual)


def build(config: NetworkConfig) -> Network:
    """Builds MobileNetV4.

    Below width 1 the stem keeps its channels; the layer of 1280 between pool and classifier keeps its at each width.

    Source: Tables 11 to 13; timm ``_gen_mobilenet_v4``.
    """
    table, dialect, width = TABLES[config.architecture], RULES[config.dialect], config.width_mult
    conv = conv_factory(dialect)
    backbone = Backbone(config.output_stride)

    channels = make_divisible(table.stem_channels * max(1.0, width))
    stride, dilation = backbone.step(2)
    backbone.add("stem", conv(config.in_channels, channels, 3, stride=stride, dilation=dilation), channels)
    for i, row in enumerate(config.rows_or(table.rows, ROW_KINDS)):
        out = make_divisible(row.out_channels * width)
        stride, dilation = backbone.step(row.stride)
        backbone.add(f"block_{i}", block(row, channels, out, conv=conv, stride=stride, dilation=dilation), out)
        channels = out
    last = make_divisible(LAST_CHANNELS * width)
    backbone.add("conv_last", conv(channels, last), last)

    head = ClassifierHead(
        last,
        config.num_classes,
        hidden_channels=HIDDEN_CHANNELS,
        hidden=PooledConv(last, HIDDEN_CHANNELS, norm=batch_norm(dialect)),
        dropout=0.0 if config.dropout is None else config.dropout,
    )
    return Network(config, dialect, backbone, head)
