"""Bundles of published weights, made without torch from their file and a graph template, and checked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import ExportError, WeightsMismatchError
from litevision.exporting.answers import TOLERANCE, check_answers, overlapping_cells
from litevision.exporting.templates import Arrays, Template
from litevision.files import folder_beside, sha256_of, sync_file
from litevision.image import shipped_images
from litevision.registry.weight_sets import WeightSet
from litevision.runtime import BundleMetadata, Check, Weights
from litevision.runtime.bundle import Bundle
from litevision.runtime.classifier import Classifier
from litevision.runtime.engines import EngineChoice
from litevision.runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from litevision.runtime.metadata import NOT_CHECKED, Architecture, Normalisation
from litevision.runtime.schema import from_dict
from litevision.weights.arrays import read_arrays
from litevision.weights.convolutions import ConvForm, FoldedGraph
from litevision.weights.download import fetch
from litevision.weights.onnx_convolutions import read_onnx
from litevision.weights.published import labels_of, normalisation_of, preprocess_of, score_of


def write_published(weight_set: WeightSet, template: Template, path: Path) -> BundleMetadata:
    """Downloads a weight set, unless it is cached, and writes its bundle.

    The graph with batch normalisation folded into the convolutions is compared with the one that has it as layers; of
    a published graph, which has it folded already, the answers are compared with those of that graph.

    Raises:
        DownloadError: the file is not to be had.
        WeightsError: it cannot be read, or does not fit the network.
        ExportError: the two graphs differ; nothing is written then.
    """
    file = fetch(weight_set)
    is_graph = template.plain["container"] == "onnx"
    arrays = _arrays_of(read_onnx(file), template, file) if is_graph else read_arrays(file)
    faults: list[str] = []
    architecture: Architecture | None = from_dict(Architecture, template.plain["architecture"], "architecture", faults)
    assert architecture is not None, faults
    metadata = BundleMetadata(
        task=template.plain["task"],
        labels=labels_of(weight_set),
        preprocess=preprocess_of(weight_set),
        normalisation=normalisation_of(weight_set),
        architecture=architecture,
        weights=Weights(weight_set.name, weight_set.url, weight_set.licence, sha256_of(file)),
        training_data=weight_set.training_data,
        score=score_of(weight_set),
        check=NOT_CHECKED,
    )
    with folder_beside(path) as folder:
        unfinished, temporary = folder / path.name, folder / "layers.onnx"
        try:
            unfinished.write_bytes(template.bundle(arrays, metadata))
            if not is_graph:
                temporary.write_bytes(template.layers(arrays, metadata))
        except WeightsMismatchError as error:
            raise WeightsMismatchError(f"{file}: {error}") from None
        check = _compared_with_graph(unfinished, file, template) if is_graph else _compared(unfinished, temporary)
        metadata = replace(metadata, check=check)
        unfinished.write_bytes(template.bundle(arrays, metadata))
        sync_file(unfinished)
        unfinished.replace(path)
    sync_file(path)
    return metadata


def _compared(bundle: Path, layers: Path) -> Check:
    """Runs both graphs on the images that come along, the bundle on all at once and one by one."""
    classifier, other = Classifier(Bundle.open(bundle)), Classifier(Bundle.open(layers))
    batch_u8_nhwc = classifier.preprocess.batch(shipped_images())
    got, expected = classifier.probabilities(batch_u8_nhwc), other.probabilities(batch_u8_nhwc)
    singly = np.concatenate([classifier.probabilities(image_u8_hwc[None]) for image_u8_hwc in batch_u8_nhwc])
    if not np.isfinite(expected).all():
        raise ExportError("the network gives no numbers for images: its weights are broken; nothing was written")
    difference = float(max(np.abs(got - expected).max(), np.abs(singly - expected).max()))
    if difference > TOLERANCE:
        raise ExportError(
            f"the bundle does not match the network with batch normalisation as layers: the largest difference of a "
            f"probability is {difference:.2g} (at most {TOLERANCE:g} expected); nothing was written"
        )
    agreement = float((got.argmax(-1) == expected.argmax(-1)).mean())
    return Check(classifier.bundle.engine.version, len(batch_u8_nhwc), difference, agreement)


def _arrays_of(graph: FoldedGraph, template: Template, file: Path) -> Arrays:
    """The kernels and biases of a published graph by the number of their convolution, the first one's for RGB."""
    plain = template.plain
    wanted = [
        (path, ConvForm(tuple(shape), tuple(stride), tuple(padding), groups))
        for path, (shape, stride, padding, groups) in plain["convs"]
    ]
    if (mismatch := graph.mismatch(wanted, plain["rectifiers"], plain["slope"])) is not None:
        name = plain["architecture"]["name"]
        raise WeightsMismatchError(
            f"{file}: of {len(graph.convs)} convolutions the first {mismatch.fitting} are {name}'s; {mismatch.what}"
        )
    arrays: dict[str, npt.NDArray[Any]] = {}
    for i, conv in enumerate(graph.convs):
        arrays |= {f"{i}.weight": conv.weight if i else conv.weight[:, ::-1], f"{i}.bias": conv.bias}
    return arrays


def _compared_with_graph(bundle_path: Path, file: Path, template: Template) -> Check:
    """Runs a detector's bundle and the published graph, which takes BGR, on the images that come along."""
    bundle = Bundle.open(bundle_path)
    batch_u8_nhwc = bundle.metadata.preprocess.batch(shipped_images())
    published = OnnxruntimeEngine(file.read_bytes(), EngineChoice(), name=str(file))
    [taken] = published.inputs
    inputs = _bgr(batch_u8_nhwc, bundle.metadata.normalisation)
    rows = [next(iter(published.run_named({taken.name: one[None]}).values()))[0] for one in inputs]
    if not all(np.isfinite(one).all() for one in rows):
        raise ExportError(
            "the published network gives no numbers for images: its weights are broken; nothing was written"
        )
    iou, least_score = template.plain["nms"]
    classes = len(bundle.metadata.labels)
    cells = []
    for one in rows:
        boxes = template.boxes(one[:, classes:], batch_u8_nhwc.shape[1:3])
        cells.append(overlapping_cells(boxes, one[:, :classes], iou, least_score))
    return check_answers(bundle, batch_u8_nhwc, cells)


def _bgr(batch_u8_nhwc: npt.NDArray[np.uint8], normalisation: Normalisation) -> npt.NDArray[np.float32]:
    """Normalised images with blue first, [N, 3, H, W]."""
    mean, std = (np.asarray(values, np.float64) for values in (normalisation.mean, normalisation.std))
    pixels = (batch_u8_nhwc / 255 - mean) / std
    return np.ascontiguousarray(pixels[..., ::-1].transpose(0, 3, 1, 2), np.float32)
