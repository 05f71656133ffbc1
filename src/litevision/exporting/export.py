"""``export``: from a network, weights or a run to a checked model file, in one call."""

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from torch import nn

from litevision.errors import UnknownNameError, UsageError
from litevision.exporting.formats import CheckImages, ExportedModel, format_of
from litevision.image import Preprocess
from litevision.image.transforms import Crop, Interpolation
from litevision.models.blocks import ClassifierHead
from litevision.models.kinds import AnyNetwork
from litevision.models.network import Network
from litevision.models.pretrained import Pretrained
from litevision.outputs import check_output, kind_named
from litevision.runtime import BundleMetadata, Normalisation
from litevision.runtime.metadata import Activation
from litevision.weights.facts import current_facts, facts_from_scratch, normalisation_named, resized
from litevision.weights.load import load_network
from litevision.weights.trained import WeightsLike


class MissingLabelsError(UsageError):
    """The classes of a network have no names, and none were given."""


def export(
    source: nn.Module | WeightsLike,
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    normalisation: str | Normalisation | None = None,
    preprocess: Preprocess | None = None,
    crop: Crop | None = None,
    crop_fraction: float | None = None,
    interpolation: Interpolation | None = None,
    drop_background: bool | None = None,
    reset_classifier: bool = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    activation: Activation | None = None,
    model: str | None = None,
    dialect: str | None = None,
    width_mult: float | None = None,
    name: str | None = None,
    training_data: str | None = None,
    licence: str | None = None,
    weight_map: str | Path | None = None,
    save_map: str | Path | None = None,
    check_images: CheckImages | None = None,
) -> BundleMetadata:
    """Exports a model to a file that runs without torch, checked against the network.

    What is not given comes from the source: a network made with weights, also one that you have fine-tuned since,
    knows it as ``network.pretrained``; so do a run, a bundle and a weight set. Of a bare weight file the preprocessing
    is its origin's.

    Args:
        source: a network, a run or its folder, a weight set's name, a weight file, a bundle, or a URL.
        path: the file to write; its ending picks the format (``.onnx`` for a bundle).
        labels: the name of each class; of a single logit the name of what it finds, or of both answers.
        size: the input's side in px, or its height and width.
        normalisation: ``imagenet``, ``half`` ([-1, 1]), ``unit`` ([0, 1]), or a ``Normalisation``.
        preprocess: what makes the input of an image, in place of ``size`` and the three that follow.
        crop: how an image becomes the input: ``center`` (resize the shorter side, cut out the middle), ``stretch``
            (squash to the input's size) or ``letterbox`` (fit inside, pad with grey).
        crop_fraction: the part of the resized shorter side that ``center`` keeps, such as 0.875 (224 of 256).
        interpolation: the filter of the resize, ``bilinear`` or ``bicubic``; always with antialiasing.
        drop_background: leaves out class 0 of a weight file; by default that of slim's 1001.
        reset_classifier: initialises the classifier anew where a weight file has none, or ``num_classes`` differs.
        num_classes: by default as many as the weights have; 0 leaves their classifier out.
        in_channels: channels that the network takes, 3 (RGB) or 1 (grey); weights for RGB are adapted to 1 by their
            sum. The bundle takes RGB images all the same and computes their grey value itself.
        activation: what makes probabilities of a classifier's logits: ``softmax``, or ``sigmoid`` where each class has
            its own (several labels for an image); by default what the weights say, and of a single logit a sigmoid.
        model: the network of a weight file; recognised unless given.
        dialect: whose form it has, where the file alone cannot tell.
        width_mult: its width, if it is an unusual one.
        name: what the file calls the weights.
        training_data: what it says that they were trained on.
        licence: what it says of their licence.
        weight_map: a file that ``save_map`` wrote: which of the network's tensors each of a file's is.
        save_map: where to write that map of a file of no known layout, which is read by its structure.
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
    if preprocess is not None and (size, crop, crop_fraction, interpolation) != (None,) * 4:
        raise UsageError(
            "give preprocess, or size, crop, crop_fraction and interpolation, not both: it has its own of each"
        )
    if isinstance(normalisation, str):
        normalisation = normalisation_named(normalisation)
    if isinstance(source, nn.Module):
        if reset_classifier or any(
            given is not None
            for given in (model, dialect, width_mult, drop_background, num_classes, in_channels, weight_map, save_map)
        ):
            raise UsageError(
                "model, dialect, width_mult, drop_background, reset_classifier, num_classes, in_channels and maps are "
                "of a file; the source is a network already"
            )
        network = _with_its_own_classes(_unwrapped(source))
    else:
        network = load_network(
            source,
            model,
            dialect=dialect,
            width_mult=width_mult,
            num_classes=num_classes,
            drop_background=drop_background,
            reset_classifier=reset_classifier,
            weight_map=weight_map,
            save_map=save_map,
            normalisation=normalisation,
            in_channels=in_channels,
        )
    facts = _facts(network, path, size, normalisation, preprocess)
    changed = facts.preprocess.with_resize(crop, crop_fraction, interpolation)
    if changed != facts.preprocess:
        facts = facts.unmeasured(preprocess=changed)
    names = class_names(network, facts.labels if labels is None else labels, path.name)
    if activation is not None and not isinstance(network, Network):
        raise UsageError(f"activation is of a classifier, got {activation!r} for a {network.config.MODEL}")
    if activation is not None and activation not in get_args(Activation):
        raise UnknownNameError.of("activation", activation, get_args(Activation))
    if activation is not None and activation != (facts.activation or "softmax"):
        facts = facts.unmeasured()
    facts = replace(
        facts,
        name=facts.name if name is None else name,
        training_data=facts.training_data if training_data is None else training_data,
        licence=facts.licence if licence is None else licence,
        activation=facts.activation if activation is None else activation,
    )
    return chosen.write(ExportedModel(network, names, facts, check_images), path)


def class_names(network: AnyNetwork, labels: Sequence[str] | None, what: str) -> tuple[str, ...]:
    """Returns the names of the classes of ``network``, or refuses where it has no classes or they have no names.

    Args:
        labels: the names that were given, or that came with the weights.
        what: is exported, for messages.

    Raises:
        UsageError: a network without a classifier.
        MissingLabelsError: no names.
    """
    if not network.config.num_classes:
        raise UsageError(
            f"{what}: the network has no classifier, so that there are no classes to name. Train one first: "
            "litevision train DATA --weights FILE, or litevision.create(..., weights=..., reset_classifier=True)"
        )
    if labels is None:
        count = network.config.num_classes
        wanted = f"{count} classes: name them" if count > 1 else "one logit: name what it finds, or both answers,"
        raise MissingLabelsError(
            f"the network has {wanted} with labels (on the command line --labels FILE, one name a line)"
        )
    return tuple(labels)


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
    normalisation: Normalisation | None,
    preprocess: Preprocess | None,
) -> Pretrained:
    """Collects the facts of ``network``; what was given takes precedence."""
    size_hw = (size, size) if isinstance(size, int) else size
    facts = current_facts(network) or facts_from_scratch(
        network, path.name.partition(".")[0], size_hw, normalisation, preprocess
    )
    if preprocess is not None and preprocess != facts.preprocess:
        facts = facts.unmeasured(preprocess=preprocess)
    if size_hw is not None:
        facts = resized(facts, size_hw)
    if normalisation is not None and normalisation != facts.normalisation:
        facts = facts.unmeasured(normalisation=normalisation)
    return facts
