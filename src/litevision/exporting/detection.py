"""From a detector to a checked bundle: normalisation, peaks, offsets and sizes are all inside the graph."""

from collections.abc import Sequence
from pathlib import Path

from onnx import ModelProto
from torch import Tensor

from litevision.errors import UsageError
from litevision.exporting.bundle import NOT_CHECKED, CheckImage, refuse_misfits, write_checked
from litevision.exporting.detection_check import check_detection_bundle
from litevision.exporting.fold import fold_batch_norm
from litevision.exporting.graph import FromRaw, graph_of
from litevision.image import Preprocess
from litevision.models.centernet import CenterNet, CenterNetConfig, Detections, decode
from litevision.runtime import Architecture, BundleMetadata, Normalisation, Weights

OUTPUTS = Detections._fields


class RawToDetections(FromRaw):
    """A detector with its normalisation and its decoder: uint8 [N, H, W, 3] RGB -> boxes, scores, classes."""

    def __init__(self, network: CenterNet, normalisation: Normalisation, top_k: int) -> None:
        super().__init__(network, normalisation)
        self.top_k = top_k

    def forward(self, images: Tensor) -> Detections:
        return decode(self.answer(images), self.top_k)


def export_detection_bundle(
    network: CenterNet,
    path: str | Path,
    *,
    labels: Sequence[str],
    preprocess: Preprocess,
    normalisation: Normalisation,
    weights: Weights,
    training_data: str,
    top_k: int = 100,
    check_images: Sequence[CheckImage] | None = None,
) -> BundleMetadata:
    """Writes ``network`` as a checked bundle and gives its metadata.

    The graph takes ``images``, uint8 [N, H, W, 3], and gives ``boxes``, float32 [N, K, 4], (x1, y1, x2, y2) in px of
    its input; ``scores``, float32 [N, K], falling; and ``classes``, int64 [N, K].

    Args:
        network: it is not changed.
        path: the ``.onnx`` file to write.
        labels: a name for each class.
        preprocess: what makes the input of an image, by "letterbox" or "stretch"; its ``size_hw`` fixes the input.
        normalisation: goes into the graph.
        top_k: K, the most detections in an image.
        check_images: what to check with; by default the four that come with the package.

    Raises:
        UsageError: a network that does not take RGB images, as many labels as it has not, a crop that cuts objects
            off, ``top_k`` below 1, or a path that cannot be written.
        ExportError: the graph does not match the module; nothing is written then.
    """
    path = Path(path)
    config = network.config
    refuse_misfits(path, labels, num_classes=config.num_classes, in_channels=config.in_channels)
    if preprocess.crop == "center":
        raise UsageError("the crop 'center' cuts objects off; a detection bundle needs 'letterbox' or 'stretch'")
    if top_k < 1:
        raise UsageError(f"top_k must be 1 or more, got {top_k}")
    metadata = BundleMetadata(
        task="detection",
        labels=tuple(labels),
        preprocess=preprocess,
        normalisation=normalisation,
        architecture=described(config),
        weights=weights,
        training_data=training_data,
        score=None,
        check=NOT_CHECKED,
    )

    def graph(plain: CenterNet) -> ModelProto:
        return graph_of(RawToDetections(fold_batch_norm(plain), normalisation, top_k), preprocess.size_hw, OUTPUTS)

    return write_checked(path, network, metadata, graph, check_detection_bundle, check_images)


def described(config: CenterNetConfig) -> Architecture:
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
