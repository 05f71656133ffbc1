"""How good a bundle is on labelled images, in the engine that will run it. No torch."""

from litevision.evaluation.classification import Evaluation, evaluate_bundle
from litevision.evaluation.confidence import CalibrationBin, calibration, fit_calibration
from litevision.evaluation.samples import Skipped, select_split
from litevision.evaluation.scores import (
    ClassScores,
    Confusion,
    Scores,
    as_bundle_score,
    like_a_constant,
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
    "fit_calibration",
    "like_a_constant",
    "scores",
    "select_split",
    "wilson_interval",
]
