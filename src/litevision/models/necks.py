"""Necks: fuse the maps of a backbone into one map at stride 4 for a detector's heads. N C H W as everywhere."""

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from litevision.errors import UsageError
from litevision.models.blocks import Activation, ConvNormAct

STRIDE = 4
"""Input pixels per cell of the map that every neck gives."""


def separable(
    in_channels: int, out_channels: int, kernel_size: int = 3, *, stride: int = 1, act: Activation = "relu"
) -> nn.Sequential:
    """A depthwise and a 1x1 convolution, each with BN and activation: [N, in, H, W] -> [N, out, H / stride, ...]."""
    depthwise = ConvNormAct(in_channels, in_channels, kernel_size, stride=stride, groups=in_channels, act=act)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=ConvNormAct(in_channels, out_channels, act=act)))


class ReshapeNeck(nn.Module):
    """Reshapes the last map to a larger one without moving a number: [N, C, H, W] -> [N, C / r^2, r * H, r * W].

    A plain view: the cells of a channel become those of a band of rows, not of a neighbourhood as in a pixel shuffle.

    Source: the CenterNet of a widely read tutorial on MobileNetV2 in PyTorch (see `mobilenet_v2`); with r = 8,
    1280x16x16 becomes 20x128x128.
    """

    def __init__(self, in_channels: int, stride: int) -> None:
        super().__init__()
        self.ratio = stride // STRIDE
        self.out_channels, left = divmod(in_channels, self.ratio**2)
        if left or self.out_channels == 0:
            raise UsageError(
                f"the neck 'reshape' needs a last map whose channels divide by {self.ratio**2}, got {in_channels}; "
                "take another width_mult, or the neck 'light'"
            )

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, self.out_channels, self.ratio * x.shape[-2], self.ratio * x.shape[-1])

    def extra_repr(self) -> str:
        return f"ratio={self.ratio}"


class LightNeck(nn.Module):
    """A feature pyramid of depthwise-separable layers: maps of a backbone -> [N, out, H/4, W/4].

    From the coarsest map down: a 1x1 convolution brings each map of the backbone to a common width, the sum with the
    coarser one is enlarged to its size, and a separable layer mixes the two. All but the finest are twice as wide as
    what the neck gives, for there they cost little. The coarsest has a separable layer of its own, of 5x5, which widens
    what is seen around a large object by 128 px.

    Source: the top-down path of arXiv:1612.03144.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], out_channels: int) -> None:
        """Takes the backbone's ``channels`` and ``strides``, the finest first."""
        super().__init__()
        self.out_channels = out_channels
        widths = [out_channels] + [2 * out_channels] * (len(channels) - 1)
        self.laterals = nn.ModuleList(
            ConvNormAct(given, width, act="none") for given, width in zip(channels, widths, strict=True)
        )
        self.context = separable(widths[-1], widths[max(0, len(widths) - 2)], 5)
        self.mix = nn.ModuleList(separable(width, widths[max(0, i - 1)]) for i, width in enumerate(widths[:-1]))
        self.enlarge = nn.ModuleList(
            nn.Upsample(scale_factor=coarse // fine, mode="nearest") if coarse > fine else nn.Identity()
            for fine, coarse in itertools.pairwise(strides)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        y: Tensor = self.context(self.laterals[-1](maps[-1]))
        for i in reversed(range(len(maps) - 1)):
            y = self.mix[i](self.laterals[i](maps[i]) + self.enlarge[i](y))
        return y


class IterativeUp(nn.Module):
    """Brings maps to the size and width of the finest, and aggregates each with the one before.

    Source: CenterNet's ``IDAUp``.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        out = channels[0]
        conv = partial(ConvNormAct, kernel_size=3)
        self.project = nn.ModuleList(conv(given, out) for given in channels[1:])
        self.enlarge = nn.ModuleList(enlarger(out, stride // strides[0]) for stride in strides[1:])
        self.node = nn.ModuleList(conv(out, out) for _ in channels[1:])

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        done = maps[:1]
        for x, project, enlarge, node in zip(maps[1:], self.project, self.enlarge, self.node, strict=True):
            done.append(node(enlarge(project(x)) + done[-1]))
        return done


class DlaUpNeck(nn.Module):
    """DLASeg's neck with plain 3x3 convolutions: maps of a backbone -> [N, C, H/4, W/4], C as in the finest map.

    Source: CenterNet's ``pose_dla_dcn.py``. Differs: plain convolutions where that has deformable ones.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        """Takes the backbone's ``channels`` and ``strides``, the finest first."""
        super().__init__()
        if len(channels) < 2:
            raise UsageError(f"the neck 'dlaup' aggregates two maps or more, got {len(channels)}; take 'light'")
        self.out_channels = channels[0]
        given_channels, given_strides = list(channels), list(strides)
        self.steps = nn.ModuleList()
        for first in reversed(range(len(channels) - 1)):
            self.steps.append(IterativeUp(given_channels[first:], given_strides[first:]))
            for i in range(first + 1, len(channels)):
                given_channels[i], given_strides[i] = channels[first], strides[first]
        self.last = IterativeUp(channels[:-1], strides[:-1])

    def forward(self, maps: list[Tensor]) -> Tensor:
        aggregated = [maps[-1]]
        for first, step in zip(reversed(range(len(maps) - 1)), self.steps, strict=True):
            maps = maps[:first] + step(maps[first:])
            aggregated.insert(0, maps[-1])
        y: Tensor = self.last(aggregated[:-1])[-1]
        return y


def enlarger(channels: int, ratio: int) -> nn.Module:
    """A depthwise transposed convolution that begins as bilinear interpolation to ``ratio`` times the size.

    Source: CenterNet's ``fill_up_weights``.
    """
    if ratio == 1:
        return nn.Identity()
    layer = nn.ConvTranspose2d(
        channels, channels, 2 * ratio, stride=ratio, padding=ratio // 2, groups=channels, bias=False
    )
    if not layer.weight.is_meta:
        taps = 1 - (torch.arange(2 * ratio) - (2 * ratio - 1) / 2).abs() / ratio
        with torch.no_grad():
            layer.weight.copy_(torch.outer(taps, taps).expand_as(layer.weight))
    return layer
