"""What `litevision evaluate` does with pictures that have boxes."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from litevision.cli._pictures.report import counted
from litevision.cli._pictures.results import printable
from litevision.cli._shared.csv import write_csv
from litevision.cli._shared.table import Align, print_table
from litevision.cli.evaluate import document_of, text_of, watched
from litevision.data import DetectionSample, LabelledBoxes, read_boxes
from litevision.data.records import SPLITS
from litevision.errors import UnknownNameError, UsageError
from litevision.evaluate.coco import DetectionScores, detection_scores
from litevision.evaluate.detection import DetectionEvaluation, evaluate_detector
from litevision.runtime import Bundle, Detector
from litevision.runtime.cpus import available_cpus

if TYPE_CHECKING:
    from litevision.cli.evaluate import Told


def evaluate_boxes(
    bundle: Path | str,
    data: Path,
    split: str | None,
    engine: str,
    json: str | None,
    csv: Path | None,
    predictions: Path | None,
) -> int:
    """Scores a detector, tells, and gives the exit code."""
    labelled = read_boxes(data)
    chosen, samples = _samples_of(labelled, split)
    detector = Detector(Bundle.open(bundle, engine=engine, threads=1, streams=available_cpus()))

    def answered(told: "Told") -> DetectionEvaluation:
        return evaluate_detector(detector, samples, labelled.classes, split=chosen, on_answers=told)

    evaluation = watched(answered, len(samples), detector.bundle)
    found = detection_scores(evaluation)
    document = document_of(
        detector.bundle, labelled.root, labelled.classes, labelled.made_splits, evaluation, found.to_plain()
    )
    if json == "-":
        print(text_of(document))
    else:
        _print(detector, labelled, evaluation, found)
    try:
        _write(None if json in (None, "-") else Path(json), text_of(document), csv, found, predictions, evaluation)
    except OSError as error:  # of a full disk, for example
        raise UsageError(f"the scores cannot be written ({error.strerror}). Write them somewhere else.") from error
    return int(bool(evaluation.skipped))


def _samples_of(data: LabelledBoxes, split: str | None) -> tuple[str, tuple[DetectionSample, ...]]:
    """The pictures of a split, and its name; of none, those of the first of test, validation and all with boxes."""
    of: dict[str, tuple[DetectionSample, ...]] = {name: data.of(name) for name in SPLITS}
    of["all"] = data.samples
    if split is None:
        split = next(name for name in ("test", "validation", "all") if any(len(one.labels) for one in of[name]))
    if split not in of:
        raise UnknownNameError.of("split", split, of)
    if not of[split]:
        raise UsageError(f"{data.root}: the split {split!r} has no pictures; expected some. Choose another --split.")
    return split, of[split]


def _print(detector: Detector, data: LabelledBoxes, evaluation: DetectionEvaluation, scores: DetectionScores) -> None:
    left_out = f", {len(evaluation.skipped):,} left out that could not be read" if evaluation.skipped else ""
    print(f"bundle  {printable(str(detector.bundle.path))}")
    print(f"data    {printable(str(data.root))}")
    print(f"split   {evaluation.split}: {counted(scores.count)} with {scores.boxes:,} boxes{left_out}")
    if data.made_splits and evaluation.split != "all":
        print("        litevision made the splits that the data lacks; --split all takes every picture")
    errors = sum(fault.severity == "error" for fault in data.faults)
    if errors:
        print(f"        {errors:,} errors in the labels are left out; 'litevision check-data' names them")
    print()
    for name, value in (
        ("AP (IoU 0.50 to 0.95)", scores.ap),
        ("AP50", scores.ap50),
        ("AP75", scores.ap75),
        ("AP small (to 32 x 32 px)", scores.ap_small),
        ("AP medium (to 96 x 96 px)", scores.ap_medium),
        ("AP large", scores.ap_large),
        ("recall, 100 a picture", scores.ar100),
    ):
        print(f"{name:26}{_share(value)}")
    print("\nthreshold: the score at which F1 is highest on these pictures; precision, recall and F1 are those at it")
    columns: dict[str, Align] = {"class": "left"}
    columns |= dict.fromkeys(("boxes", "AP", "AP50", "threshold", "precision", "recall", "F1"), "right")
    figures = ("ap", "ap50", "threshold", "precision", "recall", "f1")
    rows = [
        (printable(it.name), f"{it.count:,}", *(_share(getattr(it, figure)) for figure in figures))
        for it in scores.per_class
        if it.count
    ]
    print_table(columns, rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _write(
    json: Path | None,
    text: str,
    csv: Path | None,
    scores: DetectionScores,
    predictions: Path | None,
    evaluation: DetectionEvaluation,
) -> None:
    from litevision.cache import replacing

    if json:
        with replacing(json) as partial:
            partial.write_text(f"{text}\n")
        print(f"wrote {json}", file=sys.stderr)
    if csv:
        rows = [
            (it.name, it.count, it.ap, it.ap50, it.threshold, it.precision, it.recall, it.f1) for it in scores.per_class
        ]
        write_csv(csv, ("class", "boxes", "ap", "ap50", "threshold", "precision", "recall", "f1"), rows)
        print(f"wrote {csv}: {len(rows):,} classes", file=sys.stderr)
    if predictions:
        boxes = list(_boxes(evaluation))
        write_csv(predictions, ("path", "label", "score", "x1", "y1", "x2", "y2"), boxes)
        print(f"wrote {predictions}: {len(boxes):,} boxes in {counted(len(evaluation.samples))}", file=sys.stderr)


def _boxes(evaluation: DetectionEvaluation) -> Iterator[tuple[Path, str, float, float, float, float, float]]:
    """Path, class, score and box of all that was found."""
    for sample, found in zip(evaluation.samples, evaluation.found, strict=True):
        rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes_xyxy.tolist(), strict=True)
        for label, score, (x1, y1, x2, y2) in rows:
            yield sample.path, evaluation.classes[label], score, x1, y1, x2, y2
