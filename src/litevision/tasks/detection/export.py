"""A detector's graph: normalisation, peaks, offsets and sizes are all inside of it."""

from torch import Tensor

from litevision.exporting.graph import FromRaw
from litevision.models.centernet import CenterNet, CenterNetConfig, Detections, decode
from litevision.runtime import Architecture, Normalisation


class RawToDetections(FromRaw):
    """A detector with its normalisation and its decoder: uint8 [N, H, W, 3] RGB -> boxes, scores, classes."""

    def __init__(self, network: CenterNet, normalisation: Normalisation, top_k: int) -> None:
        super().__init__(network, normalisation)
        self.top_k = top_k

    def forward(self, images: Tensor) -> Detections:
        return decode(self.answer(images), self.top_k)


def describe(config: CenterNetConfig) -> Architecture:
    """What a bundle says of a detector: its backbone, and among the arguments how the rest is built on it."""
    backbone, detector = config.backbone.to_dict(), config.to_dict()
    arguments = {
        "detector": "centernet",
        **{key: detector[key] for key in ("neck", "neck_channels", "head_channels")},
        **{key: backbone[key] for key in ("output_stride", "rows", "options")},
    }
    return Architecture(
        config.backbone.architecture, config.backbone.dialect, config.backbone.width_mult, config.num_classes, arguments
    )
