"""Images to named classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, UsageError
from litevision.image import ImageLike, Preprocess
from litevision.image.decode import OpenedImage
from litevision.runtime.bundle import Bundle
from litevision.runtime.engines import TensorInfo

_OUTPUT = "probabilities"


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class that an image may show; ``score`` is its probability, in [0, 1]."""

    label: str
    score: float
    index: int


class Classifier:
    """Names what images show; may be used from several threads at once.

    Attributes:
        bundle: the model.
        labels: the class names, in the order of the probabilities.
        preprocess: what makes the model's input of an image.
    """

    def __init__(self, bundle: Bundle) -> None:
        bundle.metadata.check_task("classification", str(bundle.path))
        self.bundle = bundle
        self.labels: tuple[str, ...] = bundle.metadata.labels
        self.preprocess: Preprocess = bundle.metadata.preprocess
        _check_output(bundle)

    def classify(self, image: ImageLike, top: int = 5) -> list[Prediction]:
        """The likeliest classes of one image, best first.

        Args:
            image: a path, the bytes of a file, a Pillow image, or a uint8 array of H x W x 3, RGB.
            top: how many classes; all of them where the model has fewer.

        Raises:
            FileMissingError: no file at the path.
            ImageError: no readable image.
            UsageError: ``top`` below 1.
        """
        return self.classify_batch([image], top)[0]

    def classify_batch(self, images: Sequence[ImageLike], top: int = 5, batch_size: int = 32) -> list[list[Prediction]]:
        """The likeliest classes of each image; ``batch_size`` images are computed at once."""
        if top < 1 or batch_size < 1:
            raise UsageError(f"top {top} and batch_size {batch_size}; expected at least 1 of each.")
        answers = []
        for start in range(0, len(images), batch_size):
            batch_u8_nhwc = self.preprocess.batch(images[start : start + batch_size])
            answers += self.best(batch_u8_nhwc, top)
        return answers

    def best(self, batch_u8_nhwc: npt.NDArray[np.uint8], top: int = 5) -> list[list[Prediction]]:
        """The likeliest classes of each image of a prepared batch, best first; arguments as for `probabilities`."""
        return [self._best(scores, top) for scores in self.probabilities(batch_u8_nhwc)]

    def probabilities(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The probability of every class, ``float32[N, classes]``.

        Args:
            batch_u8_nhwc: ``uint8[N, H, W, 3]``, RGB, as ``preprocess`` makes it; N at least 1.

        Raises:
            InputShapeError: another type or shape.
            BundleError: the model gives infinities or NaN.
        """
        scores: npt.NDArray[np.float32] = self.bundle.run(batch_u8_nhwc)[_OUTPUT]
        if not np.isfinite(scores).all():
            raise BundleError(f"{self.bundle.path}: gives scores that are no numbers. Its weights are broken.")
        return scores

    def _best(self, scores: npt.NDArray[np.float32], top: int) -> list[Prediction]:
        order = np.argsort(-scores, kind="stable")[:top]
        return [Prediction(self.labels[index], float(scores[index]), int(index)) for index in order]


class Naming:
    """What the many images of a `litevision.runtime.pipeline` are to be asked: their ``top`` likeliest classes."""

    def __init__(self, classifier: Classifier, top: int = 5) -> None:
        self._classifier = classifier
        self._top = top

    def prepare(self, source: ImageLike | OpenedImage) -> npt.NDArray[np.uint8]:
        return self._classifier.preprocess(source)

    def answer(self, inputs: Sequence[npt.NDArray[np.uint8]]) -> list[list[Prediction]]:
        return self._classifier.best(np.stack(inputs), self._top)


def _check_output(bundle: Bundle) -> None:
    outputs = bundle.engine.outputs
    expected = TensorInfo(_OUTPUT, "float", (None, len(bundle.metadata.labels)))
    if expected not in outputs:
        raise BundleError(
            f"{bundle.path}: its outputs are {'; '.join(map(str, outputs))}; expected {expected}, one for each label. "
            "Make the bundle again with 'litevision export'."
        )
