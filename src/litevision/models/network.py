"""Networks: a backbone of named parts, a head, endpoints, and feature pyramids."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch.fx
from torch import Tensor, nn

from litevision.errors import InputShapeError, UnknownNameError, UsageError
from litevision.models.blocks import ClassifierHead
from litevision.models.config import MAX_CHANNELS, MAX_PARTS, NetworkConfig
from litevision.models.dialect import Dialect
from litevision.models.initialisation import initialise
from litevision.models.pretrained import Pretrained


@dataclass(frozen=True)
class Endpoint:
    """A named layer of a backbone whose output can be taken.

    Attributes:
        channels: channels of the map there.
        stride: input pixels per map cell, dilation considered.
        level: how often the table has halved the map by then; a pyramid takes the last endpoint of each level.
        in_pyramid: False for a convolution that belongs to the classifier (V2's 1280, V3's 960, ShuffleNet's conv5).
    """

    name: str
    channels: int
    stride: int
    level: int
    in_pyramid: bool = True


class Backbone:
    """Collects the parts of a backbone while a builder walks its table; here ``output_stride`` becomes dilation.

    Once the running stride has reached ``output_stride``, a row that would stride runs at stride 1, and the rows
    *after* it are dilated by the product of the strides dropped so far. Source: TF-slim, ``mobilenet_v1_base``.
    """

    def __init__(self, output_stride: int) -> None:
        self.output_stride = output_stride
        self.stride = 1
        self.dilation = 1
        self.level = 0
        self.parts: OrderedDict[str, nn.Module] = OrderedDict()
        self.endpoints: list[Endpoint] = []

    def step(self, stride: int, *, dilates_at_once: bool = False) -> tuple[int, int]:
        """Returns the (stride, dilation) to build the next row with, where the table says ``stride``.

        Args:
            dilates_at_once: the row is dilated in place of its stride, as torchvision has it.
        """
        if dilates_at_once and stride == 2:
            self.level += 1
            self.dilation *= stride
            return 1, self.dilation
        dilation = self.dilation
        if stride == 1:
            return 1, dilation
        if stride != 2:
            raise UsageError(f"a row's stride must be 1 or 2, got {stride}")
        self.level += 1
        if self.stride >= self.output_stride:
            self.dilation *= stride
            return 1, dilation
        self.stride *= stride
        return stride, dilation

    def add(self, name: str, part: nn.Module, channels: int, *, in_pyramid: bool = True) -> None:
        """Appends ``part``, which gives ``channels`` channels at the running stride.

        Raises:
            UsageError: more parts or channels than any network has; configurations come with files of strangers.
        """
        if len(self.endpoints) == MAX_PARTS or channels > MAX_CHANNELS:
            raise UsageError(
                f"a network of more than {MAX_PARTS:,} parts or {MAX_CHANNELS:,} channels, at {name} with {channels:,}"
                "; expected fewer rows, repeats or channels"
            )
        self.parts[name] = part
        self.endpoints.append(Endpoint(name, channels, self.stride, self.level, in_pyramid))


@torch.fx.wrap
def require_nchw(x: Tensor, in_channels: int) -> Tensor:
    """Returns ``x`` if it is [N, in_channels, H, W].

    Raises:
        InputShapeError: it is not.
    """
    if x.dim() != 4 or x.shape[1] != in_channels:
        raise InputShapeError(
            f"the input must have rank 4, [N, {in_channels}, H, W], got {list(x.shape)}"
            + (" (add the batch axis with x[None])" if x.dim() == 3 else "")
        )
    return x


class Network(nn.Module):
    """A network of the package: ``features``, a sequence of named parts, then ``head``.

    Attributes:
        config: what it was built from.
        dialect: the conventions of its layers.
        endpoints: every named place of the backbone, in order.
        num_features: length of the vector before the classifier.
        pretrained: what is known of its weights; None from scratch.
    """

    def __init__(self, config: NetworkConfig, dialect: Dialect, backbone: Backbone, head: ClassifierHead) -> None:
        super().__init__()
        self.config = config
        self.dialect = dialect
        self.pretrained: Pretrained | None = None
        last = config.final_endpoint
        if last is None:
            self.endpoints = tuple(backbone.endpoints)
            self.num_features = head.num_features
        else:
            names = list(backbone.parts)
            if last not in names:
                raise UnknownNameError.of(f"endpoint of {config.architecture}", last, names)
            self.endpoints = tuple(backbone.endpoints[: names.index(last) + 1])
            self.num_features = self.endpoints[-1].channels
        self.features = nn.Sequential(OrderedDict((end.name, backbone.parts[end.name]) for end in self.endpoints))
        self.head = head if last is None else nn.Identity()
        initialise(self, dialect.initialisation, pointwise=(head.hidden,))

    def forward(self, x: Tensor) -> Tensor:
        """Computes logits [N, classes]; without classes pooled features, after ``final_endpoint`` its map.

        Args:
            x: normalised images, [N, in_channels, H, W].
        """
        y: Tensor = self.head(self.features(require_nchw(x, self.config.in_channels)))
        return y

    def forward_features(self, x: Tensor) -> Tensor:
        """Computes the backbone's last map, [N, C, H, W]."""
        y: Tensor = self.features(require_nchw(x, self.config.in_channels))
        return y

    def forward_endpoints(self, x: Tensor, final_endpoint: str | None = None) -> dict[str, Tensor]:
        """Computes every endpoint's activation by name, up to ``final_endpoint``.

        Without a ``final_endpoint`` the head follows: ``global_pool`` (the features before the classifier),
        ``logits`` and ``predictions`` (their softmax; their sigmoid where the weights say so, or there is one).

        Raises:
            UnknownNameError: no endpoint ``final_endpoint``; the message lists those that exist.
        """
        names = [end.name for end in self.endpoints]
        if final_endpoint is not None and final_endpoint not in names:
            raise UnknownNameError.of(f"endpoint of {self.config.architecture}", final_endpoint, names)
        require_nchw(x, self.config.in_channels)
        found: dict[str, Tensor] = {}
        for name, part in self.features.named_children():
            x = part(x)
            found[name] = x
            if name == final_endpoint:
                return found
        if isinstance(self.head, ClassifierHead):
            found["global_pool"] = self.head.pool(x)
            if self.config.num_classes:
                found["logits"] = self.head.classify(found["global_pool"])
                is_sigmoid = self.config.num_classes == 1 or (
                    self.pretrained and self.pretrained.activation == "sigmoid"
                )
                found["predictions"] = found["logits"].sigmoid() if is_sigmoid else found["logits"].softmax(-1)
        return found


class FeaturePyramid(nn.Module):
    """The backbone of a network as a pyramid: [N, C, H, W] -> one map per level, the finest first.

    A level is the last endpoint before the table strides again; the convolution that only feeds the classifier is
    left out. Its weights have the names that they have in the whole network.

    Attributes:
        feature_info: the endpoint, channels and stride of each map that ``forward`` gives.
        pretrained: what is known of its weights; None from scratch.
    """

    def __init__(self, network: Network, out_indices: Sequence[int] | None = None) -> None:
        """Takes the backbone of ``network``; ``out_indices`` picks levels (all by default; negative: from the end).

        Raises:
            UsageError: an index without a level, no index at all, or a backbone that never strides.
        """
        super().__init__()
        by_level = {end.level: end for end in network.endpoints if end.in_pyramid and end.level > 0}
        levels = [by_level[level] for level in sorted(by_level)]
        picked = range(len(levels)) if out_indices is None else out_indices
        if not levels:
            raise UsageError(f"this {network.config.architecture} never strides, so it has no pyramid")
        if not picked:
            raise UsageError(f"out_indices must name at least one of the {len(levels)} levels, got none")
        try:
            wanted = {levels[index].name for index in picked}
        except IndexError:
            raise UsageError(
                f"out_indices must lie in 0..{len(levels) - 1} for {network.config.architecture}, got {list(picked)}"
            ) from None
        self.config = network.config
        self.dialect = network.dialect
        self.pretrained = network.pretrained
        self.feature_info = tuple(end for end in levels if end.name in wanted)
        last = [end.name for end in network.endpoints].index(self.feature_info[-1].name)
        parts = list(network.features.named_children())[: last + 1]
        self.features = nn.Sequential(OrderedDict(parts))

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each map."""
        return tuple(end.channels for end in self.feature_info)

    @property
    def strides(self) -> tuple[int, ...]:
        """Input pixels per cell of each map."""
        return tuple(end.stride for end in self.feature_info)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = require_nchw(x, self.config.in_channels)
        wanted = {end.name for end in self.feature_info}
        maps = []
        for name, part in self.features.named_children():
            x = part(x)
            if name in wanted:
                maps.append(x)
        return maps
