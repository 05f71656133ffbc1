"""Bundles and what they answer: numpy, Pillow and onnxruntime alone, no torch."""

import os

from litevision.errors import BundleError
from litevision.runtime.bundle import Bundle
from litevision.runtime.classifier import Classifier, Prediction
from litevision.runtime.engines import Engine, EngineChoice
from litevision.runtime.metadata import (
    FORMAT_VERSION,
    METADATA_KEY,
    Architecture,
    BundleMetadata,
    Check,
    Normalisation,
    Score,
    Weights,
)
from litevision.zoo import shipped_bundle

__all__ = [
    "FORMAT_VERSION",
    "METADATA_KEY",
    "Architecture",
    "Bundle",
    "BundleMetadata",
    "Check",
    "Classifier",
    "Engine",
    "EngineChoice",
    "Normalisation",
    "Prediction",
    "Score",
    "Weights",
    "load",
]


def load(
    path: str | os.PathLike[str],
    *,
    engine: str = "onnxruntime",
    precision: str | None = None,
    threads: int | None = None,
    streams: int = 1,
) -> Classifier:
    """The classifier in the bundle at ``path``; arguments and errors as for `Bundle.open`.

    Args:
        path: an ``.onnx`` file, or the name of a bundle that comes with the package (``litevision.zoo.BUNDLES``).

    Raises:
        BundleError: also, a bundle for another task.
    """
    bundle = Bundle.open(
        shipped_bundle(os.fspath(path)) or path, engine=engine, precision=precision, threads=threads, streams=streams
    )
    if bundle.metadata.task != "classification":
        raise BundleError(f"{path}: a bundle for {bundle.metadata.task}; expected one for classification.")
    return Classifier(bundle)
