"""What the report of a classifier shows that no other does: confusions, calibration, mistakes, and Grad-CAM."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib import colormaps
from PIL import Image

from litevision.evaluation import Evaluation, calibration, scores
from litevision.image import Preprocess
from litevision.models.network import Network
from litevision.models.pretrained import normalise
from litevision.runtime import Normalisation
from litevision.tasks.classification.gradcam import grad_cam
from litevision.training.report import facts, plots
from litevision.training.report.page import pixels_uri, thumbnail

MOST_IMAGES = 24  # of mistakes, and of overlays: what a person looks through, and the file stays small
_MOST_CONFUSIONS = 10
_OVERLAYS_RIGHT, _OVERLAYS_WRONG = 6, 6


@dataclass(frozen=True, slots=True)
class Overlay:
    """An image and where the network looked for its answer.

    Attributes:
        image_u8_hwc: the network's input, [H, W, 3].
        heat: [H, W] in [0, 1], as `litevision.tasks.classification.gradcam.grad_cam` gives it.
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
    """An image in the page; ``uris`` hold it, empty where it cannot be read any more or lies outside the data."""

    path: Path
    truth: str
    answer: str
    score: float
    uris: tuple[str, ...]


def report_parts(
    results: facts.Results,
    evaluations: Mapping[str, Evaluation],
    overlays: Sequence[Overlay],
    is_shown: Callable[[Path], bool] = lambda path: True,
) -> dict[str, Any]:
    """What the template is filled with.

    Args:
        results: as ``results.json`` holds them.
        evaluations: by split; the calibration and the mistakes are those of the split that the run is judged by, and
            are left out where it is not here.
        overlays: the first ``MOST_IMAGES`` are shown.
        is_shown: whether an image may be shown.
    """
    split = facts.judged_split(results)
    return {
        "judged": _judged(results, split, evaluations, is_shown) if split else None,
        "overlays": overlaid(overlays[:MOST_IMAGES]),
    }


def _judged(
    results: facts.Results, split: str, evaluations: Mapping[str, Evaluation], is_shown: Callable[[Path], bool]
) -> dict[str, Any]:
    """What the page shows of the split that the run is judged by."""
    found = results["scores"][split]
    judged: dict[str, Any] = {
        "scores": found,
        "matrix": plots.confusion_matrix(found["confusion"], [row["name"] for row in found["per_class"]]),
        "evaluation": evaluations.get(split),
        "confusions": (),
    }
    if split in evaluations:
        evaluation = evaluations[split]
        judged["confusions"] = scores(evaluation).confusions(_MOST_CONFUSIONS)
        judged["reliability"] = plots.reliability(calibration(evaluation))
        judged["mistakes"] = mistakes(evaluation, MOST_IMAGES, is_shown)
    return judged


def mistakes(evaluation: Evaluation, most: int, is_shown: Callable[[Path], bool]) -> list[Shown]:
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
            thumbnail(evaluation.paths[at]) if is_shown(evaluation.paths[at]) else (),
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
            (pixels_uri(overlay.image_u8_hwc), pixels_uri(_heated(overlay.image_u8_hwc, overlay.heat))),
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


def make_overlays(
    network: Network, preprocess: Preprocess, normalisation: Normalisation, evaluation: Evaluation
) -> list[Overlay]:
    """Where the network looked: in the surest mistakes, and in the surest right answers of some classes."""
    best = evaluation.probabilities.argmax(1)
    scored = evaluation.probabilities.max(1)
    order = (-scored).argsort(kind="stable")
    wrong = [index for index in order if best[index] != evaluation.labels[index]][:_OVERLAYS_WRONG]
    right: dict[int, int] = {}
    for index in order:
        if best[index] == evaluation.labels[index]:
            right.setdefault(int(best[index]), int(index))
    overlays = []
    for index in [*wrong, *list(right.values())[:_OVERLAYS_RIGHT]]:
        image_u8_hwc = preprocess(evaluation.paths[index])
        image = normalise(torch.from_numpy(image_u8_hwc).permute(2, 0, 1), normalisation, network.config.in_channels)
        heat = grad_cam(network, image[None], torch.tensor([int(best[index])]))[0].numpy()
        truth, answer = evaluation.classes[evaluation.labels[index]], evaluation.classes[best[index]]
        overlays.append(Overlay(evaluation.paths[index], image_u8_hwc, heat, truth, answer, float(scored[index])))
    return overlays
