"""CenterNet, arXiv:1904.07850: objects as peaks of a heatmap at stride 4, on the backbone of any network here.

N C H W: batch, classes, height, width of the input; K: detections. A cell is 4 x 4 px.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litevision.errors import UnknownNameError, UsageError, WeightsMismatchError
from litevision.image import Preprocess
from litevision.models.blocks import ConvNormAct
from litevision.models.config import MAX_CHANNELS, MAX_CLASSES, ModelConfig, NetworkConfig
from litevision.models.factory import build
from litevision.models.initialisation import initialise
from litevision.models.necks import STRIDE, DlaUpNeck, LightNeck, ReshapeNeck, separable
from litevision.models.network import FeaturePyramid, Network, require_nchw
from litevision.models.pretrained import Pretrained
from litevision.runtime import Architecture

Neck = Literal["light", "dlaup", "reshape"]

LIGHT_CHANNELS = 64
HEAD_CHANNELS: dict[Neck, int] = {"light": 64, "dlaup": 256, "reshape": 0}
"""Default width of the heads' hidden layer."""

_BACKBONE = "backbone."  # what the names of the backbone's weights begin with
_STATED = ("neck", "neck_channels", "head_channels")  # in a bundle, beside the backbone and the classes

HEATMAP_BIAS = -2.19
"""The initial logit of every cell, a score of 0.1. Source: CenterNet."""


@dataclass(frozen=True)
class CenterNetConfig(ModelConfig):
    """The configuration of a detector.

    Attributes:
        backbone: the network whose backbone it takes; its number of classes and its dropout have no effect.
        num_classes: 1 or more.
        neck: ``light``: a feature pyramid of depthwise-separable layers. ``dlaup``: DLASeg's, with plain convolutions.
            ``reshape``: the tutorial's plain view of the last map, convolution of the classifier included.
        neck_channels: of the map that ``light`` gives; None for 64. The other necks' follow from the backbone.
        head_channels: of the hidden layer in each head, 0 for none; None for the neck's own: 64, 256 and 0.
    """

    KIND: ClassVar[str] = "detector's configuration"
    MODEL: ClassVar[str] = "detector"
    task: ClassVar[str] = "detection"
    crop_needs_labels: ClassVar[bool] = True

    backbone: NetworkConfig
    num_classes: int
    neck: Neck = "light"
    neck_channels: int | None = None
    head_channels: int | None = None

    def __post_init__(self) -> None:
        if type(self.num_classes) is not int or self.num_classes < 1:
            raise UsageError(f"num_classes must be a whole number, 1 or more, got {self.num_classes}")
        if self.num_classes > MAX_CLASSES:
            raise UsageError(f"num_classes must be {MAX_CLASSES:,} at most, got {self.num_classes}")
        if max(self.neck_channels or 0, self.head_channels or 0) > MAX_CHANNELS:
            raise UsageError(f"neck_channels and head_channels must be {MAX_CHANNELS:,} at most, got {self}")
        if self.neck not in get_args(Neck):
            raise UnknownNameError.of("neck", self.neck, get_args(Neck))
        if self.neck_channels is not None and self.neck != "light":
            raise UsageError(f"neck_channels belongs to the neck 'light', got {self.neck_channels} with {self.neck!r}")
        if self.neck_channels is not None and self.neck_channels < 1:
            raise UsageError(f"neck_channels must be 1 or more, got {self.neck_channels}")
        if self.head_channels is not None and self.head_channels < 0:
            raise UsageError(f"head_channels must be 0 (no hidden layer) or more, got {self.head_channels}")

    @property
    def in_channels(self) -> int:
        """Channels of the input."""
        return self.backbone.in_channels

    def build(self, *, device: torch.device | str | None = None) -> "CenterNet":
        """Builds the detector, randomly initialised.

        Raises:
            UsageError: a backbone that has no map at stride 4, or a neck that cannot take its maps.
        """
        with torch.device(device) if device is not None else torch.device(torch.get_default_device()):
            return CenterNet(self)

    def as_network(self) -> NetworkConfig:
        """Returns the backbone's configuration, without classes."""
        return replace(self.backbone, num_classes=0)

    def backbone_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the backbone's part of ``state``."""
        return {name.removeprefix(_BACKBONE): tensor for name, tensor in state.items() if name.startswith(_BACKBONE)}

    @staticmethod
    def default_preprocess(size_hw: tuple[int, int]) -> Preprocess:
        """Returns the letterbox of ``size_hw``, which keeps the whole image."""
        return Preprocess(size_hw, min(size_hw), "letterbox")

    @staticmethod
    def top_k_of(recipe: Mapping[str, Any]) -> int | None:
        """Returns how many boxes a detector gives for an image by the tables of its recipe; None where it says none."""
        top_k = recipe.get("detection", {}).get("top_k")
        if top_k is not None and type(top_k) is not int:
            raise ValueError(f"detection.top_k is {top_k!r}; expected a whole number")
        return top_k

    def to_architecture(self) -> Architecture:
        """Returns what a bundle says of the detector: its backbone, and as arguments how the rest is built on it."""
        backbone, own = self.backbone.to_architecture(), self.to_dict()
        arguments = {"detector": "centernet", **{key: own[key] for key in _STATED}, **backbone.arguments}
        return replace(backbone, num_classes=self.num_classes, arguments=arguments)

    @classmethod
    def from_architecture(cls, architecture: Architecture) -> "CenterNetConfig":
        given = {key: architecture.arguments[key] for key in _STATED if key in architecture.arguments}
        backbone = replace(NetworkConfig.from_architecture(architecture), num_classes=NetworkConfig.num_classes)
        return cls(backbone, architecture.num_classes, **given)

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON values."""
        record = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**record, "backbone": self.backbone.to_dict()}

    @classmethod
    def from_dict(cls, record: Any) -> "CenterNetConfig":
        return cls(**{**record, "backbone": NetworkConfig.from_dict(record["backbone"])})


class CenterNetMaps(NamedTuple):
    """The outputs of the heads for every cell; H/4 and W/4 are rounded up.

    Attributes:
        heatmap: logits that the centre of an object of each class lies here, [N, C, H/4, W/4].
        size: width and height of that object, in cells, [N, 2, H/4, W/4].
        offset: of its centre from the cell's left and top edge, in cells, 0 to 1, [N, 2, H/4, W/4].
    """

    heatmap: Tensor
    size: Tensor
    offset: Tensor


class Detections(NamedTuple):
    """The K strongest peaks of each image, best first.

    Attributes:
        boxes: (x1, y1, x2, y2) in px of the input, continuous edges, not clipped, float32 [N, K, 4].
        scores: in [0, 1], float32 [N, K].
        classes: int64 [N, K].
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor


class CenterNet(nn.Module):
    """A detector: backbone, neck, and a head for each of heatmap, size and offset.

    The input may have any size: inside, it is padded at the bottom and right with zeros, the mean colour, to whole
    cells of the coarsest map, and what lies outside of it is cut off again.

    Attributes:
        config: what it was built from.
        backbone: the backbone; its weights have the names that they have in the whole network.
        pretrained: what is known of its weights; None from scratch, or where only the backbone is pretrained.
    """

    def __init__(self, config: CenterNetConfig) -> None:
        """Builds the detector, randomly initialised.

        Raises:
            UsageError: a backbone that has no map at stride 4, or a neck that cannot take its maps.
        """
        super().__init__()
        self.config = config
        self.pretrained: Pretrained | None = None
        self.backbone: Network | FeaturePyramid
        self.backbone, self.stride, neck = _backbone_and_neck(config)
        self.neck = neck
        initialise(neck)
        hidden = HEAD_CHANNELS[config.neck] if config.head_channels is None else config.head_channels
        outputs = {"heatmap": (config.num_classes, HEATMAP_BIAS), "size": (2, 0.0), "offset": (2, 0.0)}
        self.heads = nn.ModuleDict(
            {
                name: _head(neck.out_channels, hidden, out, neck=config.neck, bias=bias)
                for name, (out, bias) in outputs.items()
            }
        )

    def forward(self, batch_f32_nchw: Tensor) -> CenterNetMaps:
        """Computes the outputs of the heads for normalised images, [N, in_channels, H, W]."""
        x = require_nchw(batch_f32_nchw, self.config.in_channels)
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % self.stride, 0, -height % self.stride))
        y = self.neck(self.backbone(padded))[..., : -(-height // STRIDE), : -(-width // STRIDE)]
        return CenterNetMaps(self.heads["heatmap"](y), self.heads["size"](y), self.heads["offset"](y))

    def take_backbone(self, network: Network) -> None:
        """Copies the weights of the backbone from ``network``, a classifier of the same backbone, say.

        Raises:
            WeightsMismatchError: it has another backbone.
        """
        own, given = self.backbone.state_dict(), network.state_dict()
        strange = [key for key, tensor in own.items() if key not in given or given[key].shape != tensor.shape]
        if strange:
            raise WeightsMismatchError(
                f"the network has another backbone than the detector: {len(strange)} of {len(own)} tensors "
                f"are missing or have another shape, {strange[0]} for one; build the detector on the network's own "
                "configuration"
            )
        self.backbone.load_state_dict({key: given[key] for key in own})


def decode(maps: CenterNetMaps, top_k: int = 100) -> Detections:
    """Decodes the ``top_k`` strongest peaks of each image; fewer where the map has fewer numbers.

    A peak is as high as the highest of its 3 x 3 neighbourhood. Where there are fewer peaks than that, the rest has
    the score 0. It exports as it stands: nothing depends on what the maps hold.

    Source: section 3 of the paper. Differs: peaks are found in the logits, where float32 does not round two strong
    ones to the same score; and boxes never have a negative size.
    """
    logits = maps.heatmap.float()
    height, width = logits.shape[-2:]
    is_peak = logits == F.max_pool2d(logits, 3, stride=1, padding=1)
    peaks = logits.masked_fill(~is_peak, -torch.inf).flatten(1)
    best, places = peaks.topk(min(top_k, peaks.shape[1]))
    classes, cells = places // (height * width), places % (height * width)
    picked = cells[:, None].expand(-1, 2, -1)
    offset = maps.offset.float().flatten(2).gather(2, picked)
    half = maps.size.float().flatten(2).gather(2, picked).clamp(min=0) / 2
    centre = torch.stack((cells % width, cells // width), dim=1) + offset
    boxes = STRIDE * torch.cat((centre - half, centre + half), dim=1)
    return Detections(boxes.transpose(1, 2), best.sigmoid(), classes)


def _backbone_and_neck(
    config: CenterNetConfig,
) -> tuple[Network | FeaturePyramid, int, ReshapeNeck | LightNeck | DlaUpNeck]:
    """The backbone, the stride of its coarsest map, and the neck on it."""
    if config.neck == "reshape":
        last = build(config.backbone, device="meta").endpoints[-1]
        backbone = build(replace(config.backbone, final_endpoint=last.name))
        return backbone, last.stride, ReshapeNeck(last.channels, last.stride)
    network = build(config.backbone)
    strides = FeaturePyramid(network).strides
    if STRIDE not in strides:
        raise UsageError(f"a detector needs a map at stride {STRIDE}, got a backbone with strides {strides}")
    pyramid = FeaturePyramid(network, range(strides.index(STRIDE), len(strides)))
    channels, strides = pyramid.channels, pyramid.strides
    if config.neck == "dlaup":
        return pyramid, strides[-1], DlaUpNeck(channels, strides)
    return pyramid, strides[-1], LightNeck(channels, strides, config.neck_channels or LIGHT_CHANNELS)


def _head(in_channels: int, hidden_channels: int, out_channels: int, *, neck: Neck, bias: float) -> nn.Sequential:
    """A 1x1 convolution that begins at ``bias``, behind an optional hidden layer of the neck's own kind."""
    parts = OrderedDict[str, nn.Module]()
    if hidden_channels:
        parts["hidden"] = (
            separable(in_channels, hidden_channels)
            if neck == "light"
            else ConvNormAct(in_channels, hidden_channels, 3, bias=True, norm=None)
        )
        initialise(parts["hidden"])
    output = parts["output"] = nn.Conv2d(hidden_channels or in_channels, out_channels, 1)
    if output.bias is not None and not output.weight.is_meta:
        # The weights stay as torch draws them, as in CenterNet's DLASeg. Of far smaller ones (its ResNet's, 0.001)
        # Adam's first steps leave nothing: all hidden channels learn the same, and a rare class has none of its own.
        nn.init.constant_(output.bias, bias)
    return nn.Sequential(parts)
