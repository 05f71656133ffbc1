"""A detector's graph, and the proof that a bundle answers as the module it was made from: both see real images.

Normalisation, and what makes boxes of the network's maps, are inside of the graph.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor
from torch.nn import functional as F

from litevision.errors import BundleError, ExportError
from litevision.exporting.answers import TOLERANCE, Cells, check_answers, overlapping_cells
from litevision.exporting.graph import FromRaw
from litevision.exporting.postprocess import append_nms
from litevision.models.centernet import CenterNet, CenterNetMaps, Detections, decode
from litevision.models.kinds import AnyDetector
from litevision.models.nanodet import NMS_IOU, NMS_SCORE, NanoDet, decode_cells
from litevision.models.necks import STRIDE
from litevision.runtime import Bundle, Check, Normalisation


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


def check_detection_bundle(
    path: Path, network: AnyDetector, normalisation: Normalisation, check_images: Sequence[str | Path | bytes]
) -> Check:
    """Compares the bundle at ``path``, in onnxruntime, with ``network`` as it was before export, in eval mode.

    The engine sees the images one by one and all at once, the module all at once. ``max_abs_diff`` of what it gives is
    the largest difference of a score, ``top1_agreement`` the part of the images whose best detection agrees.

    Raises:
        ExportError: a detection that the module does not make, a clear one that is missing, or no numbers.
    """
    if not check_images:
        raise ExportError("the check needs at least one image, got none")
    try:
        bundle = Bundle.open(path)
        batch_u8_nhwc = bundle.metadata.preprocess.batch(check_images)
        with torch.inference_mode():
            maps = FromRaw(network, normalisation).answer(torch.from_numpy(batch_u8_nhwc))
        if not all(part.isfinite().all() for part in maps):
            raise ExportError("the network gives no numbers for images: its weights are broken; nothing was written")
        expected = _cells_of(network, maps, batch_u8_nhwc.shape[1:3])
        return check_answers(bundle, batch_u8_nhwc, expected)
    except BundleError as error:
        raise ExportError(f"the bundle does not run: {str(error).replace(str(path), path.name)}") from error


def _cells_of(network: AnyDetector, maps: Any, size_hw: tuple[int, int]) -> list[Cells]:
    if isinstance(network, NanoDet):
        boxes, scores = (part.numpy() for part in decode_cells(maps, network.points(size_hw), size_hw))
        return [overlapping_cells(*one, NMS_IOU, NMS_SCORE) for one in zip(boxes, scores, strict=True)]
    return _neighbouring_cells(maps)


def _neighbouring_cells(maps: CenterNetMaps) -> list[Cells]:
    scores = maps.heatmap.sigmoid()
    around = _highest_neighbour(scores)
    height, width = scores.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centre = torch.stack((columns, rows)) + maps.offset
    half = maps.size.clamp(min=0) / 2
    boxes = STRIDE * torch.cat((centre - half, centre + half), dim=1)
    may_stand, must_stand = scores >= around - TOLERANCE, scores > around + TOLERANCE
    return [
        Cells(one.flatten(1).numpy(), may.flatten(1).numpy(), must.flatten(1).numpy(), box.flatten(1).T.numpy())
        for one, may, must, box in zip(scores, may_stand, must_stand, boxes, strict=True)
    ]


def _highest_neighbour(scores: Tensor) -> Tensor:
    """The highest of the up to eight neighbours of each cell, [N, C, h, w] -> the same shape."""
    count, classes, height, width = scores.shape
    windows = F.unfold(F.pad(scores, (1, 1, 1, 1), value=-1), 3).reshape(count, classes, 9, height, width)
    return windows[:, :, [0, 1, 2, 3, 5, 6, 7, 8]].amax(2)
