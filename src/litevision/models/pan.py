"""Path aggregation necks: mix the maps of a backbone down and up again, and give one at each stride. N C H W.

Source: path aggregation, arXiv:1803.01534; ghost modules, arXiv:1911.11907; both as NanoDet has them.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from litevision.models.blocks import Activation, ConvNormAct
from litevision.models.necks import separable

ACT: Activation = "leaky_relu"


class PanNeck(nn.Module):
    """Sums of maps of equal width: maps of a backbone -> as many of [N, out, H', W'], the finest first.

    A 1x1 convolution, without normalisation or activation, brings each to the common width. Coarser maps are enlarged
    and added on the way down, finer ones halved and added on the way up. Halving by bilinear interpolation, as NanoDet
    does it, takes the mean of 2x2 cells where the sides are even.

    Source: NanoDet's ``PAN``.
    """

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        """Takes the backbone's ``channels``, the finest first."""
        super().__init__()
        self.laterals = nn.ModuleList(
            ConvNormAct(given, out_channels, act="none", bias=True, norm=None) for given in channels
        )
        self.enlarge = _enlarger()
        self.halve = nn.AvgPool2d(2)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        given: list[Tensor] = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        for i in reversed(range(len(given) - 1)):
            given[i] = given[i] + self.enlarge(given[i + 1])
        for i in range(1, len(given)):
            given[i] = given[i] + self.halve(given[i - 1])
        return given


class GhostModule(nn.Module):
    """Half of its channels by a 1x1 convolution, and of each of them another by 3x3: [N, in, H, W] -> [N, out, H, W].

    Source: arXiv:1911.11907, section 3.1.
    """

    def __init__(self, in_channels: int, out_channels: int, *, act: Activation) -> None:
        super().__init__()
        half = out_channels // 2
        self.primary = ConvNormAct(in_channels, half, act=act)
        self.cheap = ConvNormAct(half, half, 3, groups=half, act=act)

    def forward(self, x: Tensor) -> Tensor:
        x = self.primary(x)
        return torch.cat((x, self.cheap(x)), dim=1)


class GhostBottleneck(nn.Module):
    """Two ghost modules beside a separable shortcut: [N, in, H, W] -> [N, out, H, W].

    Source: arXiv:1911.11907, figure 3, at stride 1.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.ghost_1 = GhostModule(in_channels, out_channels, act=ACT)
        self.ghost_2 = GhostModule(out_channels, out_channels, act="none")
        self.shortcut = separable(in_channels, out_channels, kernel_size, act="none")

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.ghost_2(self.ghost_1(x)) + self.shortcut(x)
        return y


class GhostPanNeck(nn.Module):
    """Mixes concatenated maps by ghost bottlenecks, and adds a coarser one: n maps of a backbone -> n + 1 maps.

    Source: NanoDet-Plus' ``GhostPAN``.
    """

    def __init__(self, channels: Sequence[int], out_channels: int, kernel_size: int) -> None:
        """Takes the backbone's ``channels``, the finest first."""
        super().__init__()
        out, levels = out_channels, range(len(channels) - 1)
        self.reduce = nn.ModuleList(ConvNormAct(given, out, act=ACT) for given in channels)
        self.enlarge = _enlarger()
        self.top_down = nn.ModuleList(GhostBottleneck(2 * out, out, kernel_size) for _ in levels)  # coarsest first
        self.bottom_up = nn.ModuleList(
            nn.ModuleDict(
                OrderedDict(
                    halve=separable(out, out, kernel_size, stride=2, act=ACT),
                    mix=GhostBottleneck(2 * out, out, kernel_size),
                )
            )
            for _ in levels
        )
        self.extra_of_input = separable(out, out, kernel_size, stride=2, act=ACT)
        self.extra_of_output = separable(out, out, kernel_size, stride=2, act=ACT)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        given: list[Tensor] = [reduce(x) for reduce, x in zip(self.reduce, maps, strict=True)]
        inner = given[-1:]
        for mix, finer in zip(self.top_down, reversed(given[:-1]), strict=True):
            inner.insert(0, mix(torch.cat((self.enlarge(inner[0]), finer), dim=1)))
        outer = inner[:1]
        for step, coarser in zip(self.bottom_up, inner[1:], strict=True):
            assert isinstance(step, nn.ModuleDict)
            outer.append(step["mix"](torch.cat((step["halve"](outer[-1]), coarser), dim=1)))
        return [*outer, self.extra_of_input(given[-1]) + self.extra_of_output(outer[-1])]


def _enlarger() -> nn.Module:
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
