"""Boxes against the truth as COCO scores them, computed by faster-coco-eval."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.detections import box_area, box_convert
from litevision.errors import MissingExtraError, UsageError
from litevision.evaluation.bootstrap import ap_intervals
from litevision.evaluation.curves import OperatingPoint, curves
from litevision.evaluation.detection import DetectionEvaluation
from litevision.runtime import DetectionScore

# COCO's order of average precisions and recalls, in ``stats``.
_STATS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)
_AT_50 = 0  # the places of IoU 0.50, of boxes of any size and of up to 100 boxes an image in COCO's tables
_ANY_SIZE = 0
_UP_TO_100 = 2


@dataclass(frozen=True, slots=True)
class ClassDetectionScores:
    """One class, of which there are ``count`` boxes; all other figures in [0, 1], or None where nothing defines them.

    Attributes:
        ap: as in `DetectionScores`.
        ap50: as in `DetectionScores`.
        threshold: the score from which on a box should count: there, F1 at IoU 0.5 is highest.
        precision: at that score.
        recall: at that score.
        f1: at that score.
    """

    name: str
    count: int
    ap: float | None
    ap50: float | None
    threshold: float | None
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """How good a detector is: COCO's figures, in [0, 1], or None where there are no true boxes of that size.

    Attributes:
        count: images.
        boxes: true boxes in them, those to be ignored not counted.
        ap: average precision, mean over the classes and the overlaps (IoU) 0.50, 0.55, ... 0.95.
        ap50: where an overlap of 0.50 is enough.
        ap75: where it must be 0.75.
        ap_small: of boxes of up to 32 x 32 px.
        ap_medium: of boxes from there up to 96 x 96 px.
        ap_large: of larger ones.
        ar1: average recall with one box an image and class.
        ar10: with ten.
        ar100: with a hundred.
        ar_small: with a hundred, of small boxes.
        ar_medium: of medium ones.
        ar_large: of large ones.
        per_class: each class.
        ap_interval: where the AP of many more such images lies with 95 % confidence, by bootstrap over the images;
            None where it was not asked for, or of fewer than two images.
        ap50_interval: likewise.
    """

    count: int
    boxes: int
    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar1: float | None
    ar10: float | None
    ar100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None
    per_class: tuple[ClassDetectionScores, ...]
    ap_interval: tuple[float, float] | None = None
    ap50_interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The scores as ``json.dumps`` and ``json.loads`` keep them."""
        plain = asdict(self)
        for name in ("ap_interval", "ap50_interval"):
            plain[name] = None if plain[name] is None else list(plain[name])
        return {**plain, "per_class": [asdict(it) for it in self.per_class]}


def require_coco() -> None:
    """Returns if boxes can be scored here.

    Raises:
        MissingExtraError: faster-coco-eval is not installed.
    """
    try:
        import faster_coco_eval  # noqa: F401
    except ImportError:
        raise MissingExtraError.of("scoring boxes", "score") from None


def detection_scores(evaluation: DetectionEvaluation, *, intervals: bool = False) -> DetectionScores:
    """How good the boxes are, with the ``intervals`` of AP and AP50 where these are wanted.

    Raises:
        UsageError: no images.
        MissingExtraError: faster-coco-eval is not installed.
    """
    if not evaluation.samples:
        why = evaluation.skipped[0].detail if evaluation.skipped else "there are none"
        raise UsageError(f"no image of the split {evaluation.split!r} can be scored; expected at least one ({why}).")
    require_coco()
    stats, precision = _computed(evaluation)
    bests = curves(evaluation)
    ap_interval, ap50_interval = ap_intervals(evaluation) if intervals else (None, None)
    per_class = []
    for place, curve in enumerate(bests):
        table = precision[:, :, place, _ANY_SIZE, _UP_TO_100]
        per_class.append(_of_class(curve.name, curve.count, _mean(table), _mean(table[_AT_50]), curve.best_f1()))
    return DetectionScores(
        count=len(evaluation.samples),
        boxes=sum(curve.count for curve in bests),
        per_class=tuple(per_class),
        ap_interval=ap_interval,
        ap50_interval=ap50_interval,
        **dict(zip(_STATS, stats, strict=True)),
    )


def as_detection_score(
    scores: DetectionScores, dataset: str, size_hw: tuple[int, int], measured_by: str
) -> DetectionScore:
    """The score that a bundle's metadata carries.

    Raises:
        UsageError: there was no true box, so nothing was measured.
    """
    if scores.ap is None or scores.ap50 is None or scores.ap75 is None:
        raise UsageError(f"{dataset}: {scores.count} images without a box give no score; expected some with boxes.")
    return DetectionScore(scores.ap, scores.ap50, scores.ap75, dataset, scores.count, size_hw, measured_by)


def coco_truth(evaluation: DetectionEvaluation) -> dict[str, Any]:
    """The true boxes as a COCO document; images and classes are numbered from 1, boxes to be ignored are crowds."""
    annotations: list[dict[str, Any]] = []
    for image, sample in enumerate(evaluation.samples, start=1):
        areas = box_area(sample.boxes_xyxy) if sample.areas is None else sample.areas
        rows = zip(*(_plain(it) for it in (sample.labels, sample.ignored, areas)), strict=True)
        for box, (label, ignored, area_px) in zip(_plain(_xywh(sample.boxes_xyxy)), rows, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": label + 1,
                    "bbox": box,
                    "area": area_px,
                    "iscrowd": int(ignored),
                }
            )
    return {
        "images": [
            {"id": image, "file_name": str(it.path), "height": it.size_hw[0], "width": it.size_hw[1]}
            for image, it in enumerate(evaluation.samples, start=1)
        ],
        "categories": [{"id": place, "name": name} for place, name in enumerate(evaluation.classes, start=1)],
        "annotations": annotations,
    }


def coco_results(evaluation: DetectionEvaluation) -> list[dict[str, Any]]:
    """What was found as COCO's list of results, numbered as in `coco_truth`."""
    return [row for image, it in enumerate(evaluation.found, start=1) for row in it.to_coco(image)]


def _computed(evaluation: DetectionEvaluation) -> tuple[list[float | None], npt.NDArray[np.float64]]:
    """COCO's twelve figures, and its table of precisions [IoU, recall, class, size, boxes an image]."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(coco_truth(evaluation), print_function=_say_nothing)
    run = COCOeval_faster(truth, truth.loadRes(coco_results(evaluation)), "bbox", print_function=_say_nothing)
    run.evaluate()
    run.accumulate()
    run.summarize()
    stats = [None if it < 0 else float(it) for it in run.stats[: len(_STATS)]]
    return stats, run.eval["precision"]


def _say_nothing(*_: object) -> None:
    pass


def _xywh(boxes_xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    # In float64, so that an edge is what it was once it is added up again.
    return box_convert(boxes_xyxy.astype(np.float64), "xyxy", "xywh")


def _plain(array: npt.NDArray[Any]) -> Sequence[Any]:
    plain: Sequence[Any] = array.tolist()
    return plain


def _mean(table: npt.NDArray[np.float64]) -> float | None:
    defined = table[table > -1]
    return float(defined.mean()) if defined.size else None


def _of_class(
    name: str, count: int, ap: float | None, ap50: float | None, best: OperatingPoint | None
) -> ClassDetectionScores:
    if best is None:
        return ClassDetectionScores(name, count, ap, ap50, None, None, None, None)
    return ClassDetectionScores(name, count, ap, ap50, best.threshold, best.precision, best.recall, best.f1)
