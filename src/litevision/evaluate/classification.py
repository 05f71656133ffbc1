"""A bundle over labelled pictures: the runtime's own preprocessing, pipeline and engine, and nothing else."""

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt

from litevision.data.records import SPLITS, LabelledPictures, Sample
from litevision.errors import UnknownNameError, UsageError
from litevision.evaluate.records import Evaluation, Skipped
from litevision.runtime import Classifier, Prediction
from litevision.runtime.answers import Answer
from litevision.runtime.pipeline import classify_chunks

ALL = "all"
"""Stands for every picture, whatever its split."""

_SHOWN = 10  # names in a message


def samples_of(data: LabelledPictures, split: str | None = None) -> tuple[str, tuple[Sample, ...]]:
    """The name of a split and its pictures.

    Args:
        data: the labelled pictures.
        split: "train", "validation", "test" or "all"; None for the first of "test", "validation" and "all" that has
            pictures.

    Raises:
        UnknownNameError: no such split.
        UsageError: no pictures in it.
    """
    if split is not None and split not in (*SPLITS, ALL):
        raise UnknownNameError.of("split", split, (*SPLITS, ALL))
    of: dict[str, tuple[Sample, ...]] = {name: data.of(name) for name in SPLITS}
    of[ALL] = data.samples
    chosen = split or next((name for name in ("test", "validation") if of[name]), ALL)
    if not of[chosen]:
        has = ", ".join(f"{name} {len(of[name]):,}" for name in SPLITS if of[name]) or "none at all"
        raise UsageError(f"{data.root}: the split {chosen!r} has no pictures; expected one that has some ({has}).")
    return chosen, of[chosen]


def evaluate_bundle(
    classifier: Classifier,
    samples: Sequence[Sample],
    classes: Sequence[str],
    *,
    split: str,
    on_answers: Callable[[Sequence[Answer[Prediction]]], None] | None = None,
) -> Evaluation:
    """What ``classifier`` answers to ``samples``; its classes are the bundle's labels, in the bundle's order.

    Args:
        classifier: computes as many chunks of pictures at once as it has streams: open it with ``threads=1`` and
            ``streams=available_cpus()`` to use every core.
        samples: the pictures; one that cannot be read is left out and noted.
        classes: the names that the samples' labels stand for. They are found among the bundle's labels by name.
        split: what to call the samples.
        on_answers: is given each few answers as they come, for a progress bar.

    Raises:
        UnknownNameError: classes that the bundle does not know: all are named.
        BundleError: the model gives infinities or NaN.
    """
    places = places_of(classes, classifier.labels)
    # Filled as answers come: the pictures are never in memory together, and their answers only once.
    probabilities = np.zeros((len(samples), len(classifier.labels)), np.float32)
    skipped: dict[int, Skipped] = {}
    chunks = classify_chunks(
        classifier,
        (sample.path for sample in samples),
        workers=classifier.bundle.engine.choice.streams,
        top=len(classifier.labels),
    )
    position = 0
    with closing(chunks):
        for answers in chunks:
            for answer in answers:
                if answer.error:
                    skipped[position] = Skipped(samples[position].path, str(answer.error))
                for prediction in answer.predictions:
                    probabilities[position, prediction.index] = prediction.score
                position += 1
            if on_answers:
                on_answers(answers)
    kept = [position for position in range(len(samples)) if position not in skipped]
    return Evaluation(
        split,
        classifier.labels,
        tuple(samples[position].path for position in kept),
        places[[samples[position].label for position in kept]],
        probabilities[kept] if skipped else probabilities,
        tuple(skipped.values()),
    )


def places_of(classes: Sequence[str], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Where each of ``classes`` stands among a bundle's ``labels``, by name.

    Raises:
        UnknownNameError: a class that is no label.
        UsageError: a class that is several labels.
    """
    times = Counter(labels)
    unknown = [name for name in classes if name not in times]
    if unknown:
        raise UnknownNameError(_unknown(unknown, classes, labels))
    twice = [name for name in classes if times[name] > 1]
    if twice:
        raise UsageError(
            f"the bundle has {times[twice[0]]} labels {twice[0]!r}, so which of them is meant is unknown; "
            "expected class names that are one label each. Leave that class out."
        )
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places[name] for name in classes], np.int64)


def _unknown(unknown: Sequence[str], classes: Sequence[str], labels: Sequence[str]) -> str:
    named = [f"{name!r}{_nearest(name, labels)}" for name in unknown[:_SHOWN]]
    some = ", ".join(labels[:_SHOWN])
    return (
        f"the bundle does not know {len(unknown):,} of the data's {len(classes):,} classes: "
        f"{', '.join(named)}{_more(unknown)}. It has {len(labels):,} labels: {some}{_more(labels)}. "
        "Rename the classes to its labels, or take a bundle made for them."
    )


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""


def _nearest(name: str, labels: Sequence[str]) -> str:
    folded = {label.lower(): label for label in reversed(labels)}
    found = [label for label in folded if label.endswith(name.lower())]  # a hat is a cowboy_hat before it is a bat
    found = found or difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.7)
    return f" (nearest: {folded[found[0]]!r})" if found else ""
