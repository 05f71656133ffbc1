"""Bundles and what they answer: numpy, Pillow and onnxruntime alone, no torch."""

import os

from litevision.runtime.bundle import Bundle
from litevision.runtime.classifier import Classifier, Prediction
from litevision.runtime.detector import Detection, Detector
from litevision.runtime.engines import Engine, EngineChoice
from litevision.runtime.metadata import (
    FORMAT_VERSION,
    METADATA_KEY,
    Architecture,
    BundleMetadata,
    Check,
    DetectionScore,
    Normalisation,
    Score,
    Weights,
)
from litevision.zoo import BUNDLES

__all__ = [
    "FORMAT_VERSION",
    "METADATA_KEY",
    "Architecture",
    "Bundle",
    "BundleMetadata",
    "Check",
    "Classifier",
    "Detection",
    "DetectionScore",
    "Detector",
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
) -> Classifier | Detector:
    """The model in the bundle at ``path``, by its task; arguments and errors as for `Bundle.open`.

    Where only one of them will do, `Classifier` and `Detector` take a `Bundle` and refuse one for another task.

    Args:
        path: an ``.onnx`` file, or the name of a bundle that comes with the package (``litevision.zoo.BUNDLES``).
    """
    bundle = Bundle.open(
        BUNDLES.get(os.fspath(path), path), engine=engine, precision=precision, threads=threads, streams=streams
    )
    return Detector(bundle) if bundle.metadata.task == "detection" else Classifier(bundle)
