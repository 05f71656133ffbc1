"""How good a bundle is on labelled images, in the engine that will run it. No torch."""

from litevision.evaluate.classification import evaluate_bundle
from litevision.evaluate.records import Evaluation, Skipped
from litevision.evaluate.samples import select_split
from litevision.evaluate.scores import (
    CalibrationBin,
    ClassScores,
    Confusion,
    Scores,
    as_bundle_score,
    calibration,
    scores,
    wilson_interval,
)

__all__ = [
    "CalibrationBin",
    "ClassScores",
    "Confusion",
    "Evaluation",
    "Scores",
    "Skipped",
    "as_bundle_score",
    "calibration",
    "evaluate_bundle",
    "scores",
    "select_split",
    "wilson_interval",
]
