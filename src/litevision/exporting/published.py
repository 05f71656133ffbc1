"""Bundles of published weights, made without torch from their file and a graph template, and checked."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from litevision.errors import ExportError, WeightsMismatchError
from litevision.exporting.templates import Template
from litevision.files import folder_beside, sha256_of, sync_file
from litevision.image import shipped_images
from litevision.registry.labels import imagenet_labels
from litevision.registry.weight_sets import WeightSet
from litevision.runtime import BundleMetadata, Check, Weights
from litevision.runtime.bundle import Bundle
from litevision.runtime.classifier import Classifier
from litevision.runtime.metadata import Architecture
from litevision.runtime.schema import from_dict
from litevision.weights.arrays import read_arrays
from litevision.weights.download import fetch
from litevision.weights.published import normalisation_of, preprocess_of, score_of

_TOLERANCE = 1e-4
_NOT_CHECKED = Check("none", 0, 0.0, 0.0)  # stands in the file that the check itself opens


def write_published(weight_set: WeightSet, template: Template, path: Path) -> BundleMetadata:
    """Downloads a weight set, unless it is cached, and writes its bundle.

    The graph with batch normalisation folded into the convolutions is compared with the one that has it as layers.

    Raises:
        DownloadError: the file is not to be had.
        WeightsError: it cannot be read, or does not fit the network.
        ExportError: the two graphs differ; nothing is written then.
    """
    file = fetch(weight_set)
    arrays = read_arrays(file)
    faults: list[str] = []
    architecture: Architecture | None = from_dict(Architecture, template.plain["architecture"], "architecture", faults)
    assert architecture is not None, faults
    metadata = BundleMetadata(
        task="classification",
        labels=imagenet_labels(),
        preprocess=preprocess_of(weight_set),
        normalisation=normalisation_of(weight_set),
        architecture=architecture,
        weights=Weights(weight_set.name, weight_set.url, weight_set.licence, sha256_of(file)),
        training_data=weight_set.training_data,
        score=score_of(weight_set),
        check=_NOT_CHECKED,
    )
    with folder_beside(path) as folder:
        unfinished, temporary = folder / path.name, folder / "layers.onnx"
        try:
            unfinished.write_bytes(template.bundle(arrays, metadata))
            temporary.write_bytes(template.layers(arrays, metadata))
        except WeightsMismatchError as error:
            raise WeightsMismatchError(f"{file}: {error}") from None
        metadata = replace(metadata, check=_compared(unfinished, temporary))
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
    if difference > _TOLERANCE:
        raise ExportError(
            f"the bundle does not match the network with batch normalisation as layers: the largest difference of a "
            f"probability is {difference:.2g} (at most {_TOLERANCE:g} expected); nothing was written"
        )
    agreement = float((got.argmax(-1) == expected.argmax(-1)).mean())
    return Check(classifier.bundle.engine.version, len(batch_u8_nhwc), difference, agreement)
