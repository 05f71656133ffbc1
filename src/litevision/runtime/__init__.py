"""Bundles and what they answer: numpy, Pillow and onnxruntime alone, no torch."""

import os
from typing import TYPE_CHECKING, Any

from litevision.runtime.bundle import Bundle
from litevision.runtime.classifier import Classifier, Prediction
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

if TYPE_CHECKING:
    from litevision.runtime.detector import Detection, Detector

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
) -> "Classifier | Detector":
    """The model in the bundle at ``path``, by its task; arguments and errors as for `Bundle.open`.

    Where only one of them will do, `Classifier` and `Detector` take a `Bundle` and refuse one for another task.

    Args:
        path: an ``.onnx`` file, or the name of a bundle that comes with the package (``litevision.zoo.BUNDLES``).
    """
    bundle = Bundle.open(
        BUNDLES.get(os.fspath(path), path), engine=engine, precision=precision, threads=threads, streams=streams
    )
    if bundle.metadata.task == "classification":
        return Classifier(bundle)
    from litevision.runtime.detector import Detector

    return Detector(bundle)


def __getattr__(name: str) -> Any:
    """What finds objects, imported at its first use (PEP 562): a cold start that names an image does without it."""
    if name not in ("Detection", "Detector"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from litevision.runtime import detector

    return getattr(detector, name)
