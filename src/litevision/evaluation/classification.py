"""A bundle over labelled images: the runtime's own preprocessing, pipeline and engine, and nothing else."""

from collections.abc import Callable, Sequence

import numpy as np

from litevision.data.dataset import Sample
from litevision.evaluation.samples import collect, label_indices
from litevision.evaluation.scores import Evaluation
from litevision.runtime import Classifier, Predictions, Result
from litevision.runtime.pipeline import stream_batches


def evaluate_bundle(
    classifier: Classifier,
    samples: Sequence[Sample],
    classes: Sequence[str],
    *,
    split: str,
    on_results: Callable[[Sequence[Result[Predictions]]], None] | None = None,
) -> Evaluation:
    """What ``classifier`` answers to ``samples``; its classes are the bundle's labels, in the bundle's order.

    Args:
        classifier: computes as many chunks of images at once as it has streams: open it with ``threads=1`` and
            ``streams=available_cpus()`` to use every core.
        samples: the images; one that cannot be read is left out and noted.
        classes: the names that the samples' labels stand for. They are found among the bundle's labels by name.
        split: what to call the samples.
        on_results: is given each few answers as they come, for a progress bar.

    Raises:
        UnknownNameError: classes that the bundle does not know: all are named.
        BundleError: the model gives infinities or NaN.
    """
    places = label_indices(classes, classifier.labels)
    # Filled as answers come: the images are never in memory together, and their answers only once.
    probabilities = np.zeros((len(samples), len(classifier.labels)), np.float32)
    kept: list[int] = []

    def keep(place: int, result: Result[Predictions]) -> None:
        kept.append(place)
        probabilities[place, result.predictions.index] = result.predictions.scores

    chunks = stream_batches(
        classifier.inference(top=len(classifier.labels)).run,
        (sample.path for sample in samples),
        workers=classifier.bundle.engine.choice.streams,
    )
    skipped = collect(chunks, samples, keep, on_results)
    return Evaluation(
        split,
        classifier.labels,
        tuple(samples[place].path for place in kept),
        places[[samples[place].label for place in kept]],
        probabilities[kept] if skipped else probabilities,
        skipped,
    )
