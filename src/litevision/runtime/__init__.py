"""Inference with bundles: classifiers, detectors, engines and benchmarks, with numpy, Pillow and onnxruntime alone."""

from typing import TYPE_CHECKING, Any

from litevision.runtime.bundle import Bundle
from litevision.runtime.classifier import Classifier
from litevision.runtime.engines import Engine, EngineChoice
from litevision.runtime.metadata import (
    FORMAT_VERSION,
    METADATA_KEY,
    Architecture,
    BundleMetadata,
    Calibration,
    Check,
    DetectionScore,
    Normalisation,
    Score,
    Weights,
)
from litevision.runtime.predictor import Inference, Predictor
from litevision.runtime.results import Prediction, Predictions, PreprocessedImage, Result

if TYPE_CHECKING:
    from litevision.detections import Detection, Detections
    from litevision.runtime.detector import Detector

__all__ = [
    "FORMAT_VERSION",
    "METADATA_KEY",
    "Architecture",
    "Bundle",
    "BundleMetadata",
    "Calibration",
    "Check",
    "Classifier",
    "Detection",
    "DetectionScore",
    "Detections",
    "Detector",
    "Engine",
    "EngineChoice",
    "Inference",
    "Normalisation",
    "Prediction",
    "Predictions",
    "Predictor",
    "PreprocessedImage",
    "Result",
    "Score",
    "Weights",
]


def __getattr__(name: str) -> Any:
    """Imports what detection needs at its first use (PEP 562): a cold start that classifies does without it."""
    if name not in ("Detection", "Detections", "Detector"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    home = "litevision.runtime.detector" if name == "Detector" else "litevision.detections"
    return getattr(importlib.import_module(home), name)
