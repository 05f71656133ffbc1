"""The keyword arguments of ``create`` for each kind of network, as type checkers see them."""

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from litevision.models.centernet import Neck
from litevision.weights.trained import WeightsLike


class _BackboneArguments(TypedDict, total=False):
    width_mult: float
    num_classes: int | None
    dialect: str | None
    weights: WeightsLike | None
    output_stride: int | None
    rows: Iterable[Any] | str | None
    in_channels: int
    unchecked: bool
    depth_mult: float | None
    fixed_ends: bool | None
    min_channels: int | None
    hidden_channels: int | None
    bottleneck_ratio: float | None
    depthwise_multiplier: int | None
    extra_conv: bool | None
    reduced_tail: bool | None
    dilated: bool | None


class CreateArguments(_BackboneArguments, total=False):
    """The keyword arguments of ``create`` for a network, beside ``features_only``; their meanings stand there."""

    out_indices: Sequence[int] | None
    final_endpoint: str | None
    dropout: float | None
    reset_classifier: bool
    drop_background: bool | None
    spatial_squeeze: bool | None


class DetectorArguments(_BackboneArguments, total=False):
    """The keyword arguments of ``create`` for a detector; their meanings stand there."""

    backbone: str
    neck: Neck
    neck_channels: int | None
    head_channels: int | None


class NanoDetArguments(TypedDict, total=False):
    """The keyword arguments of ``create`` for a NanoDet; their meanings stand there."""

    num_classes: int | None
    weights: WeightsLike | None
    in_channels: int
    unchecked: bool
