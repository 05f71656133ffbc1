"""Fill networks from opened weights: which network they are of, and the copying of their tensors."""

import json
import logging

from litevision.console import note
from litevision.errors import WeightsError, WeightsMismatchError, reason_of
from litevision.models.config import NetworkConfig
from litevision.models.factory import build
from litevision.models.network import FeaturePyramid, Network
from litevision.registry import Variant
from litevision.runtime import Normalisation
from litevision.weights.bundles import restore_folded
from litevision.weights.convert import Applied, apply
from litevision.weights.convert.apply import described
from litevision.weights.detect_layout import NATIVE, DetectedLayout, detect_layout
from litevision.weights.facts import PRETRAINED_KEY, facts_of, normalisation_doubts
from litevision.weights.layouts import layout_named
from litevision.weights.read import not_finite
from litevision.weights.recognise import variant_by_name, with_doubts
from litevision.weights.source import WeightsRequest, WeightsSource
from litevision.weights.writers import CONFIG_KEY

logger = logging.getLogger("litevision")


def identify(
    source: WeightsSource, request: WeightsRequest, likely: Variant | None = None, *, any_width: bool = False
) -> DetectedLayout:
    """Identifies the network of the weights: by their set or their header, else by their tensors.

    Args:
        request: what was asked for, which they must be.
        likely: settles what the tensors alone leave open.
        any_width: takes the width, too, from the tensors where none was asked for.

    Raises:
        WeightsMismatchError: they are something else.
        WeightsError: they are nothing that the package has, or their header cannot be used.
    """
    if source.trained is not None:
        return DetectedLayout(NATIVE, _trained_config(source, request), 0)
    if source.stored.map is not None:
        return DetectedLayout(NATIVE, source.stored.map.config.as_network(), 0)
    if CONFIG_KEY in source.stored.metadata:
        return DetectedLayout(NATIVE, _own_config(source, request), 0)
    if source.weight_set is not None:
        row = source.weight_set
        request = WeightsRequest(row.architecture, row.dialect, row.width_mult)
    elif likely is not None and not any_width:
        request = request._replace(width_mult=likely.width_mult)
    named = variant_by_name(source)
    hint = named or likely
    try:
        found = detect_layout(source.stored, **request._asdict(), likely_dialect=hint.dialect if hint else None)
    except WeightsError as error:
        raise WeightsError(f"{source.label}: {error}") from None
    if found is not None:
        return with_doubts(found, source, named) if request.dialect is None else found
    tensors = source.stored.tensors
    if request.architecture is not None:
        form = request.architecture + (f" in the dialect {request.dialect!r}" if request.dialect else "")
        raise WeightsMismatchError(f"{source.label}: no layout stores {form} in such a file.{_truth(source, request)}")
    shown = ", ".join(f"{key} {tuple(tensor.shape)}" for key, tensor in list(tensors.items())[:3])
    near = source.stored.nearest
    raise WeightsError(
        f"{source.label}: no network of litevision has these {len(tensors)} tensors (the first: {shown}). "
        + (f"By their structure the nearest: {near}. " if near else "")
        + "Name the network if it is one all the same (--model), or say which tensor is which (--map FILE)"
    )


def _trained_config(source: WeightsSource, request: WeightsRequest) -> NetworkConfig:
    """The configuration of a model that litevision made; of a detector, that of its backbone, without classes."""
    assert source.trained is not None
    config = source.trained.config.as_network()
    request.require(source.label, WeightsRequest(config.architecture, config.dialect, config.width_mult))
    return config


def require_classifier(source: WeightsSource) -> None:
    """Raises ``WeightsMismatchError`` for a model of another task."""
    if source.trained is not None and not isinstance(config := source.trained.config, NetworkConfig):
        raise WeightsMismatchError(
            f"{source.label} is a {config.MODEL} on {config.as_network().architecture}, expected a classifier; "
            f"create.from_run gives the {config.MODEL} of a run or bundle, and features_only=True its backbone"
        )


def _own_config(source: WeightsSource, request: WeightsRequest) -> NetworkConfig:
    """The configuration in the file's header, once its tensors are known to be that network's."""
    try:
        record = json.loads(source.stored.metadata[CONFIG_KEY])
        record.pop(PRETRAINED_KEY, None)
        config = NetworkConfig.from_dict(record)
        network = build(config, device="meta")  # costs nothing, whatever the header promises
    except Exception as error:  # a header can hold anything
        raise WeightsError(
            f"{source.label}: the configuration in its header cannot be built ({reason_of(error)}). "
            "Load it with the version of litevision that wrote it"
        ) from error
    request.require(source.label, WeightsRequest(config.architecture, config.dialect, config.width_mult))
    _apply(network, source, NATIVE)
    return config


def fill_from(
    network: Network | FeaturePyramid,
    source: WeightsSource,
    found: DetectedLayout,
    *,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
    normalisation: Normalisation | None = None,
) -> Applied:
    """Fills ``network`` and sets its ``pretrained``.

    Args:
        normalisation: of the input, in place of the weights' own or the assumed one.
    """
    applied = _apply(network, source, found.layout, reset_classifier, drop_background)
    facts = facts_of(source, network.config, found.layout)
    doubts = () if normalisation is not None else normalisation_doubts(source, network.config)
    for line in (*source.stored.notes, *not_finite(source.stored.tensors), *found.notes, *doubts):
        note(f"note: {source.label}: {line}")
    ours, theirs = network.config.in_channels, found.config.in_channels
    if ours != theirs:
        note(f"note: {source.label}: the first layer was adapted from {theirs} input channels to {ours}")
        facts = facts.unmeasured()
    if normalisation is not None and normalisation != facts.normalisation:
        facts = facts.unmeasured(normalisation=normalisation)
    if source.trained is not None and source.trained.is_folded:
        restore_folded(network, facts)
    if applied.reset or isinstance(network, FeaturePyramid):
        facts = facts.without_classes()
    network.pretrained = facts.within(network)
    if applied.reset:
        logger.info("%s: the classifier starts from scratch (left out: %s)", source.label, ", ".join(applied.reset))
    if applied.background_dropped:
        logger.info("%s: class 0 of the file, the background, was left out", source.label)
    return applied


def _apply(
    network: Network | FeaturePyramid,
    source: WeightsSource,
    layout: str,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
) -> Applied:
    if drop_background is None and source.weight_set is not None and source.weight_set.background_class:
        drop_background = True
    try:
        return apply(
            network,
            source.stored.tensors,
            layout_named(layout),
            reset_classifier=reset_classifier,
            drop_background=drop_background,
        )
    except WeightsMismatchError as error:
        config = network.config
        truth = _truth(source, WeightsRequest(config.architecture, config.dialect, config.width_mult))
        raise WeightsMismatchError(f"{source.label}: {error}{truth}") from None


def _truth(source: WeightsSource, request: WeightsRequest) -> str:
    """Says what the file holds, as the end of a message, where it is another network than the requested one."""
    try:
        found = detect_layout(source.stored)
    except WeightsError:
        return ""
    if found is None or found.mismatches:
        return ""
    config = found.config
    if request == (config.architecture, config.dialect, config.width_mult):
        return ""
    return f" The file holds {described(config)}"
