"""What a detection run leaves: the checked bundle, its scores in the engine that will run it, and who tells of them."""

from pathlib import Path
from typing import Any

import numpy as np

from litevision.data.dataset import Split
from litevision.evaluation.coco import as_detection_score, detection_scores
from litevision.evaluation.curves import best_thresholds, curves
from litevision.evaluation.detection import DetectionEvaluation, evaluate_detector
from litevision.exporting.bundle import add_score
from litevision.exporting.detection import export_detection_bundle
from litevision.files import atomic_write
from litevision.models.centernet import CenterNet
from litevision.runtime import Bundle, Detector
from litevision.runtime.cpus import available_cpus
from litevision.runtime.detector import DEFAULT_SCORE_THRESHOLD
from litevision.training.checkpoint import Progress
from litevision.training.finish import (
    BUNDLE,
    CARD,
    MEASURED_BY,
    bundle_record,
    check_images,
    described,
    how_it_went,
    trained_weights,
    training_data,
    write_results,
)
from litevision.training.plan import DetectionPlan
from litevision.training.report.card_boxes import detector_card
from litevision.training.report.page_boxes import write_detection_report
from litevision.training.report.tables import write_box_classes_csv, write_epochs_csv

_HELD_OUT: tuple[Split, ...] = ("validation", "test")


def finish_detection(
    plan: DetectionPlan, network: CenterNet, progress: Progress, folder: Path, *, stopped_early: bool, device: str
) -> dict[str, Any]:
    """Does what `litevision.training.finish.finish` does, with the same arguments."""
    network = network.eval()
    bundle, data = folder / BUNDLE, plan.data
    export_detection_bundle(
        network,
        bundle,
        labels=data.classes,
        preprocess=plan.preprocess,
        normalisation=plan.normalisation,
        weights=trained_weights(plan, folder / "best.ckpt"),
        training_data=training_data(plan),
        top_k=plan.recipe.detection.top_k,
        check_images=check_images(plan),
    )
    detector = Detector(Bundle.open(bundle, threads=1, streams=available_cpus()))
    evaluations: dict[str, DetectionEvaluation] = {
        split: evaluate_detector(detector, data.of(split), data.classes, split=split)
        for split in _HELD_OUT
        if sum(data.counts(split))
    }
    found = {split: detection_scores(evaluation) for split, evaluation in evaluations.items()}
    # The test images decide nothing, so that their score is that of images never seen.
    thresholds = best_thresholds(evaluations["validation"], DEFAULT_SCORE_THRESHOLD)
    judged = "test" if "test" in found else "validation"
    score = as_detection_score(found[judged], f"{data.root.name}, {judged} split", plan.preprocess.size_hw, MEASURED_BY)
    check = add_score(bundle, score, thresholds).check
    results = {
        **described(plan, network, device),
        **how_it_went(progress, stopped_early=stopped_early),
        "thresholds": list(thresholds),
        "scores": {split: found[split].to_dict() if split in found else None for split in _HELD_OUT},
        "at_thresholds": at_thresholds(evaluations[judged], thresholds),
        "bundle": bundle_record(bundle, check),
    }
    results["data"]["images"] = {split: len(data.of(split)) for split in results["data"]["counts"]}
    results["network"].update(
        neck=plan.config.neck, neck_channels=plan.config.neck_channels, head_channels=plan.config.head_channels
    )
    write_epochs_csv(folder / "epochs.csv", results)
    write_box_classes_csv(folder / "classes.csv", results, judged)
    with atomic_write(folder / CARD) as partial:
        partial.write_text(detector_card(results), "utf-8")
    write_detection_report(folder, results, evaluations)
    write_results(folder, results)
    return results


def at_thresholds(evaluation: DetectionEvaluation, thresholds: tuple[float, ...]) -> list[dict[str, Any]]:
    """What comes of the scores that were chosen, for each class: precision, recall and F1 at IoU 0.5.

    None where nothing was found, or nothing was there.
    """
    rows: list[dict[str, Any]] = []
    for curve, threshold in zip(curves(evaluation), thresholds, strict=True):
        kept = int(np.searchsorted(-curve.scores, -threshold, side="right"))
        precision = float(curve.precision[kept - 1]) if kept else None
        recall = (float(curve.recall[kept - 1]) if kept else 0.0) if curve.count else None
        f1 = None
        if precision is not None and recall is not None:
            f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        rows.append({"name": curve.name, "threshold": threshold, "precision": precision, "recall": recall, "f1": f1})
    return rows
