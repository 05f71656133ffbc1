"""What the registry knows of a published weight set, in the words of a bundle's metadata."""

from litevision.image import Preprocess
from litevision.registry import DETECTORS
from litevision.registry.labels import coco_labels, imagenet_labels
from litevision.registry.weight_sets import WeightSet
from litevision.runtime import Normalisation, Score


def preprocess_of(weight_set: WeightSet) -> Preprocess:
    """Returns what makes the network's input of an image."""
    given = weight_set.input
    return Preprocess(given.size_hw, given.resize_px, given.crop, given.interpolation, given.pad_value)


def normalisation_of(weight_set: WeightSet) -> Normalisation:
    """Returns what the network was trained on: mean and deviation of its input."""
    return Normalisation(weight_set.input.mean, weight_set.input.std)


def labels_of(weight_set: WeightSet) -> tuple[str, ...]:
    """Returns the names of its classes; none where they have none, or there are no classes."""
    labels = coco_labels() if weight_set.architecture in DETECTORS else imagenet_labels()
    return labels if len(labels) == weight_set.num_classes and not weight_set.background_class else ()


def score_of(weight_set: WeightSet) -> Score | None:
    """Returns the publisher's claim."""
    if weight_set.top1 is None or weight_set.top5 is None:
        return None
    return Score(
        weight_set.top1,
        weight_set.top5,
        weight_set.claim_dataset,
        50_000,
        weight_set.input.size_hw,
        "its publisher; not measured here",
    )
