"""What the report of a detector shows that no other does: precision-recall curves, and the worst images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from litevision.data import DetectionSample
from litevision.detections import Detections
from litevision.errors import LitevisionError
from litevision.evaluation.curves import Curve, curves
from litevision.evaluation.detection import DetectionEvaluation
from litevision.image.decode import open_image
from litevision.image.draw import PALETTE, draw_boxes
from litevision.image.text import Lettering
from litevision.tasks.detection.card import built_on
from litevision.training.report import facts, plots
from litevision.training.report.page import data_uri

MOST_IMAGES = 12
_MOST_CURVES = 12
_SHOWN_PX = 400
_MOST_TEXTS = 8  # more of them would hide the boxes


@dataclass(frozen=True, slots=True)
class ShownBoxes:
    """An image in the page; ``uris`` hold it with its labels and with what was found, empty where it is gone."""

    path: Path
    boxes: int
    missed: int
    wrong: int
    uris: tuple[str, ...]


def report_parts(
    results: facts.Results, evaluations: Mapping[str, DetectionEvaluation], is_shown: Callable[[Path], bool]
) -> dict[str, Any]:
    """What the template is filled with.

    Args:
        results: as ``results.json`` holds them.
        evaluations: by split; curves and images are those of the split that the run is judged by.
        is_shown: whether an image may be shown.
    """
    split = facts.judged_split(results)
    evaluation = evaluations[split] if split else None
    return {
        "judged": {"scores": results["scores"][split], "evaluation": evaluation} if split else None,
        "overlays": (),
        "built_on": built_on(results["network"]),
        "rows": list(zip(results["scores"][split]["per_class"], results["at_thresholds"], strict=True))
        if split
        else [],
        "plots": _plots(evaluation, results["thresholds"]) if evaluation else [],
        "worst": worst(evaluation, results["thresholds"], MOST_IMAGES, is_shown) if evaluation else [],
        "colours": [
            (name, "#{:02x}{:02x}{:02x}".format(*PALETTE[label % len(PALETTE)]))
            for label, name in enumerate(results["data"]["classes"][: len(PALETTE)])
        ],
    }


def _plots(evaluation: DetectionEvaluation, thresholds: Sequence[float]) -> list[Any]:
    """Precision against recall of the classes that most boxes are of."""
    found = sorted(zip(curves(evaluation), thresholds, strict=True), key=lambda one: -one[0].count)
    return [
        plots.precision_recall(curve.name, curve.precision.tolist(), curve.recall.tolist(), _place(curve, threshold))
        for curve, threshold in found[:_MOST_CURVES]
        if len(curve.recall)
    ]


def _place(curve: Curve, threshold: float) -> int | None:
    kept = int(np.searchsorted(-curve.scores, -threshold, side="right"))
    return kept - 1 if kept else None


def worst(
    evaluation: DetectionEvaluation, thresholds: Sequence[float], most: int, is_shown: Callable[[Path], bool]
) -> list[ShownBoxes]:
    """The images with most objects missed or seen where there are none, at ``thresholds``; without any, none."""
    least = np.array(thresholds, np.float32)
    found = []
    for sample, all_found in zip(evaluation.samples, evaluation.found, strict=True):
        kept = all_found[all_found.scores >= least[all_found.class_ids]]
        boxes, missed, wrong = _mistakes(replace(evaluation, samples=(sample,), found=(kept,)))
        if missed + wrong:
            found.append((missed + wrong, boxes, missed, wrong, sample, kept))
    found.sort(key=lambda one: (-one[0], str(one[4].path)))
    return [
        ShownBoxes(
            sample.path,
            boxes,
            missed,
            wrong,
            _drawn(sample, kept, evaluation.classes) if is_shown(sample.path) else (),
        )
        for _, boxes, missed, wrong, sample, kept in found[:most]
    ]


def _mistakes(image: DetectionEvaluation) -> tuple[int, int, int]:
    """How many objects there are, how many of them are missed, and how many boxes are around nothing."""
    [sample], [found] = image.samples, image.found
    boxes = missed = wrong = 0
    for label, curve in enumerate(curves(image)):
        right = round(float(curve.recall[-1]) * curve.count) if len(curve.recall) else 0
        boxes += curve.count
        missed += curve.count - right
        if right:
            wrong += round(right / float(curve.precision[-1])) - right
        elif not sample.ignored[sample.labels == label].any():
            wrong += int((found.class_ids == label).sum())
    return boxes, missed, wrong


def _drawn(sample: DetectionSample, found: Detections, classes: Sequence[str]) -> tuple[str, ...]:
    """The image with its labels, and with what was found."""
    try:
        image = open_image(sample.path).upright_rgb()
    except LitevisionError:  # it was there when it was scored
        return ()
    full = image.width
    image.thumbnail((_SHOWN_PX, _SHOWN_PX))
    scale = image.width / full
    lettering = Lettering()
    truth = [
        f"{lettering.name(classes[label], label)}{' (ignored)' if ignored else ''}"
        for label, ignored in zip(sample.labels.tolist(), sample.ignored, strict=True)
    ]
    said = [lettering.caption(it.label, it.index, it.score) for it in found]
    return tuple(
        data_uri(draw_boxes(image, boxes_xyxy * scale, texts if len(texts) <= _MOST_TEXTS else None, labels, lettering))
        for boxes_xyxy, labels, texts in (
            (sample.boxes_xyxy, sample.labels, truth),
            (found.xyxy, found.class_ids, said),
        )
    )
