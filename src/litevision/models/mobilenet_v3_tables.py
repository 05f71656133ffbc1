"""MobileNetV3's tables, arXiv:1905.02244, and what its implementations derive from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import get_args

from litevision.errors import UsageError
from litevision.models.blocks import Activation


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


def with_reduced_tail(table: Table) -> Table:
    """``table`` with half the channels behind its last stride. Source: torchvision ``_mobilenet_v3_conf``."""
    last = max(i for i, row in enumerate(table.rows) if row.stride == 2)
    rows = tuple(
        row
        if i < last
        else replace(row, out_channels=row.out_channels // 2, exp_channels=row.exp_channels // (2 if i > last else 1))
        for i, row in enumerate(table.rows)
    )
    return replace(table, rows=rows, hidden_channels=table.hidden_channels // 2)


def stages(rows: Sequence[Bneck]) -> list[list[Bneck]]:
    """``rows`` by stage: one opens where the table strides or changes its channels."""
    found: list[list[Bneck]] = []
    for i, row in enumerate(rows):
        if i == 0 or row.stride == 2 or row.out_channels != rows[i - 1].out_channels:
            found.append([])
        found[-1].append(row)
    return found


def deepened(rows: Sequence[Bneck], depth_mult: float) -> tuple[Bneck, ...]:
    """Multiplies the rows of each stage, rounded up; what is added repeats its alike.

    Rows are alike where they differ in their input and stride alone. A stage's rows are dealt out from its end, each
    kind of them in proportion. Source: timm ``_scale_stage_depth``.
    """
    if depth_mult == 1:
        return tuple(rows)
    result: list[Bneck] = []
    table_in = STEM_CHANNELS
    for stage in stages(rows):
        kinds: list[tuple[Bneck, Fraction, int]] = []  # its first row, its expansion, how many there are
        for row in stage:
            ratio = Fraction(row.exp_channels, table_in)
            first = kinds[-1][0] if kinds else None
            alike = first is not None and replace(row, exp_channels=first.exp_channels, stride=first.stride) == first
            if alike and kinds[-1][1] == ratio:
                kinds[-1] = (*kinds[-1][:2], kinds[-1][2] + 1)
            else:
                kinds.append((row, ratio, 1))
            table_in = row.out_channels
        left, scaled_left = len(stage), math.ceil(len(stage) * depth_mult)
        counts: list[int] = []
        for *_, count in reversed(kinds):
            counts.insert(0, max(1, round(count / left * scaled_left)))
            left, scaled_left = left - count, scaled_left - counts[0]
        for (row, ratio, _), count in zip(kinds, counts, strict=True):
            more = replace(row, exp_channels=round(ratio * row.out_channels), stride=1)
            result += [row, *[more] * (count - 1)]
    return tuple(result)
