"""The gate: a graph is run as the original was, on the same images, in the same engine, and what it lost is counted."""

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx

from litevision import __version__
from litevision.evaluation.agreement import Agreement
from litevision.quantizing.images import Judge
from litevision.runtime import METADATA_KEY, Bundle
from litevision.runtime.engines import ending_of
from litevision.runtime.engines.timing import time_engines
from litevision.runtime.metadata import BundleMetadata
from litevision.tables import pluralise
from litevision.tasks import Task

_Z = 1.96  # of 95 % of a normal distribution


@dataclass(frozen=True)
class Trial:
    """A graph, measured.

    Attributes:
        float_layers: the layers in float.
        score: the task's main figure; None where nothing is labelled.
        agreement: with the original's answers.
        num_bytes: of the file.
        ms: median milliseconds of one image.
    """

    float_layers: tuple[str, ...]
    score: float | None
    agreement: Agreement
    num_bytes: int
    ms: float


def faults_of(before: Trial, after: Trial, task: Task, max_drop: float, min_agreement: float) -> list[str]:
    """What is lost beyond the limits, in words."""
    faults, main = [], task.main_score
    if before.score is not None and after.score is not None and before.score - after.score > max_drop + 1e-9:
        drop = before.score - after.score
        faults.append(f"{main.name} falls by {drop:.3f}; at most {max_drop:g} is allowed")
    if after.agreement.share < min_agreement:
        faults.append(f"{after.agreement.share:.1%} of the answers agree; at least {min_agreement:.1%} must")
    return faults


def doubt_of(before: Trial, after: Trial, task: Task, max_drop: float, count: int) -> str | None:
    """What ``count`` images are too few to tell, and how many would do; None where they are enough.

    A share of right answers changes by nothing but the answers that changed, and each of these by one image at most:
    with m of n changed, its change has a standard error of at most sqrt(m) / n (McNemar 1947). With none changed, one
    stands for what so few cannot show. The verdict is not softened by it. AP is no share, and is judged as it is.
    """
    if before.score is None or after.score is None or not task.main_score.name.endswith("%") or not count:
        return None
    changed = max(1, round(count * (1 - after.agreement.share)))
    reach = 100 * _Z * math.sqrt(changed) / count
    drop = before.score - after.score
    if abs(drop - max_drop) >= reach or max_drop <= 0:
        return None
    needed = math.ceil((100 * _Z) ** 2 * changed / count / max_drop**2)
    return (
        f"{pluralise(count)} are too few to tell: {task.main_score.name} falls by {drop:.2f}, give or take "
        f"{reach:.2f}, and at most {max_drop:g} is allowed; about {max(needed, count + 1):,} labelled images would do "
        "(--evaluate-on)"
    )


class Gate:
    """Measures graphs as the original was measured: the same images, engine and threads."""

    def __init__(self, original: Bundle, task: Task, judge: Judge, *, integers_alone: bool = False) -> None:
        self.original, self.task, self.judge, self.integers_alone = original, task, judge, integers_alone
        self.scores: dict[Trial, Any] = {}
        self._answers, scored = self._evaluate(original)
        agreement = task.agreement(self._answers, self._answers, original.metadata)
        [ms] = self._time(original)
        self.before = Trial((), scored, agreement, original.path.stat().st_size, ms)

    @property
    def count(self) -> int:
        """How many images judge."""
        return len(self.judge.samples) - len(self._answers.skipped)

    def measure(self, model: onnx.ModelProto, float_layers: tuple[str, ...], folder: Path) -> Trial:
        """Runs a graph in the engine."""
        path = folder / f"{len(float_layers)}{ending_of(self.original.path)}"
        save(model, self.original.metadata, path, integers_alone=self.integers_alone)
        choice = self.original.engine.choice
        bundle = Bundle.open(path, engine=choice.name, threads=1, streams=choice.streams)
        answers, score = self._evaluate(bundle)
        [_, ms] = self._time(self.original, bundle)
        agreement = self.task.agreement(self._answers, answers, self.original.metadata)
        trial = Trial(float_layers, score, agreement, path.stat().st_size, ms)
        if self.judge.is_labelled:
            size_hw = self.original.metadata.preprocess.size_hw
            self.scores[trial] = self.task.bundle_score(
                self.task.scores(answers), self.judge.dataset, size_hw, f"litevision {__version__}"
            )
        return trial

    def _evaluate(self, bundle: Bundle) -> tuple[Any, float | None]:
        judge = self.judge
        answers = self.task.evaluate(self.task.open(bundle), judge.samples, judge.classes, split=judge.split)
        if not judge.is_labelled:
            return answers, None
        return answers, self.task.main_score.of(self.task.scores(answers))

    def _time(self, *bundles: Bundle) -> list[float]:
        size_hw = self.original.metadata.preprocess.size_hw
        image = np.random.default_rng(0).integers(0, 256, (1, *size_hw, 3), np.uint8)
        taken = time_engines([each.engine for each in bundles], image, streams=1, seconds=0.5)
        return [1e3 * median(each) for each in taken]


def opened_as(ending: str, original: Bundle, graph: onnx.ModelProto, folder: Path) -> Bundle:
    """The original in the format that is to be written, for one in 8 bits is compared with its own kind."""
    if ending_of(original.path) == ending:
        return original
    made = folder / f"float{ending}"
    save(graph, original.metadata, made)
    return Bundle.open(made, threads=1, streams=original.engine.choice.streams)


def save(model: onnx.ModelProto, metadata: BundleMetadata, unfinished: Path, *, integers_alone: bool = False) -> None:
    """Writes a graph as the kind of file that its name says."""
    if ending_of(unfinished) == ".tflite":
        from litevision.exporting.litert.write import to_litert

        unfinished.write_bytes(to_litert(model, metadata, "float32", integers_alone=integers_alone))
        return
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.checker.check_model(model)
    unfinished.write_bytes(model.SerializeToString())
