"""What a bundle says of weights that were loaded: their preprocessing, labels, licence and origin."""

from typing import TypedDict

from litevision.errors import UsageError
from litevision.image import Preprocess
from litevision.runtime import Normalisation, Score, Weights
from litevision.weights.facts import NORMALISATIONS, facts_of, normalisation_named, resized
from litevision.weights.load import Loaded

__all__ = ["NORMALISATIONS", "ExportArguments", "describe"]


class ExportArguments(TypedDict):
    """The arguments of ``export_bundle`` that describe weights."""

    labels: tuple[str, ...]
    preprocess: Preprocess
    normalisation: Normalisation
    weights: Weights
    training_data: str
    score: Score | None


def describe(
    loaded: Loaded,
    *,
    size_hw: tuple[int, int] | None = None,
    normalisation: str | None = None,
    labels: tuple[str, ...] | None = None,
) -> ExportArguments:
    """The export arguments of loaded weights.

    A registered set brings its own; a file takes its dialect's, unless it is told otherwise.

    Args:
        size_hw: the input; by default the set's, else 224 x 224.
        normalisation: a name of ``NORMALISATIONS``.
        labels: the classes' names; by default ImageNet's where there are 1000 classes.

    Raises:
        UsageError: labels that nobody named, or a normalisation that does not exist.
    """
    facts = facts_of(loaded.source, loaded.network.config, loaded.layout.name)
    if labels is None:
        if facts.labels is None:
            raise UsageError(f"the network has {loaded.network.config.num_classes} classes: name them with labels")
        labels = facts.labels
    if size_hw is not None:
        facts = resized(facts, size_hw)
    return ExportArguments(
        labels=labels,
        preprocess=facts.preprocess,
        normalisation=facts.normalisation if normalisation is None else normalisation_named(normalisation),
        weights=facts.weights,
        training_data=facts.training_data,
        score=facts.score if isinstance(facts.score, Score) else None,
    )
