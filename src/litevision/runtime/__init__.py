"""Bundles and what they answer: numpy, Pillow and onnxruntime alone, no torch."""

import os

from litevision.errors import BundleError
from litevision.runtime.bundle import Bundle
from litevision.runtime.classifier import Classifier, Prediction
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

__all__ = [
    "FORMAT_VERSION",
    "METADATA_KEY",
    "Architecture",
    "Bundle",
    "BundleMetadata",
    "Check",
    "Classifier",
    "Normalisation",
    "Prediction",
    "Score",
    "Weights",
    "load",
]


def load(path: str | os.PathLike[str], *, threads: int | None = None) -> Classifier:
    """The classifier in the bundle at ``path``.

    Args:
        path: a ``.onnx`` file made with ``litevision export``.
        threads: how many threads compute one batch; all that this process may use where it is None.

    Raises:
        FileMissingError: no file at the path.
        BundleError: not a bundle, a broken one, or one for another task.
        UsageError: fewer than one thread.
    """
    bundle = Bundle.open(path, threads=threads)
    if bundle.metadata.task != "classification":
        raise BundleError(f"{path}: a bundle for {bundle.metadata.task}; expected one for classification.")
    return Classifier(bundle)
