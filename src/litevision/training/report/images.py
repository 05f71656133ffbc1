"""The report's images, each as a data URI: what was mistaken, and where the network looked."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

from litevision.errors import LitevisionError
from litevision.evaluation import Evaluation
from litevision.image import Preprocess
from litevision.image.decode import open_image

THUMBNAIL_PX = 192
_FIT = Preprocess((THUMBNAIL_PX, THUMBNAIL_PX), THUMBNAIL_PX, "letterbox")
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Overlay:
    """An image and where the network looked for its answer.

    Attributes:
        image_u8_hwc: the network's input, [H, W, 3].
        heat: [H, W] in [0, 1], as `litevision.training.report.gradcam.grad_cam` gives it.
        score: of the answer, in [0, 1].
    """

    path: Path
    image_u8_hwc: npt.NDArray[np.uint8]
    heat: npt.NDArray[np.float32]
    truth: str
    answer: str
    score: float


@dataclass(frozen=True, slots=True)
class Shown:
    """An image in the page; ``uris`` hold it, and are empty where it cannot be read any more."""

    path: Path
    truth: str
    answer: str
    score: float
    uris: tuple[str, ...]


def mistakes(evaluation: Evaluation, most: int) -> list[Shown]:
    """The wrong answers with the highest scores, highest first."""
    answers = evaluation.probabilities.argmax(1)
    scores = evaluation.probabilities.max(1)
    wrong = np.flatnonzero(answers != evaluation.labels)
    worst = wrong[np.argsort(-scores[wrong], kind="stable")][:most]
    return [
        Shown(
            evaluation.paths[at],
            evaluation.classes[evaluation.labels[at]],
            evaluation.classes[answers[at]],
            float(scores[at]),
            _thumbnail(evaluation.paths[at]),
        )
        for at in worst
    ]


def overlaid(overlays: Sequence[Overlay]) -> list[Shown]:
    """Each image as the network saw it, and under its heat."""
    return [
        Shown(
            overlay.path,
            overlay.truth,
            overlay.answer,
            overlay.score,
            (_uri(overlay.image_u8_hwc), _uri(_heated(overlay.image_u8_hwc, overlay.heat))),
        )
        for overlay in overlays
    ]


def _heated(image_u8_hwc: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The image in grey under the heat's colours, from dark purple to yellow: the warmer, the lighter."""
    grey = np.asarray(Image.fromarray(image_u8_hwc).convert("L"), np.float32)[..., None]
    # Evenly lighter for any colour vision; its last tenth is too pale to be told from grey.
    colours = 255 * colormaps["inferno"](0.9 * heat)[..., :3]
    cover = 0.4 + 0.2 * heat[..., None]
    heated: npt.NDArray[np.uint8] = (grey * (1 - cover) + colours * cover).round().astype(np.uint8)
    return heated


def _thumbnail(path: Path) -> tuple[str, ...]:
    try:
        image = open_image(path)
        x1, y1, x2, y2 = _FIT.geometry(image.upright_hw).target_xyxy
        return (_uri(_FIT(image)[y1:y2, x1:x2]),)
    except LitevisionError:  # it was there when it was scored
        return ()


def _uri(image_u8_hwc: npt.NDArray[np.uint8]) -> str:
    image = Image.fromarray(np.ascontiguousarray(image_u8_hwc))
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return data_uri(image)


def data_uri(image: Image.Image) -> str:
    """The image as a JPEG file inside a URI."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
