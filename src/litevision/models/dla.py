"""Deep Layer Aggregation, arXiv:1707.06484: DLA-34, in timm's form."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from litevision.errors import UsageError
from litevision.models.blocks import ClassifierHead, ConvFactory, activation, conv_factory
from litevision.models.config import NetworkConfig
from litevision.models.dialect import Dialect, make_divisible
from litevision.models.network import Backbone, Network


@dataclass(frozen=True)
class Level:
    """A stage of Table 1.

    Attributes:
        depth: of the stage's tree, which holds 2 ** depth blocks; 0 for a plain 3x3 convolution.
    """

    depth: int
    out_channels: int
    stride: int

    def __post_init__(self) -> None:
        if self.depth < 0:
            raise UsageError(f"a level's depth must be 0 (a convolution) or more, got {self.depth}")
        if self.out_channels < 1:
            raise UsageError(f"a level must have 1 channel or more, got {self.out_channels}")


# Table 1, DLA-34.
# fmt: off
LEVELS = (
    #  depth out s     input
    Level(0, 16,  1),  # 224 x 224
    Level(0, 32,  2),  # 224 x 224
    Level(1, 64,  2),  # 112 x 112
    Level(2, 128, 2),  # 56 x 56
    Level(2, 256, 2),  # 28 x 28
    Level(1, 512, 2),  # 14 x 14
)
# fmt: on
ROW_KINDS = (Level,)

DIALECT = Dialect("timm")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, plus a shortcut that the tree brings: [N, in, H, W] -> [N, out, H', W']."""

    def __init__(self, in_channels: int, out_channels: int, *, conv: ConvFactory, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, 3, stride=stride, dilation=dilation, act="relu")
        self.conv2 = conv(out_channels, out_channels, 3, dilation=dilation, act="none")
        self.act = activation("relu")

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        y: Tensor = self.act(self.conv2(self.conv1(x)) + shortcut)
        return y


class Root(nn.Module):
    """An aggregation node: the maps of [N, *, H, W] become one of [N, out, H, W]."""

    def __init__(self, in_channels: int, out_channels: int, *, conv: ConvFactory) -> None:
        super().__init__()
        self.conv = conv(in_channels, out_channels, act="relu")

    def forward(self, *maps: Tensor) -> Tensor:
        y: Tensor = self.conv(torch.cat(maps, dim=1))
        return y


class Tree(nn.Module):
    """Two blocks under a root: [N, in, H, W] -> [N, out, H', W'].

    Args:
        earlier_channels: channels of all the maps from outside that the root aggregates as well.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        earlier_channels: int,
        *,
        conv: ConvFactory,
        stride: int,
        dilation: int,
    ) -> None:
        super().__init__()
        self.pool = max_pool(stride)
        self.project = nn.Identity() if in_channels == out_channels else conv(in_channels, out_channels, act="none")
        self.tree1 = BasicBlock(in_channels, out_channels, conv=conv, stride=stride, dilation=dilation)
        self.tree2 = BasicBlock(out_channels, out_channels, conv=conv, stride=1, dilation=dilation)
        self.root = Root(2 * out_channels + earlier_channels, out_channels, conv=conv)

    def forward(self, x: Tensor, *earlier: Tensor) -> Tensor:
        first = self.tree1(x, self.project(self.pool(x)))
        second = self.tree2(first, first)
        y: Tensor = self.root(second, first, *earlier)
        return y


class DeepTree(nn.Module):
    """Two trees of one depth less; the second aggregates the first's map too: [N, in, H, W] -> [N, out, H', W']."""

    def __init__(self, tree1: nn.Module, tree2: nn.Module) -> None:
        super().__init__()
        self.tree1 = tree1
        self.tree2 = tree2

    def forward(self, x: Tensor, *earlier: Tensor) -> Tensor:
        first = self.tree1(x)
        y: Tensor = self.tree2(first, *earlier, first)
        return y


class LinkedTree(nn.Module):
    """A tree whose last root aggregates the level's own input too: [N, in, H, W] -> [N, out, H', W']."""

    def __init__(self, tree: nn.Module, stride: int) -> None:
        super().__init__()
        self.pool = max_pool(stride)
        self.tree = tree

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.tree(x, self.pool(x))
        return y


def max_pool(stride: int) -> nn.Module:
    """What brings a tree's input to its output's size.

    It rounds odd sizes up, as the strided convolutions do that it runs beside.
    """
    return nn.MaxPool2d(2, stride=2, ceil_mode=True) if stride == 2 else nn.Identity()


def make_tree(
    depth: int,
    in_channels: int,
    out_channels: int,
    earlier_channels: int,
    *,
    conv: ConvFactory,
    stride: int,
    dilation: int,
) -> nn.Module:
    """A tree of 2 ** ``depth`` blocks, of which the first strides."""
    if depth == 1:
        return Tree(in_channels, out_channels, earlier_channels, conv=conv, stride=stride, dilation=dilation)
    first = make_tree(depth - 1, in_channels, out_channels, 0, conv=conv, stride=stride, dilation=dilation)
    # The first tree's map is one more that comes from outside the second.
    earlier_channels += out_channels
    second = make_tree(depth - 1, out_channels, out_channels, earlier_channels, conv=conv, stride=1, dilation=dilation)
    return DeepTree(first, second)


def build(config: NetworkConfig) -> Network:
    """Builds DLA-34.

    The first tree does not aggregate its input; each later one does.

    Source: Table 1 and Figure 3; timm ``dla.py``, which leaves out the projections that nothing uses.
    Differs: timm's pools round odd sizes down, its convolutions up, so it fails where a tree's input is odd.
    """
    conv = conv_factory(DIALECT)
    backbone = Backbone(config.output_stride)
    levels = config.rows_or(LEVELS)

    channels = make_divisible(levels[0].out_channels * config.width_mult)
    backbone.add("base_layer", conv(config.in_channels, channels, 7, act="relu"), channels)
    has_tree = False
    for number, level in enumerate(levels):
        stride, dilation = backbone.step(level.stride)
        out = make_divisible(level.out_channels * config.width_mult)
        part: nn.Module
        if level.depth == 0:
            part = conv(channels, out, 3, stride=stride, dilation=dilation, act="relu")
        else:
            linked = channels if has_tree else 0
            part = make_tree(level.depth, channels, out, linked, conv=conv, stride=stride, dilation=dilation)
            part = LinkedTree(part, stride) if has_tree else part
            has_tree = True
        backbone.add(f"level{number}", part, out)
        channels = out
    head = ClassifierHead(channels, config.num_classes, dropout=config.dropout or 0.0)
    return Network(config, DIALECT, backbone, head)
