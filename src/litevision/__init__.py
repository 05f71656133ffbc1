"""litevision: MobileNetV1 to V4 and ShuffleNetV2, from exact networks to small checked model files.

``load`` and what it gives need no torch; ``create``, ``load_weights``, ``save_weights`` and ``export`` do.
Importing the package imports neither half.

    import litevision

    litevision.load_classifier("model.onnx").predict("photo.jpg", top=5)
    litevision.create("mobilenet_v2", width_mult=0.75, num_classes=10)
    litevision.export("mobilenet_v2", "model.onnx")
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litevision.adopting.adopt import adopt
    from litevision.cost.draw import draw
    from litevision.cost.info import info
    from litevision.data import DataReport, check_data
    from litevision.detections import Detections
    from litevision.errors import LitevisionError
    from litevision.evaluation.evaluate import evaluate
    from litevision.exporting.export import export
    from litevision.hub import bench, classify, detect, load, load_classifier, load_detector
    from litevision.image import Preprocess, find_images
    from litevision.lab.choose import choose
    from litevision.lab.compare.report import compare
    from litevision.lab.guidelines import guidelines
    from litevision.lab.lint import lint
    from litevision.lab.profile import profile
    from litevision.quantizing.quantize import quantize
    from litevision.registry.weight_sets import list_models
    from litevision.runtime import Bundle, Classifier, Detector, Prediction, Predictions
    from litevision.training.average import average
    from litevision.training.callbacks import Callback
    from litevision.training.result import Run
    from litevision.training.train import train
    from litevision.weights.conversion import convert
    from litevision.weights.create import create
    from litevision.weights.load import load_weights
    from litevision.weights.save import save_weights

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "Callback",
    "Classifier",
    "DataReport",
    "Detections",
    "Detector",
    "LitevisionError",
    "Prediction",
    "Predictions",
    "Preprocess",
    "Run",
    "__version__",
    "adopt",
    "average",
    "bench",
    "check_data",
    "choose",
    "classify",
    "compare",
    "convert",
    "create",
    "detect",
    "draw",
    "evaluate",
    "export",
    "find_images",
    "guidelines",
    "info",
    "lint",
    "list_models",
    "load",
    "load_classifier",
    "load_detector",
    "load_weights",
    "profile",
    "quantize",
    "save_weights",
    "train",
]

_HOMES = {
    "Bundle": "litevision.runtime",
    "Callback": "litevision.training.callbacks",
    "Classifier": "litevision.runtime",
    "DataReport": "litevision.data",
    "Detections": "litevision.detections",
    "Detector": "litevision.runtime",
    "LitevisionError": "litevision.errors",
    "Prediction": "litevision.runtime",
    "Predictions": "litevision.runtime",
    "Preprocess": "litevision.image",
    "Run": "litevision.training.result",
    "adopt": "litevision.adopting.adopt",
    "average": "litevision.training.average",
    "bench": "litevision.hub",
    "check_data": "litevision.data",
    "choose": "litevision.lab.choose",
    "classify": "litevision.hub",
    "compare": "litevision.lab.compare.report",
    "convert": "litevision.weights.conversion",
    "create": "litevision.weights.create",
    "detect": "litevision.hub",
    "draw": "litevision.cost.draw",
    "evaluate": "litevision.evaluation.evaluate",
    "export": "litevision.exporting.export",
    "find_images": "litevision.image",
    "guidelines": "litevision.lab.guidelines",
    "info": "litevision.cost.info",
    "lint": "litevision.lab.lint",
    "list_models": "litevision.registry.weight_sets",
    "load": "litevision.hub",
    "load_classifier": "litevision.hub",
    "load_detector": "litevision.hub",
    "load_weights": "litevision.weights.load",
    "profile": "litevision.lab.profile",
    "quantize": "litevision.quantizing.quantize",
    "save_weights": "litevision.weights.save",
    "train": "litevision.training.train",
}

_TRAIN_EXTRA = {"torch", "onnx", "scipy", "matplotlib", "jinja2"}
_FOR_ONNX_FILES = {"adopt", "info", "lint", "profile"}


if not TYPE_CHECKING:  # a checker that saw this would let every misspelt name pass

    def __getattr__(name: str) -> Any:
        """Imports a public name at its first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            return getattr(importlib.import_module(_HOMES[name]), name)
        except ModuleNotFoundError as error:
            if error.name not in _TRAIN_EXTRA:
                raise
            from litevision.errors import MissingExtraError

            if name == "quantize":
                raise MissingExtraError.of("litevision.quantize", "int8") from None
            if error.name == "onnx" and name in _FOR_ONNX_FILES:
                raise MissingExtraError.of(f"litevision.{name}", "onnx") from None
            raise MissingExtraError.of(f"litevision.{name}", "train") from None


def __dir__() -> list[str]:
    return __all__
