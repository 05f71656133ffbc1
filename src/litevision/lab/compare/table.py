"""What came of the trials: their rows, measured side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from litevision.errors import TrainingError, reason_of
from litevision.files import atomic_write
from litevision.lab.compare.candidates import Trial
from litevision.runtime import Bundle
from litevision.runtime.cpus import available_cpus
from litevision.runtime.engines.timing import sample_images, time_engines
from litevision.training.plan import read_plan
from litevision.training.report.facts import judged_split
from litevision.training.result import BUNDLE, RESULTS

TRAIN_SCORES = "train_scores.json"


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One trial.

    Attributes:
        candidate: its candidate's name.
        regime: plain or augmented.
        seed: its own.
        network: the architecture of its backbone.
        dialect: whose form of it.
        neck: what stands on it; empty where the network's name says it.
        num_params: learned numbers.
        bundle_bytes: of the bundle.
        macs: multiply-adds for one image.
        median_ms: milliseconds for one image in onnxruntime, decoding of peaks to boxes included.
        p25_ms: a quarter of the calls took no longer.
        p75_ms: three quarters took no longer.
        calls: how often it was timed.
        epochs: trained.
        best_epoch: the one whose weights are scored, the last unless an earlier version trained it.
        minutes: of training steps.
        device: what trained.
        train_loss: mean of the last epoch, over its images as they were shown.
        train_images: how many images it learned from.
        train_ap: average precision on these, as they are, in [0, 1].
        split: the images that the scores are of.
        images: how many they are.
        boxes: how many boxes they have.
        ap: COCO's average precision, in [0, 1].
        ap50: that at IoU 0.5.
    """

    candidate: str
    regime: str
    seed: int
    network: str
    dialect: str
    neck: str
    num_params: int
    bundle_bytes: int
    macs: int
    median_ms: float
    p25_ms: float
    p75_ms: float
    calls: int
    epochs: int
    best_epoch: int
    minutes: float
    device: str
    train_loss: float
    train_images: int
    train_ap: float
    split: str
    images: int
    boxes: int
    ap: float
    ap50: float


def measured_rows(trials: Sequence[Trial], folder: Path, seconds: float) -> list[ComparisonRow]:
    """Measure finished trials side by side: calls of one bundle a candidate are interleaved, ``seconds`` for each.

    Raises:
        TrainingError: results that cannot be read.
        LitevisionError: as for `litevision.runtime.Bundle.open`.
    """
    found = [_results(folder / trial.name / RESULTS) for trial in trials]
    scores = [_train_scores(folder / trial.name) for trial in trials]
    first = {trial.candidate.name: trial for trial in reversed(trials)}  # its others differ in the weights alone
    bundles = [Bundle.open(folder / trial.name / BUNDLE) for trial in first.values()]
    one_u8_nhwc = sample_images(bundles[0].metadata.preprocess)[:1]  # all have the same input
    timed = time_engines([bundle.engine for bundle in bundles], one_u8_nhwc, streams=1, seconds=seconds)
    taken = dict(zip(first, timed, strict=True))
    return [_row(*each, taken[each[0].candidate.name]) for each in zip(trials, found, scores, strict=True)]


def is_finished(folder: Path) -> bool:
    """Whether the run in ``folder`` has left its results."""
    return (folder / RESULTS).is_file()


def _results(path: Path) -> dict[str, Any]:
    try:
        results: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read ({reason_of(error)}); remove it, then run again") from None
    return results


def _train_scores(folder: Path) -> dict[str, Any]:
    """How well the bundle of a run finds what it learned from; measured once, and kept beside it."""
    path = folder / TRAIN_SCORES
    if not path.exists():
        plan = read_plan(folder)
        detector = plan.task.open(Bundle.open(folder / BUNDLE, threads=1, streams=available_cpus()))
        samples = plan.data.of(*plan.recipe.schedule.splits)
        evaluation = plan.task.evaluate(detector, samples, plan.data.classes, split="train")
        scores = plan.task.scores(evaluation).to_dict()
        with atomic_write(path) as partial:
            partial.write_text(json.dumps({"images": len(samples), "ap": scores["ap"] or 0.0}))
    return _results(path)


def _row(
    trial: Trial, results: Mapping[str, Any], train_scores: Mapping[str, Any], taken: Sequence[float]
) -> ComparisonRow:
    split = judged_split(results) or "validation"
    scores, network, epochs = results["scores"][split], results["network"], results["epochs"]
    faster, median, slower = (1e3 * float(it) for it in np.percentile(taken, (25, 50, 75)))
    return ComparisonRow(
        candidate=trial.candidate.name,
        regime=trial.regime,
        seed=results["seed"],
        network=network["architecture"],
        dialect=network["dialect"],
        neck=network.get("neck", ""),
        num_params=network["num_params"],
        bundle_bytes=results["bundle"]["bytes"],
        macs=network["macs"],
        median_ms=median,
        p25_ms=faster,
        p75_ms=slower,
        calls=len(taken),
        epochs=len(epochs),
        best_epoch=results["best_epoch"],
        minutes=sum(epoch["seconds"] for epoch in epochs) / 60,
        device=results["machine"]["device"],
        train_loss=epochs[-1]["train_loss"],
        train_images=train_scores["images"],
        train_ap=train_scores["ap"],
        split=split,
        images=scores["count"],
        boxes=scores["boxes"],
        ap=scores["ap"],
        ap50=scores["ap50"],
    )
