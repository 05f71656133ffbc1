"""Image classification with a bundle."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, UsageError
from litevision.image import ImageLike
from litevision.image.decode import OpenedImage, opening
from litevision.image.transforms import Crop, Interpolation
from litevision.runtime.bundle import Bundle
from litevision.runtime.engines import TensorInfo
from litevision.runtime.predictor import BATCH_SIZE, NAMED_TYPES, Inference, OnError, Predictor, stream_results
from litevision.runtime.results import Predictions, Result

_OUTPUT = "probabilities"


class SizedInput(NamedTuple):
    """The model's input of an image, ``uint8[H, W, 3]``, and the height and width of the upright image, px."""

    image_u8_hwc: npt.NDArray[np.uint8]
    image_hw: tuple[int, int]


class Classifier(Predictor[Predictions]):
    """Predicts which classes images show; may be used from several threads at once.

    Attributes:
        bundle: the model.
        labels: the class names, in the order of the probabilities.
        preprocess: what makes the model's input of an image.

    Raises:
        BundleError: a bundle for another task, or with other outputs.

    Example:
        >>> import litevision
        >>> classifier = litevision.load_classifier("clothing")
        >>> classifier.predict("examples/dress.jpg", top=1)[0].label
        'dress'
    """

    task = "classification"
    row_types: ClassVar[Mapping[str, str]] = {**NAMED_TYPES, "confidence": "float", "unsure": "bool"}

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        _check_output(bundle)

    def with_resize(
        self,
        *,
        crop: Crop | None = None,
        crop_fraction: float | None = None,
        interpolation: Interpolation | None = None,
    ) -> "Classifier":
        """Return this classifier with another way in which an image becomes the input.

        Args:
            crop: ``stretch`` squashes the image to the input's size, as many tutorials do; ``center`` cuts out the
                middle, ``letterbox`` fits it inside; by default what the bundle says, for this and what follows.
            crop_fraction: the part of the resized shorter side that ``center`` keeps.
            interpolation: ``bilinear`` or ``bicubic``.

        Raises:
            UsageError: a word that does not exist, or a part beyond 0 to 1.

        Example:
            >>> import litevision
            >>> stretched = litevision.load_classifier("clothing").with_resize(crop="stretch")
            >>> stretched.predict("examples/dress.jpg").labels[0]
            'dress'
        """
        other = copy.copy(self)
        other.preprocess = self.preprocess.with_resize(crop, crop_fraction, interpolation)
        other._for_streams = None
        return other

    def predict(self, image: ImageLike, top: int = 5) -> Predictions:
        """Predict the likeliest classes of one image.

        Args:
            image: a path, file object, bytes, Pillow image, array or tensor, as `litevision.image.ImageLike` says.
            top: how many classes; all of them where the model has fewer.

        Returns:
            The classes, best first.

        Raises:
            FileMissingError: no file at the path.
            ImageError: no readable image.
            UsageError: ``top`` below 1.
        """
        return self.inference(top).predict([image])[0]

    def predict_batch(
        self, images: Iterable[ImageLike], top: int = 5, *, batch_size: int = BATCH_SIZE
    ) -> list[Predictions]:
        """Predict the likeliest classes of each image.

        Args:
            images: as for `predict`; all that is kept of each is its classes.
            top: as for `predict`.
            batch_size: how many images the network sees at once.

        Raises:
            LitevisionError: as for `predict`, for the first image that cannot be read.
        """
        return self.inference(top).predict(images, batch_size)

    def stream(
        self,
        images: Iterable[ImageLike],
        top: int = 5,
        *,
        on_error: OnError = "raise",
        workers: int | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Result[Predictions]]:
        """Predict for any number of images on all cores, in their order and in bounded memory.

        Args:
            images: read as they are used; at most 2 batches a worker are under way. ``litevision.find_images(folder)``
                gives those of a folder; one in it that cannot be read is an error in its place.
            top: as for `predict`.
            on_error: "raise" the error of an image that cannot be read, or "keep" it as a `Result` whose ``error`` is
                set, and go on.
            workers: how many batches are computed at once, each in a thread that also decodes its images; by default
                as many as the bundle was opened with streams for, or one for each CPU that this process may use. For
                more workers than streams, the bundle is opened once more.
            batch_size: how many images the network sees at once.

        Raises:
            LitevisionError: as for `predict`, when its turn comes.
            UsageError: a count below 1.

        Example:
            >>> import litevision
            >>> classifier = litevision.load_classifier("clothing")
            >>> for result in classifier.stream(["examples/dress.jpg", "no.jpg"], top=1, on_error="keep"):
            ...     print(result.name, result.error or result.predictions.labels)
            examples/dress.jpg ('dress',)
            no.jpg no.jpg: no such file. Check the path.
        """
        predictor, workers = self._with_workers(workers)
        return stream_results(
            predictor.inference(top), images, on_error=on_error, workers=workers, batch_size=batch_size
        )

    def inference(self, top: int = 5) -> Inference[SizedInput, Predictions]:
        """Bind the options to the steps from images to predictions, for `litevision.runtime.pipeline`.

        Raises:
            UsageError: ``top`` below 1.
        """
        if top < 1:
            raise UsageError(f"top {top}; expected at least 1.")
        return Inference(self._sized, partial(self._infer, top))

    def probabilities(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute the probability of every class, ``float32[N, classes]``.

        Args:
            batch_u8_nhwc: ``uint8[N, H, W, 3]``, RGB, as ``preprocess`` makes it; N at least 1.

        Raises:
            InputShapeError: another type or shape.
            BundleError: the model outputs NaN or inf, or not as many scores as there are images and classes.
        """
        scores: npt.NDArray[np.float32] = self.bundle.run(batch_u8_nhwc)[_OUTPUT]
        if scores.shape != (len(batch_u8_nhwc), len(self.labels)):
            raise BundleError(
                f"{self.bundle.path}: gives scores {scores.shape} for {len(batch_u8_nhwc)} images and "
                f"{len(self.labels)} labels. Make the bundle again with 'litevision export'."
            )
        if not np.isfinite(scores).all():
            raise BundleError(f"{self.bundle.path}: outputs NaN or inf; its weights are corrupted.")
        return scores

    def _sized(self, source: ImageLike | OpenedImage) -> SizedInput:
        with opening(source) as image:
            return SizedInput(self.preprocess(image), image.upright_hw)

    def _infer(self, top: int, inputs: Sequence[SizedInput], images: Sequence[ImageLike | None]) -> list[Predictions]:
        probabilities = self.probabilities(np.stack([it.image_u8_hwc for it in inputs]))
        calibration = self.bundle.metadata.calibration
        confidences = [None] * len(images) if calibration is None else calibration.confidences(probabilities).tolist()
        limit = 0.0 if calibration is None else calibration.unsure_below
        is_imagenet = _is_imagenet(self.labels)
        found = []
        for scores, it, image, confidence in zip(probabilities, inputs, images, confidences, strict=True):
            index = np.argsort(-scores, kind="stable")[:top]
            labels = tuple(self.labels[place] for place in index.tolist())
            unsure = confidence is not None and confidence < limit
            found.append(Predictions(labels, scores[index], index, image, it.image_hw, confidence, unsure, is_imagenet))
        return found


def _is_imagenet(labels: Sequence[str]) -> bool:
    """Whether these are the 1000 classes in their order, by the name of the first and the last one."""
    return len(labels) == 1000 and (labels[0], labels[-1]) == ("tench", "toilet_tissue")


def _check_output(bundle: Bundle) -> None:
    outputs = bundle.engine.outputs
    expected = TensorInfo(_OUTPUT, "float", (None, len(bundle.metadata.labels)))
    one_by_one = TensorInfo(_OUTPUT, "float", (1, len(bundle.metadata.labels)))
    if expected not in outputs and one_by_one not in outputs:
        raise BundleError(
            f"{bundle.path}: its outputs are {'; '.join(map(str, outputs))}; expected {expected}, one for each label. "
            "Make the bundle again with 'litevision export'."
        )
