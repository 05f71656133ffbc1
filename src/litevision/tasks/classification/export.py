"""A classifier's graph, and the proof that a bundle answers as the module it was made from: both see real images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from litevision.errors import BundleError, ExportError
from litevision.exporting.answers import TOLERANCE
from litevision.exporting.graph import FromRaw
from litevision.models.network import Network
from litevision.models.pretrained import normalise
from litevision.runtime import Bundle, Check, Classifier, Normalisation
from litevision.runtime.metadata import Activation


class RawToProbabilities(FromRaw):
    """A classifier with its normalisation: uint8 [N, H, W, 3] RGB -> float32 [N, classes].

    Each row of a softmax sums to 1. A sigmoid gives each class a probability of its own; of a single logit it gives two
    answers, of which the second has the logit's probability and the first the rest, so that they sum to 1 again.
    """

    outputs = ("probabilities",)

    def __init__(self, network: nn.Module, normalisation: Normalisation, activation: Activation = "softmax") -> None:
        super().__init__(network, normalisation)
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.answer(images)
        logits = answer.flatten(1)  # slim's layout has two axes of length 1 in between
        if self.activation == "softmax":
            return logits.softmax(-1)
        if logits.shape[1] == 1:
            logits = torch.cat([-logits, logits], 1)
        return logits.sigmoid()


def expected_probabilities(
    network: Network,
    normalisation: Normalisation,
    activation: Activation | None,
    batch_u8_nhwc: npt.NDArray[np.uint8],
) -> npt.NDArray[np.float64]:
    """What a bundle of ``network`` must give, in float64 and by NumPy: nothing of the exported graph is used here."""
    images = torch.from_numpy(batch_u8_nhwc).permute(0, 3, 1, 2)
    with torch.inference_mode():
        logits = network(normalise(images, normalisation, network.config.in_channels)).flatten(1).double().numpy()
    if not np.isfinite(logits).all():
        return np.full_like(logits, np.nan)
    if activation == "sigmoid":
        likely = np.exp(-np.logaddexp(0, -logits))
        return np.concatenate([1 - likely, likely], 1) if logits.shape[1] == 1 else likely
    odds = np.exp(logits - logits.max(1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = odds / odds.sum(1, keepdims=True)
    return probabilities


def check_bundle(
    path: Path,
    network: Network,
    normalisation: Normalisation,
    check_images: Sequence[str | Path | bytes],
    *,
    tolerance: float = TOLERANCE,
) -> Check:
    """Compares the bundle at ``path``, in onnxruntime, with ``network`` as it was before export, in eval mode.

    The engine sees the images one by one and all at once, the module all at once, so that the open batch axis is
    tried too. What is expected is computed apart from the graph, by what the bundle says of its activation. Two
    classes within ``tolerance`` of each other may stand in either order.

    Raises:
        ExportError: a probability differs by more than ``tolerance``, or is no number, or a top-1 answer differs.
    """
    if not check_images:
        raise ExportError("the check needs at least one image, got none")
    try:
        classifier = Classifier(Bundle.open(path))
        batch_u8_nhwc = classifier.preprocess.batch(check_images)
        activation = classifier.bundle.metadata.activation
        expected = expected_probabilities(network, normalisation, activation, batch_u8_nhwc)
        if not np.isfinite(expected).all():
            raise ExportError("the network gives no numbers for images: its weights are broken; nothing was written")
        got = classifier.probabilities(batch_u8_nhwc)
        singly = np.concatenate([classifier.probabilities(image_u8_hwc[None]) for image_u8_hwc in batch_u8_nhwc])
    except BundleError as error:
        raise ExportError(f"the bundle does not run: {str(error).replace(str(path), path.name)}") from error

    difference = float(max(np.abs(got - expected).max(), np.abs(singly - expected).max()))
    answers = expected[np.arange(len(check_images)), got.argmax(-1)]
    agreement = float((answers >= expected.max(-1) - tolerance).mean())
    if difference > tolerance or agreement < 1:
        raise ExportError(
            f"the bundle does not match its module on {len(check_images)} images: the largest difference of a "
            f"probability is {difference:.2g} (at most {tolerance:g} expected), the top answer agrees on "
            f"{agreement:.0%}; nothing was written"
        )
    return Check(classifier.bundle.engine.version, len(check_images), difference, agreement)
