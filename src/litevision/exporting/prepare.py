"""From a network, weights or a run to what a bundle is made of: the network, its classes' names, and its facts."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from torch import nn

from litevision.errors import UnknownNameError, UsageError
from litevision.exporting.bundle import CheckImage, export_bundle
from litevision.image import Preprocess
from litevision.image.transforms import Crop, Interpolation
from litevision.models.blocks import ClassifierHead
from litevision.models.kinds import AnyNetwork
from litevision.models.network import Network
from litevision.models.pretrained import Pretrained
from litevision.runtime import BundleMetadata, Normalisation
from litevision.runtime.metadata import Activation
from litevision.weights.facts import current_facts, facts_from_scratch, normalisation_named, resized
from litevision.weights.load import load_network
from litevision.weights.trained import WeightsLike


class MissingLabelsError(UsageError):
    """The classes of a network have no names, and none were given."""


@dataclass(frozen=True)
class ExportedModel:
    """What a bundle is made of.

    Attributes:
        network: the classifier or detector; it is not changed.
        labels: a name for each of its classes.
        facts: its preprocessing, normalisation, licence and origin.
    """

    network: AnyNetwork
    labels: tuple[str, ...]
    facts: Pretrained

    def write(self, path: Path, check_images: Sequence[CheckImage] | None = None) -> BundleMetadata:
        """Writes the bundle, checked against the network; arguments and errors as for ``export``."""
        facts = self.facts
        return export_bundle(
            self.network,
            path,
            labels=self.labels,
            preprocess=facts.preprocess,
            normalisation=facts.normalisation,
            weights=facts.weights,
            training_data=facts.training_data,
            score=facts.score,
            score_thresholds=facts.score_thresholds,
            calibration=facts.calibration,
            check_images=check_images,
            options={key: value for key in ("top_k", "activation") if (value := getattr(facts, key)) is not None},
        )


def prepare(
    source: nn.Module | WeightsLike,
    path: Path,
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
) -> ExportedModel:
    """Collects what a bundle is made of; arguments and errors as for ``litevision.export``.

    Args:
        path: the file to write, for messages and names.
    """
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
    return ExportedModel(network, names, facts)


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
