"""What a bundle says of weights that were loaded: their preprocessing, labels, licence and origin."""

from typing import TypedDict

from litevision.errors import UnknownNameError, UsageError
from litevision.files import sha256_of
from litevision.image import Preprocess
from litevision.models.config import NetworkConfig
from litevision.registry.labels import imagenet_labels
from litevision.registry.weight_sets import WeightSet
from litevision.runtime import Normalisation, Score, Weights
from litevision.weights.load import Loaded

NORMALISATIONS = {
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""By name: ImageNet's mean and deviation; [-1, 1]; [0, 1]."""

_NORMALISATION_OF = {  # what each origin's own training scripts feed
    "torchvision": "imagenet",
    "timm": "imagenet",
    "timm_tf": "half",
    "keras": "half",
    "slim": "half",
    "tutorial": "half",
}
_CROP_FRACTION = 0.875  # 224 of 256: the evaluation crop of torchvision, slim and most of timm


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
    config, weight_set = loaded.network.config, loaded.source.weight_set
    if labels is None:
        if config.num_classes != len(imagenet_labels()):
            raise UsageError(f"the network has {config.num_classes} classes: name them, one a line, with --labels FILE")
        labels = imagenet_labels()
    return ExportArguments(
        labels=labels,
        preprocess=_preprocess(weight_set, size_hw),
        normalisation=_normalisation(config, weight_set, loaded.layout.name, normalisation),
        weights=Weights(
            name=loaded.source.label if weight_set else loaded.source.path.name,
            provenance=weight_set.url if weight_set else f"a local file in {loaded.layout.name}'s layout",
            licence=weight_set.licence if weight_set else "unknown",
            sha256=sha256_of(loaded.source.path),
        ),
        training_data=weight_set.training_data if weight_set else "unknown",
        score=_score(weight_set, size_hw),
    )


def _preprocess(weight_set: WeightSet | None, size_hw: tuple[int, int] | None) -> Preprocess:
    if weight_set is not None and size_hw in (None, weight_set.input.size_hw):
        given = weight_set.input
        return Preprocess(given.size_hw, given.resize_px, "center", given.interpolation)
    size_hw = size_hw or (224, 224)
    return Preprocess(size_hw, round(min(size_hw) / _CROP_FRACTION), "center", "bilinear")


def _normalisation(config: NetworkConfig, weight_set: WeightSet | None, layout: str, name: str | None) -> Normalisation:
    if name is not None:
        if name not in NORMALISATIONS:
            raise UnknownNameError.of("normalisation", name, NORMALISATIONS)
        return NORMALISATIONS[name]
    if weight_set is not None:
        return Normalisation(weight_set.input.mean, weight_set.input.std)
    return NORMALISATIONS["unit" if layout == "megvii" else _NORMALISATION_OF[config.dialect]]


def _score(weight_set: WeightSet | None, size_hw: tuple[int, int] | None) -> Score | None:
    """The publisher's claim; at another size it does not hold."""
    if weight_set is None or weight_set.top1 is None or weight_set.top5 is None:
        return None
    if size_hw not in (None, weight_set.input.size_hw):
        return None
    return Score(
        weight_set.top1,
        weight_set.top5,
        weight_set.claim_dataset,
        50_000,
        weight_set.input.size_hw,
        "its publisher; not measured here",
    )
