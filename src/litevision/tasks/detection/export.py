"""A detector's graph: normalisation, peaks, offsets and sizes are all inside of it."""

from torch import Tensor

from litevision.exporting.graph import FromRaw
from litevision.models.centernet import CenterNet, Detections, decode
from litevision.runtime import Normalisation


class RawToDetections(FromRaw):
    """A detector with its normalisation and its decoder: uint8 [N, H, W, 3] RGB -> boxes, scores, classes."""

    def __init__(self, network: CenterNet, normalisation: Normalisation, top_k: int) -> None:
        super().__init__(network, normalisation)
        self.top_k = top_k

    def forward(self, images: Tensor) -> Detections:
        return decode(self.answer(images), self.top_k)
