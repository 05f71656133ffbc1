"""Module to bundle: the graph, what it says about itself, and the check, written whole or not at all."""

import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import onnx
from torch import nn

from litevision.errors import ExportError, LitevisionError, UsageError
from litevision.exporting.check import check_bundle
from litevision.exporting.graph import to_onnx
from litevision.files import atomic_write
from litevision.image import Preprocess, shipped_images
from litevision.models.network import Network
from litevision.runtime import (
    METADATA_KEY,
    Architecture,
    BundleMetadata,
    Check,
    DetectionScore,
    Normalisation,
    Score,
    Weights,
)

NOT_CHECKED = Check("none", 0, 0.0, 0.0)  # stands in the file that the check itself opens

CheckImage = str | Path | bytes
Exported = TypeVar("Exported", bound=nn.Module)


def export_bundle(
    network: Network,
    path: str | Path,
    *,
    labels: Sequence[str],
    preprocess: Preprocess,
    normalisation: Normalisation,
    weights: Weights,
    training_data: str,
    score: Score | None = None,
    check_images: Sequence[CheckImage] | None = None,
) -> BundleMetadata:
    """Writes ``network`` as a checked bundle and gives its metadata.

    Args:
        network: a classifier; it is not changed.
        path: the ``.onnx`` file to write.
        labels: a name for each class.
        preprocess: what makes the input of an image; its ``size_hw`` fixes the graph's input.
        normalisation: goes into the graph.
        check_images: what to check with; by default the four that come with the package.

    Raises:
        UsageError: a network that is no classifier of RGB images of this size, as many labels as it has not, or a
            path that cannot be written.
        ExportError: the graph does not match the module; nothing is written then.
    """
    path = Path(path)
    config = network.config
    if config.num_classes == 0 or config.final_endpoint is not None:
        raise UsageError("a bundle needs a classifier: build the network with num_classes and without final_endpoint")
    refuse_misfits(path, labels, num_classes=config.num_classes, in_channels=config.in_channels)
    record = config.to_dict()
    arguments = {key: record[key] for key in ("output_stride", "rows", "options")}
    metadata = BundleMetadata(
        task="classification",
        labels=tuple(labels),
        preprocess=preprocess,
        normalisation=normalisation,
        architecture=Architecture(
            config.architecture, config.dialect, config.width_mult, config.num_classes, arguments
        ),
        weights=weights,
        training_data=training_data,
        score=score,
        check=NOT_CHECKED,
    )
    return write_checked(
        path,
        network,
        metadata,
        lambda plain: to_onnx(plain, normalisation, preprocess.size_hw),
        check_bundle,
        check_images,
    )


def refuse_misfits(path: Path, labels: Sequence[str], *, num_classes: int, in_channels: int) -> None:
    """Raises ``UsageError`` for a path, labels or a network of which no bundle can be made."""
    if path.suffix != ".onnx":
        raise UsageError(f"a bundle is an .onnx file, got {path.name!r}")
    if len(labels) != num_classes:
        raise UsageError(f"the network has {num_classes} classes, got {len(labels)} labels; one each is needed")
    if in_channels != 3:
        raise UsageError(f"a bundle takes RGB images, got a network for {in_channels} channels; expected 3")


def write_checked(
    path: Path,
    network: Exported,
    metadata: BundleMetadata,
    graph: Callable[[Exported], onnx.ModelProto],
    check: Callable[[Path, Exported, Normalisation, Sequence[CheckImage]], Check],
    check_images: Sequence[CheckImage] | None,
) -> BundleMetadata:
    """Writes the graph of ``network`` to ``path`` once it has passed ``check``; gives ``metadata`` with its outcome.

    Args:
        network: it is not changed.
        graph: makes the graph of its copy on the CPU, in float32 and eval mode.
        check: compares the bundle in a file with that copy; raises ``ExportError`` where it is not what it should be.
        check_images: what to check with; by default the four that come with the package.

    Raises:
        UsageError: a path that cannot be written.
        ExportError: the graph is not valid, or what ``check`` raises; nothing is written then.
    """
    network = copy.deepcopy(network).cpu().float().eval()
    model = graph(network)
    check_images = shipped_images() if check_images is None else check_images
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
            temporary = Path(folder) / path.name
            _write(model, metadata, temporary)
            metadata = replace(metadata, check=check(temporary, network, metadata.normalisation, check_images))
            _write(model, metadata, temporary)
            temporary.replace(path)
    except LitevisionError:
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); give a file in a folder of yours") from error
    return metadata


def add_score(
    path: Path, score: Score | DetectionScore, score_thresholds: tuple[float, ...] | None = None
) -> BundleMetadata:
    """Writes what was measured with the bundle at ``path``, that very file, into it, and gives its metadata."""
    model = onnx.load(path)
    [stored] = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    metadata = replace(
        BundleMetadata.from_json(stored.value, name=str(path)), score=score, score_thresholds=score_thresholds
    )
    with atomic_write(path) as partial:
        _write(model, metadata, partial)
    return metadata


def _write(model: onnx.ModelProto, metadata: BundleMetadata, partial: Path) -> None:
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the exported graph is not valid ONNX: {error}") from None
    partial.write_bytes(model.SerializeToString())
