"""NanoDet and NanoDet-Plus: anchor-free detectors on ShuffleNetV2, with the heads of the generalized focal loss.

N C H W: batch, classes, height, width of the input; M: cells of all levels together; R: ``BINS``.

Source: RangiLyu/nanodet, ``config/``; generalized focal loss, arXiv:2006.04388.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litevision.errors import UnknownNameError, UsageError
from litevision.image import Preprocess
from litevision.models.config import MAX_CHANNELS, MAX_CLASSES, RGB, ModelConfig, NetworkConfig
from litevision.models.factory import build
from litevision.models.initialisation import initialise
from litevision.models.necks import separable
from litevision.models.network import FeaturePyramid, require_nchw
from litevision.models.pan import ACT, GhostPanNeck, PanNeck
from litevision.models.pretrained import Pretrained
from litevision.runtime import Architecture

DIALECT = "nanodet"
BINS = 8
"""Places 0 to 7, in strides, over which the distance to an edge is distributed; ``reg_max`` + 1."""

NMS_IOU = 0.6
NMS_SCORE = 0.05
"""What the authors' post-processing suppresses with, class by class."""

SIZE_STEP_PX = 32
"""The backbone's stride: the sides of an input are padded to multiples of it."""

_SCORE_BIAS = -4.595
"""The initial logit of every class, a score of 0.01. Source: NanoDet."""

_BACKBONE = "backbone."


@dataclass(frozen=True)
class Form:
    """A row of the authors' configurations.

    Attributes:
        backbone: an architecture in the dialect ``nanodet``.
        neck: ``pan`` or ``ghost_pan``.
        channels: of the neck and heads.
        kernel_size: of the depthwise convolutions in the heads, and in ``ghost_pan``.
        strides: input pixels per cell of each level.
        is_centred: whether a cell's point is the middle of its pixels, not their first.
        size_px: a side of the input that its authors trained it for; of several the largest.
    """

    backbone: str
    neck: Literal["pan", "ghost_pan"]
    channels: int
    kernel_size: int
    strides: tuple[int, ...]
    is_centred: bool
    size_px: int


# fmt: off
FORMS = {
    #                           backbone              neck         width  k  strides          centred  size
    "nanodet_m":           Form("shufflenet_v2_x1_0", "pan",          96, 3, (8, 16, 32),     True,     320),
    "nanodet_plus_m":      Form("shufflenet_v2_x1_0", "ghost_pan",    96, 5, (8, 16, 32, 64), False,    416),
    "nanodet_plus_m_x1_5": Form("shufflenet_v2_x1_5", "ghost_pan",   128, 5, (8, 16, 32, 64), False,    416),
}
# fmt: on


@dataclass(frozen=True)
class NanoDetConfig(ModelConfig):
    """The configuration of a NanoDet.

    Attributes:
        architecture: a name of ``FORMS``.
        num_classes: 1 or more; COCO's 80 by default.
        in_channels: channels of the input.
    """

    KIND: ClassVar[str] = "NanoDet's configuration"
    MODEL: ClassVar[str] = "detector"
    task: ClassVar[str] = "detection"
    crop_needs_labels: ClassVar[bool] = True

    architecture: str
    num_classes: int = 80
    in_channels: int = RGB

    def __post_init__(self) -> None:
        if self.architecture not in FORMS:
            raise UnknownNameError.of("NanoDet", str(self.architecture), FORMS)
        for what, most in (("num_classes", MAX_CLASSES), ("in_channels", MAX_CHANNELS)):
            value = getattr(self, what)
            if type(value) is not int or not 1 <= value <= most:
                raise UsageError(f"{what} must be a whole number from 1 to {most:,}, got {value}")

    @property
    def dialect(self) -> str:
        """The form of its backbone."""
        return DIALECT

    @property
    def width_mult(self) -> float:
        """1, as its name says its width."""
        return 1.0

    @property
    def form(self) -> Form:
        """What it is built from."""
        return FORMS[self.architecture]

    def build(self, *, device: torch.device | str | None = None) -> "NanoDet":
        """Builds the detector, randomly initialised."""
        with torch.device(device) if device is not None else torch.device(torch.get_default_device()):
            return NanoDet(self)

    def as_network(self) -> NetworkConfig:
        """Returns the backbone's configuration, without classes."""
        return NetworkConfig(self.form.backbone, DIALECT, num_classes=0, in_channels=self.in_channels)

    def backbone_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the backbone's part of ``state``."""
        return {name.removeprefix(_BACKBONE): tensor for name, tensor in state.items() if name.startswith(_BACKBONE)}

    @staticmethod
    def default_preprocess(size_hw: tuple[int, int]) -> Preprocess:
        """Returns the letterbox of ``size_hw`` with black padding."""
        return Preprocess(size_hw, min(size_hw), "letterbox", pad_value=0)

    def to_architecture(self) -> Architecture:
        """Returns what a bundle says of the detector."""
        arguments = {} if self.in_channels == RGB else {"in_channels": self.in_channels}
        return Architecture(self.architecture, DIALECT, 1.0, self.num_classes, arguments)

    @classmethod
    def from_architecture(cls, architecture: Architecture) -> "NanoDetConfig":
        return cls(architecture.name, architecture.num_classes, architecture.arguments.get("in_channels", RGB))

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON values."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_dict(cls, record: Any) -> "NanoDetConfig":
        return cls(**record)


class NanoDetMaps(NamedTuple):
    """The outputs of the heads for every cell, level after level, the finest first, row by row.

    Attributes:
        logits: of each class, [N, M, C].
        edges: logits of the distances, in strides, to the left, top, right and bottom edge, [N, M, 4, R].
    """

    logits: Tensor
    edges: Tensor


class NanoDet(nn.Module):
    """A detector: backbone, neck, and a head for each level that gives classes and edges together.

    The input may have any size: inside, it is padded at the bottom and right with zeros, the mean colour, to multiples
    of 32 px.

    Attributes:
        config: what it was built from.
        backbone: the backbone; its weights have the names that they have in the whole network.
        pretrained: what is known of its weights; None from scratch.
    """

    def __init__(self, config: NanoDetConfig) -> None:
        super().__init__()
        self.config = config
        self.pretrained: Pretrained | None = None
        form = config.form
        self.backbone = FeaturePyramid(build(config.as_network()), (-3, -2, -1))  # strides 8, 16 and 32
        channels = self.backbone.channels
        self.neck: nn.Module = (
            PanNeck(channels, form.channels)
            if form.neck == "pan"
            else GhostPanNeck(channels, form.channels, form.kernel_size)
        )
        initialise(self.neck)
        self.heads = nn.ModuleList(_head(form, config.num_classes) for _ in form.strides)

    def forward(self, batch_f32_nchw: Tensor) -> NanoDetMaps:
        """Computes the outputs of the heads for normalised images, [N, in_channels, H, W]."""
        x = require_nchw(batch_f32_nchw, self.config.in_channels)
        height, width = x.shape[-2:]
        if height % SIZE_STEP_PX or width % SIZE_STEP_PX:
            x = F.pad(x, (0, -width % SIZE_STEP_PX, 0, -height % SIZE_STEP_PX))
        maps = self.neck(self.backbone(x))
        cells = torch.cat([head(y).flatten(2) for head, y in zip(self.heads, maps, strict=True)], dim=2)
        logits, edges = cells.transpose(1, 2).split((self.config.num_classes, 4 * BINS), dim=2)
        return NanoDetMaps(logits, edges.unflatten(2, (4, BINS)))

    def points(self, size_hw: tuple[int, int]) -> Tensor:
        """Computes the cells' points and strides, as `cell_points` gives them."""
        return cell_points(self.config.form, size_hw)


def cell_points(form: Form, size_hw: tuple[int, int]) -> Tensor:
    """Computes where each cell measures its distances from, and its stride: x, y, stride in px, [M, 3]."""
    height, width = (-(-side // SIZE_STEP_PX) * SIZE_STEP_PX for side in size_hw)
    levels = []
    for stride in form.strides:
        shift = (stride - 1) / 2 if form.is_centred else 0.0
        rows, columns = (torch.arange(-(-side // stride)) * stride + shift for side in (height, width))
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        levels.append(torch.stack((x, y, torch.full_like(x, stride)), dim=-1).flatten(0, 1).float())
    return torch.cat(levels)


def decode_cells(maps: NanoDetMaps, points: Tensor, size_hw: tuple[int, int] | None) -> tuple[Tensor, Tensor]:
    """Decodes the box and the scores of every cell, without suppressing any.

    Args:
        maps: what the network gives.
        points: of `NanoDet.points`.
        size_hw: of the input, px, to which boxes are clipped; None leaves them.

    Returns:
        ``boxes`` float32 [N, M, 4], (x1, y1, x2, y2) in px of the input; ``scores`` in [0, 1], float32 [N, M, C].
    """
    places = torch.arange(BINS, dtype=torch.float32, device=maps.edges.device)
    distances = (maps.edges.float().softmax(-1) * places).sum(-1) * points[:, 2:]
    centre = points[:, :2]
    boxes = torch.cat((centre - distances[..., :2], centre + distances[..., 2:]), dim=-1)
    if size_hw is not None:
        height, width = size_hw
        limits = torch.tensor((width, height, width, height), dtype=torch.float32, device=boxes.device)
        boxes = boxes.clamp(min=0).minimum(limits)
    return boxes, maps.logits.float().sigmoid()


def _head(form: Form, num_classes: int) -> nn.Sequential:
    """Two depthwise-separable layers and a 1x1 convolution to classes and edges."""
    width, kernel_size = form.channels, form.kernel_size
    parts = OrderedDict[str, nn.Module](
        hidden_1=separable(width, width, kernel_size, act=ACT), hidden_2=separable(width, width, kernel_size, act=ACT)
    )
    for part in parts.values():
        initialise(part)
    output = parts["output"] = nn.Conv2d(width, num_classes + 4 * BINS, 1)
    if output.bias is not None and not output.weight.is_meta:
        nn.init.normal_(output.weight, std=0.01)
        nn.init.constant_(output.bias, _SCORE_BIAS)
    return nn.Sequential(parts)
