"""Module to bundle: the graph, what it says about itself, and the check, written whole or not at all."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from litevision.errors import ExportError, LitevisionError, UsageError, reason_of
from litevision.exporting.graph import to_onnx
from litevision.files import atomic_write, folder_beside, sync_file
from litevision.image import Preprocess, shipped_images
from litevision.runtime import (
    METADATA_KEY,
    BundleMetadata,
    Calibration,
    DetectionScore,
    Normalisation,
    Score,
    Weights,
)
from litevision.runtime.metadata import NOT_CHECKED, are_labels_of
from litevision.tasks import task_of

CheckImage = str | Path | bytes


def export_bundle(
    network: nn.Module,
    path: str | Path,
    *,
    labels: Sequence[str],
    preprocess: Preprocess,
    normalisation: Normalisation,
    weights: Weights,
    training_data: str,
    score: Score | DetectionScore | None = None,
    score_thresholds: tuple[float, ...] | None = None,
    calibration: Calibration | None = None,
    check_images: Sequence[CheckImage] | None = None,
    options: Mapping[str, Any] | None = None,
) -> BundleMetadata:
    """Writes ``network`` as a checked bundle and gives its metadata.

    A classifier's graph takes ``images``, uint8 [N, H, W, 3], and gives ``probabilities``, float32 [N, classes]. A
    detector's gives ``boxes``, float32 [N, K, 4], (x1, y1, x2, y2) in px of its input; ``scores``, float32 [N, K],
    falling; and ``classes``, int64 [N, K].

    Args:
        network: a classifier or a detector; it is not changed.
        path: the ``.onnx`` file to write.
        labels: a name for each class.
        preprocess: what makes the input of an image; its ``size_hw`` fixes the graph's input.
        normalisation: goes into the graph.
        weights: where the weights come from.
        training_data: what they were trained on.
        score: what was measured with them.
        score_thresholds: of a detector, the score of each class from which on a box counts.
        calibration: of a classifier, when it is unsure.
        check_images: what to check with; by default the four that come with the package.
        options: of the task's graph alone: ``top_k``, the most boxes that a detector gives for an image;
            ``activation``, what makes a classifier's probabilities of its logits.

    Raises:
        UsageError: a network that gives no results for RGB images of this size, as many labels as it has not, or a
            path that cannot be written.
        ExportError: the graph does not match the module; nothing is written then.
    """
    path, task = Path(path), task_of(network)
    config: Any = network.config
    activation = (options or {}).get("activation") or config.activation
    options = {**(options or {}), **({} if activation is None else {"activation": activation})}
    if path.suffix != ".onnx":
        raise UsageError(f"a bundle is an .onnx file, got {path.name!r}")
    task.refuse_to_export(network, preprocess, options)
    if not are_labels_of(config.num_classes, labels):
        raise UsageError(f"the network has {config.num_classes} classes, got {len(labels)} labels; one each is needed")
    if activation == "sigmoid" and len(labels) == 1:
        labels = (f"not {labels[0]}", labels[0])
    if config.in_channels not in (1, 3):
        raise UsageError(
            f"a bundle takes RGB images, got a network for {config.in_channels} channels; expected 3, or 1 for grey"
        )
    metadata = BundleMetadata(
        task=task.name,
        labels=tuple(labels),
        preprocess=preprocess,
        normalisation=normalisation,
        architecture=config.to_architecture(),
        weights=weights,
        training_data=training_data,
        score=score,
        score_thresholds=score_thresholds,
        calibration=calibration,
        top_k=options.get("top_k"),
        activation=None if activation == "softmax" else activation,
        check=NOT_CHECKED,
    )
    plain = copy.deepcopy(network).cpu().float().eval()
    model = to_onnx(plain, normalisation, preprocess.size_hw, options)
    check_images = shipped_images() if check_images is None else check_images
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(path) as folder:
            temporary = folder / path.name
            _write(model, metadata, temporary)
            metadata = replace(metadata, check=task.check_bundle(temporary, plain, normalisation, check_images))
            _write(model, metadata, temporary)
            sync_file(temporary)
            temporary.replace(path)
        sync_file(path)
    except LitevisionError:
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); give a file in a folder of yours") from error
    return metadata


def add_score(path: Path, score: Score | DetectionScore, chosen: Mapping[str, Any]) -> BundleMetadata:
    """Writes what was measured with the bundle at ``path``, that very file, into it, and gives its metadata.

    Args:
        path: the bundle.
        score: how good it is.
        chosen: other fields of the metadata, such as ``score_thresholds`` or ``calibration``.
    """
    model = onnx.load(path)
    [stored] = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    metadata = replace(BundleMetadata.from_json(stored.value, name=str(path)), score=score, **chosen)
    with atomic_write(path) as partial:
        _write(model, metadata, partial)
    return metadata


def _write(model: onnx.ModelProto, metadata: BundleMetadata, partial: Path) -> None:
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the exported graph is not valid ONNX: {reason_of(error)}") from None
    partial.write_bytes(model.SerializeToString())
