"""``export``: from a network, weights or a run to a checked model file, in one call."""

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from litevision.errors import UsageError
from litevision.exporting.formats import CheckImages, ExportedModel, format_of
from litevision.image import Preprocess
from litevision.models.blocks import ClassifierHead
from litevision.models.centernet import AnyNetwork
from litevision.models.network import Network
from litevision.models.pretrained import Pretrained
from litevision.outputs import check_output, kind_named
from litevision.runtime import BundleMetadata, Normalisation
from litevision.weights.facts import current_facts, facts_from_scratch, normalisation_named, resized
from litevision.weights.load import load_network
from litevision.weights.trained import WeightsLike


def export(
    source: nn.Module | WeightsLike,
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    normalisation: str | Normalisation | None = None,
    preprocess: Preprocess | None = None,
    model: str | None = None,
    dialect: str | None = None,
    width_mult: float | None = None,
    name: str | None = None,
    training_data: str | None = None,
    licence: str | None = None,
    check_images: CheckImages | None = None,
) -> BundleMetadata:
    """Exports a model to a file that runs without torch, checked against the network.

    What is not given comes from the source: a network made with weights, also one that you have fine-tuned since,
    knows it as ``network.pretrained``; so do a run, a bundle and a weight set. Of a bare weight file the preprocessing
    is its origin's.

    Args:
        source: a network, a run or its folder, a weight set's name, a weight file, a bundle, or a URL.
        path: the file to write; its ending picks the format (``.onnx`` for a bundle).
        labels: the name of each class.
        size: the input's side in px, or its height and width.
        normalisation: ``imagenet``, ``half`` ([-1, 1]), ``unit`` ([0, 1]), or a ``Normalisation``.
        preprocess: what makes the input of an image, in place of ``size``.
        model: the network of a weight file; recognised unless given.
        dialect: whose form it has, where the file alone cannot tell.
        width_mult: its width, if it is an unusual one.
        name: what the file calls the weights.
        training_data: what it says that they were trained on.
        licence: what it says of their licence.
        check_images: images to check with; by default the four that come with the package.

    Returns:
        What the file says about itself, with the outcome of the check.

    Raises:
        UsageError: something is not known and was not given; the message says what to give. Or ``path`` is the
            source, or holds something else.
        WeightsError: weights that cannot be used.
        ExportError: the file does not match the network; nothing is written then.

    Example:
        >>> import litevision
        >>> network = litevision.create("mobilenet_v2", weights="default", num_classes=2)  # doctest: +SKIP
        >>> litevision.export(network, "model.onnx", labels=["cat", "dog"])  # doctest: +SKIP
    """
    path = Path(path)
    chosen = format_of(path)
    named = [source] if isinstance(source, str | os.PathLike) else []
    check_output(path, kind_named("export", path), inputs=named)
    if preprocess is not None and size is not None:
        raise UsageError("give size or preprocess, which has a size of its own, not both")
    if isinstance(source, nn.Module):
        if (model, dialect, width_mult) != (None, None, None):
            raise UsageError("model, dialect and width_mult describe a weight file; the source is a network already")
        network = _with_its_own_classes(_unwrapped(source))
    else:
        network = load_network(source, model, dialect=dialect, width_mult=width_mult)
    facts = _facts(network, path, size, normalisation, preprocess)
    if labels is None:
        labels = facts.labels
    if labels is None:
        raise UsageError(
            f"the network has {network.config.num_classes} classes: name them with labels "
            "(on the command line --labels FILE, one name a line)"
        )
    facts = replace(
        facts,
        name=facts.name if name is None else name,
        training_data=facts.training_data if training_data is None else training_data,
        licence=facts.licence if licence is None else licence,
    )
    return chosen.write(ExportedModel(network, tuple(labels), facts, check_images), path)


def _unwrapped(module: nn.Module) -> AnyNetwork:
    """Returns the network inside what torch wraps around it: ``torch.compile``, data parallelism, a moving average."""
    inner = module
    while not isinstance(inner, AnyNetwork):
        wrapped = getattr(inner, "_orig_mod", None) or getattr(inner, "module", None)
        if not isinstance(wrapped, nn.Module):
            raise UsageError(
                f"litevision exports the networks of litevision.create, got a {type(module).__name__}; "
                "torch.onnx.export takes any module"
            )
        inner = wrapped
    return inner


def _with_its_own_classes(network: AnyNetwork) -> AnyNetwork:
    """Returns ``network`` with as many classes in its configuration as its classifier, which may have been replaced."""
    head = network.head if isinstance(network, Network) else None
    classifier = head.classifier if isinstance(head, ClassifierHead) else None
    if not isinstance(classifier, nn.Linear) or classifier.out_features == network.config.num_classes:
        return network
    changed = copy.copy(network)  # shares the weights
    changed.config = replace(network.config, num_classes=classifier.out_features)
    return changed


def _facts(
    network: AnyNetwork,
    path: Path,
    size: int | tuple[int, int] | None,
    normalisation: str | Normalisation | None,
    preprocess: Preprocess | None,
) -> Pretrained:
    """Collects the facts of ``network``; what was given takes precedence."""
    size_hw = (size, size) if isinstance(size, int) else size
    if isinstance(normalisation, str):
        normalisation = normalisation_named(normalisation)
    facts = current_facts(network) or facts_from_scratch(
        network, path.name.partition(".")[0], size_hw, normalisation, preprocess
    )
    if preprocess is not None and preprocess != facts.preprocess:
        facts = replace(facts, preprocess=preprocess, score=None, score_thresholds=None)
    if size_hw is not None:
        facts = resized(facts, size_hw)
    if normalisation is not None and normalisation != facts.normalisation:
        facts = replace(facts, normalisation=normalisation, score=None, score_thresholds=None)
    return facts
