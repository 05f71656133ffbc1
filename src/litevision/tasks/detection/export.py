"""Detectors' graphs: normalisation, and what makes boxes of the network's maps, are inside of them."""

import onnx
from torch import Tensor

from litevision.exporting.graph import FromRaw
from litevision.exporting.postprocess import append_nms
from litevision.models.centernet import CenterNet, Detections, decode
from litevision.models.kinds import AnyDetector
from litevision.models.nanodet import NMS_IOU, NMS_SCORE, NanoDet, decode_cells
from litevision.runtime import Normalisation


class RawToDetections(FromRaw):
    """A CenterNet with its normalisation and its decoder: uint8 [N, H, W, 3] RGB -> boxes, scores, classes."""

    outputs = ("boxes", "scores", "classes")

    def __init__(self, network: CenterNet, normalisation: Normalisation, top_k: int) -> None:
        super().__init__(network, normalisation)
        self.top_k = top_k

    def forward(self, images: Tensor) -> Detections:
        return decode(self.answer(images), self.top_k)


class RawToCells(FromRaw):
    """A NanoDet with its normalisation: uint8 [N, H, W, 3] RGB -> the box and the scores of every cell.

    In the graph, non-maximum suppression follows.
    """

    outputs = ("boxes", "scores")

    def __init__(self, network: NanoDet, normalisation: Normalisation, top_k: int) -> None:
        super().__init__(network, normalisation)
        self.top_k = top_k

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(self.network, NanoDet)
        height, width = images.shape[1:3]
        return decode_cells(self.answer(images), self.network.points((height, width)), (height, width))

    def finish(self, graph: onnx.ModelProto) -> onnx.ModelProto:
        return append_nms(
            graph,
            boxes="boxes",
            scores="scores",
            iou_threshold=NMS_IOU,
            score_threshold=NMS_SCORE,
            max_detections=self.top_k,
        )


def raw_detector(network: AnyDetector, normalisation: Normalisation, top_k: int) -> FromRaw:
    """Returns ``network`` from raw images to boxes, ``top_k`` of them for each."""
    kind = RawToCells if isinstance(network, NanoDet) else RawToDetections
    return kind(network, normalisation, top_k)  # type: ignore[arg-type]  # each takes its own
