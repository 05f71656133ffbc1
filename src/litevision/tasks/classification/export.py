"""A classifier's graph, and the proof that a bundle answers as the module it was made from: both see real images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from litevision.errors import BundleError, ExportError
from litevision.exporting.graph import TOLERANCE, FromRaw
from litevision.models.network import Network
from litevision.runtime import Bundle, Check, Classifier, Normalisation


class RawToProbabilities(FromRaw):
    """A classifier with its normalisation: uint8 [N, H, W, 3] RGB -> float32 [N, classes], each row summing to 1."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.answer(images)
        return logits.flatten(1).softmax(-1)  # slim's layout has two axes of length 1 in between


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
    tried too. Two classes within ``tolerance`` of each other may stand in either order.

    Raises:
        ExportError: a probability differs by more than ``tolerance``, or is no number, or a top-1 answer differs.
    """
    if not check_images:
        raise ExportError("the check needs at least one image, got none")
    try:
        classifier = Classifier(Bundle.open(path))
        batch_u8_nhwc = classifier.preprocess.batch(check_images)
        with torch.inference_mode():
            expected = RawToProbabilities(network, normalisation)(torch.from_numpy(batch_u8_nhwc)).numpy()
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
