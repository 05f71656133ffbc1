"""What models do with pictures, as `litevision.runtime.pipeline` takes it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from litevision.image import Source
from litevision.image.decode import Picture
from litevision.runtime.classifier import Classifier, Prediction
from litevision.runtime.detector import Detection, Detector, Views


@dataclass(frozen=True, slots=True)
class Naming:
    """Names the ``top`` likeliest classes."""

    classifier: Classifier
    top: int = 5

    def prepare(self, source: Source | Picture) -> npt.NDArray[np.uint8]:
        return self.classifier.preprocess(source)

    def answer(self, inputs: Sequence[npt.NDArray[np.uint8]]) -> list[list[Prediction]]:
        return self.classifier.best(np.stack(inputs), self.top)


@dataclass(frozen=True, slots=True)
class Finding:
    """Finds objects; ``score`` and ``tiles`` as for `Detector.detect`."""

    detector: Detector
    score: float | None = None
    tiles: int = 1

    def prepare(self, source: Source | Picture) -> Views:
        return self.detector.views(source, self.tiles)

    def answer(self, inputs: Sequence[Views]) -> list[list[Detection]]:
        return self.detector.find(inputs, self.score)
