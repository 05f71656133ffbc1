"""What came of the candidates: their rows, measured side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from litevision.errors import TrainingError
from litevision.lab.compare.candidates import Candidate
from litevision.runtime import Bundle
from litevision.runtime.engines.timing import sample_images, time_engines
from litevision.training.report.facts import judged_split
from litevision.training.result import BUNDLE, RESULTS


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One candidate.

    Attributes:
        candidate: its name.
        network: the architecture of its backbone.
        dialect: whose form of it.
        neck: what stands on it.
        num_params: learned numbers.
        bundle_bytes: of the bundle.
        macs: multiply-adds for one image.
        median_ms: milliseconds for one image in onnxruntime, decoding of peaks to boxes included.
        p25_ms: a quarter of the calls took no longer.
        p75_ms: three quarters took no longer.
        calls: how often it was timed.
        epochs: trained.
        best_epoch: the one whose weights are scored.
        minutes: of training steps.
        device: what trained.
        train_loss: mean of the last epoch.
        split: the images that the scores are of.
        images: how many they are.
        boxes: how many boxes they have.
        ap: COCO's average precision, in [0, 1].
        ap50: that at IoU 0.5.
    """

    candidate: str
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
    split: str
    images: int
    boxes: int
    ap: float
    ap50: float


def measured_rows(candidates: Sequence[Candidate], folder: Path, seconds: float) -> list[ComparisonRow]:
    """Measure finished candidates side by side: calls of their bundles are interleaved, ``seconds`` for each.

    Raises:
        TrainingError: results that cannot be read.
        LitevisionError: as for `litevision.runtime.Bundle.open`.
    """
    found = [_results(folder / candidate.name) for candidate in candidates]
    bundles = [Bundle.open(folder / candidate.name / BUNDLE) for candidate in candidates]
    one_u8_nhwc = sample_images(bundles[0].metadata.preprocess)[:1]  # all have the same input
    timed = time_engines([bundle.engine for bundle in bundles], one_u8_nhwc, streams=1, seconds=seconds)
    return [_row(*each) for each in zip(candidates, found, timed, strict=True)]


def is_finished(folder: Path) -> bool:
    """Whether the run in ``folder`` has left its results."""
    return (folder / RESULTS).is_file()


def _results(folder: Path) -> dict[str, Any]:
    try:
        results: dict[str, Any] = json.loads((folder / RESULTS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder / RESULTS}: cannot be read ({error}); remove it, then run again") from None
    return results


def _row(candidate: Candidate, results: Mapping[str, Any], taken: Sequence[float]) -> ComparisonRow:
    split = judged_split(results) or "validation"
    scores, network, epochs = results["scores"][split], results["network"], results["epochs"]
    faster, median, slower = (1e3 * float(it) for it in np.percentile(taken, (25, 50, 75)))
    return ComparisonRow(
        candidate=candidate.name,
        network=network["architecture"],
        dialect=network["dialect"],
        neck=network["neck"],
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
        split=split,
        images=scores["count"],
        boxes=scores["boxes"],
        ap=scores["ap"],
        ap50=scores["ap50"],
    )
