"""Load weights into networks: from a weight set's name, a file, a URL or a run to a filled network."""

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

from litevision.console import note
from litevision.errors import WeightsError, WeightsMismatchError
from litevision.models.centernet import AnyNetwork
from litevision.models.config import NetworkConfig
from litevision.models.factory import build
from litevision.models.network import FeaturePyramid, Network
from litevision.models.pretrained import fingerprint
from litevision.registry import Variant, resolve
from litevision.runtime import Normalisation
from litevision.weights.bundles import restore_folded
from litevision.weights.convert import Applied, Layout, apply
from litevision.weights.convert.apply import BACKGROUND_CLASSES, described
from litevision.weights.detect_layout import NATIVE, DetectedLayout, detect_layout
from litevision.weights.download import accept_unchecked
from litevision.weights.facts import PRETRAINED_KEY, facts_of, normalisation_doubts
from litevision.weights.layouts import layout_named
from litevision.weights.read import not_finite
from litevision.weights.recognise import variant_by_name, with_doubts
from litevision.weights.source import WeightsRequest, WeightsSource, open_source
from litevision.weights.structure.match import AmbiguousWeightsError
from litevision.weights.structure.weight_map import WeightMap
from litevision.weights.trained import WeightsLike
from litevision.weights.writers import CONFIG_KEY

logger = logging.getLogger("litevision")


@dataclass(frozen=True)
class Loaded:
    """The result of ``load_weights``: the network, and how its weights were read.

    Attributes:
        layout: whose layout the file had.
    """

    network: Network
    layout: Layout
    source: WeightsSource
    applied: Applied


def load_weights(
    source: WeightsLike,
    name: str | None = None,
    *,
    dialect: str | None = None,
    width_mult: float | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
    output_stride: int | None = None,
    final_endpoint: str | None = None,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
    unchecked: bool = False,
    weight_map: str | Path | None = None,
    save_map: str | Path | None = None,
    normalisation: Normalisation | None = None,
) -> Loaded:
    """Loads weights into the network that they belong to.

    Args:
        source: a weight set's name (``list_models(weights=True)``), a file, a URL, a bundle, or a run or its folder.
        name: the network; by default the weight set's, or detected from the tensors' names and shapes.
        dialect: the library whose form of it, where the file alone cannot tell.
        width_mult: the width; by default the weight set's, or detected.
        num_classes: by default as many as the file has; 0 leaves its classifier out.
        in_channels: channels of the input; by default the file's. Weights for RGB are adapted, as timm does: to 1
            channel by their sum, to more by repeating them.
        final_endpoint: by default the end of what the file holds.
        reset_classifier: as ``create`` has it.
        drop_background: leaves out class 0 of the file; by default that of slim's 1001.
        unchecked: fetches a weight set though its full sha256 is not known (``WeightSet.is_checked``).
        weight_map: a file that ``save_map`` wrote: which of the network's tensors each of the file's is.
        save_map: where to write that map of a file of no known layout, which is read by its structure.
        normalisation: what the network was trained with; by default the weights' own, of a bare file its origin's.

    Raises:
        UnknownNameError: neither a file nor a weight set nor a network of that name.
        WeightsError: weights that cannot be used.
    """
    request = WeightsRequest.of(name, dialect, width_mult)
    with accept_unchecked(unchecked):
        opened = _open(source, request, name, weight_map, save_map)
    require_classifier(opened)
    return _load(
        opened,
        request,
        None if name is None else resolve(name, dialect),
        num_classes=num_classes,
        in_channels=in_channels,
        output_stride=output_stride,
        final_endpoint=final_endpoint,
        reset_classifier=reset_classifier,
        drop_background=drop_background,
        normalisation=normalisation,
    )


def _open(
    source: WeightsLike,
    request: WeightsRequest,
    name: str | None,
    weight_map: str | Path | None,
    save_map: str | Path | None,
) -> WeightsSource:
    """Opens weights with a map from a file, and writes the map that was found to one."""
    given = None if weight_map is None else WeightMap.load(Path(weight_map))
    try:
        opened = open_source(source, request, name, given)
    except AmbiguousWeightsError as error:
        if save_map is None:
            raise
        error.likeliest.save(Path(save_map))
        raise AmbiguousWeightsError(f"{error}. The map was written to {save_map}", error.likeliest) from None
    if given is not None and opened.stored.map is None:
        raise WeightsMismatchError(f"{opened.label} needs no map: litevision made it, or its publisher is known")
    if save_map is not None:
        if opened.stored.map is None:
            note(f"note: {opened.label}: no map was written, for the file is in a layout that is known")
        else:
            opened.stored.map.save(Path(save_map))
    return opened


def _load(
    opened: WeightsSource,
    request: WeightsRequest,
    likely: Variant | None,
    *,
    num_classes: int | None,
    in_channels: int | None,
    output_stride: int | None = None,
    final_endpoint: str | None = None,
    reset_classifier: bool,
    drop_background: bool | None,
    normalisation: Normalisation | None,
) -> Loaded:
    """Fills the network of opened weights; arguments as for ``load_weights``."""
    found = identify(opened, request, likely, any_width=True)
    config = found.config
    if num_classes is None:
        if drop_background is None:
            drop_background = layout_named(found.layout).background_class and config.num_classes == BACKGROUND_CLASSES
        config = replace(config, num_classes=max(0, config.num_classes - drop_background))
    else:
        config = replace(config, num_classes=num_classes, final_endpoint=None if num_classes else config.final_endpoint)
    if in_channels is not None:
        config = replace(config, in_channels=in_channels)
    if output_stride is not None:
        config = replace(config, output_stride=output_stride)
    if final_endpoint is not None:
        config = replace(config, final_endpoint=final_endpoint)
    network = build(config)
    applied = fill_from(
        network,
        opened,
        found,
        reset_classifier=reset_classifier,
        drop_background=drop_background,
        normalisation=normalisation,
    )
    return Loaded(network, layout_named(found.layout), opened, applied)


def load_network(
    source: WeightsLike,
    name: str | None = None,
    *,
    dialect: str | None = None,
    width_mult: float | None = None,
    num_classes: int | None = None,
    drop_background: bool | None = None,
    reset_classifier: bool = False,
    weight_map: str | Path | None = None,
    save_map: str | Path | None = None,
    normalisation: Normalisation | None = None,
    in_channels: int | None = None,
) -> AnyNetwork:
    """Loads any weights: a classifier or a detector.

    Arguments and errors as for ``load_weights``.
    """
    request = WeightsRequest.of(name, dialect, width_mult)
    opened = _open(source, request, name, weight_map, save_map)
    if opened.trained is None or (num_classes, drop_background, in_channels, reset_classifier) != (None,) * 3 + (
        False,
    ):
        require_classifier(opened)
        return _load(
            opened,
            request,
            None if name is None else resolve(name, dialect),
            num_classes=num_classes,
            reset_classifier=reset_classifier,
            drop_background=drop_background,
            normalisation=normalisation,
            in_channels=in_channels,
        ).network
    held = opened.trained.config.as_network()
    request.require(opened.label, WeightsRequest(held.architecture, held.dialect, held.width_mult))
    for line in opened.stored.notes:
        note(f"note: {opened.label}: {line}")
    return opened.trained.network()


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
            f"{source.label}: the configuration in its header cannot be built ({error}). "
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
        facts = replace(facts, score=None, score_thresholds=None)
    if normalisation is not None and normalisation != facts.normalisation:
        facts = facts.unmeasured(normalisation=normalisation)
    if source.trained is not None and source.trained.is_folded:
        restore_folded(network, facts)
    if applied.reset or isinstance(network, FeaturePyramid):
        facts = facts.without_classes()
    network.pretrained = replace(facts, fingerprint=fingerprint(network))
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
