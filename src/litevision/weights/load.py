"""``create`` and ``load_weights``: from a name, a file or a URL to a filled network."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, overload

from litevision.errors import UsageError, WeightsError, WeightsMismatchError
from litevision.models.centernet import CenterNetConfig
from litevision.models.config import NetworkConfig
from litevision.models.factory import build, configure
from litevision.models.network import FeaturePyramid, Network
from litevision.registry import Variant, resolve
from litevision.weights.convert import LAYOUTS, Applied, Layout, apply
from litevision.weights.convert.apply import BACKGROUND_CLASSES, described
from litevision.weights.convert.own import OWN
from litevision.weights.facts import facts_of
from litevision.weights.files import CONFIG_KEY
from litevision.weights.recognise import Recognised, recognise
from litevision.weights.source import WeightsRequest, WeightsSource, open_source
from litevision.weights.trained import WeightsLike, restore_folded

logger = logging.getLogger("litevision")


@dataclass(frozen=True)
class Loaded:
    """A filled network, and what happened on the way.

    Attributes:
        layout: whose layout the file had.
    """

    network: Network
    layout: Layout
    source: WeightsSource
    applied: Applied


@overload
def create(name: str, *, features_only: Literal[True], **arguments: Any) -> FeaturePyramid: ...


@overload
def create(name: str, *, features_only: Literal[False] = False, **arguments: Any) -> Network: ...


def create(
    name: str,
    *,
    width_mult: float = 1.0,
    num_classes: int | None = None,
    dialect: str | None = None,
    weights: WeightsLike | None = None,
    output_stride: int | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    final_endpoint: str | None = None,
    dropout: float | None = None,
    rows: Sequence[Any] | None = None,
    in_channels: int = 3,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
    **options: Any,
) -> Network | FeaturePyramid:
    """A network by name, with fresh or published weights, in training mode.

    Args:
        name: ours (``mobilenet_v2``), or timm's, torchvision's or Keras' own (``mobilenetv2_050``, ``MobileNetV2``).
        width_mult: the paper's alpha, above 0; with weights that say their width, 1 takes theirs.
        num_classes: length of the logits; 0 gives the pooled features [N, num_features]. By default as many as
            litevision's own output has, else 1000.
        dialect: whose form: ``torchvision``, ``timm``, ``timm_tf``, ``keras``, ``slim`` or ``tutorial``; by default
            the weights' own, else the first that exists for the network.
        weights: a weight set's name, a file, a URL, a bundle, or a run or its folder; ``"default"`` takes the
            network's default set. What is known of them is then ``pretrained``.
        output_stride: 8, 16 or 32: later strides become dilation.
        features_only: gives a ``FeaturePyramid``, whose ``feature_info`` declares channels and strides.
        out_indices: the levels of that pyramid; by default all.
        final_endpoint: stops at this endpoint; the network then gives that map.
        dropout: probability before the classifier; by default the dialect's own.
        rows: rows of the family's table to use instead, for example ``mobilenet_v2.Stage`` records.
        in_channels: channels of the input.
        reset_classifier: keeps a fresh classifier where the file has none or another number of classes; it is logged.
        drop_background: leaves out class 0 of the file; by default that of slim's 1001 for a network of 1000.
        options: arguments of one family alone: ``depth_mult`` and ``fixed_ends`` (V2), ``spatial_squeeze`` (V1),
            ``bottleneck_ratio`` (ShuffleNetV2's tutorial form).

    Raises:
        UnknownNameError: no such name, dialect, endpoint or option; the message has the nearest ones.
        UsageError: a value that cannot work.
        WeightsError: weights that cannot be used.
    """
    if out_indices is not None and not features_only:
        raise UsageError("out_indices picks levels of a pyramid: pass features_only=True with it")
    variant = resolve(name, dialect, width_mult)
    source = found = None
    base = configure(name, width_mult=width_mult, dialect=dialect)
    if weights is not None:
        request = WeightsRequest.of(name, dialect, None if width_mult == 1.0 else width_mult)
        source = open_source(weights, request, name)
        if not features_only:
            _require_classifier(source)
        found = _identify(source, request, variant)
        base = found.config
        if source.trained is not None and num_classes is None:
            num_classes = base.num_classes
    network = build(
        replace(
            base,
            num_classes=1000 if num_classes is None else num_classes,
            in_channels=in_channels,
            final_endpoint=final_endpoint,
            output_stride=base.output_stride if output_stride is None else output_stride,
            dropout=base.dropout if dropout is None else dropout,
            rows=base.rows if rows is None else tuple(rows),
            options={**base.options, **options},
        )
    )
    made = FeaturePyramid(network, out_indices) if features_only else network
    if source is not None and found is not None:
        _fill(made, source, found.layout, reset_classifier, drop_background)
    return made


def load_weights(
    source: WeightsLike,
    name: str | None = None,
    *,
    dialect: str | None = None,
    width_mult: float | None = None,
    num_classes: int | None = None,
    output_stride: int | None = None,
    final_endpoint: str | None = None,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
) -> Loaded:
    """The network that a weight set, a file or a URL belongs to, filled from it.

    Args:
        source: a weight set's name (``litevision models`` lists them), a file, or a URL.
        name: the network; by default the weight set's, or recognised from the tensors' names and shapes.
        dialect: whose form, where the file alone cannot tell.
        width_mult: the width; by default the weight set's, or recognised.
        num_classes: by default as many as the file has; 0 leaves its classifier out.
        final_endpoint: by default the end of what the file holds.
        reset_classifier: as ``create`` has it.
        drop_background: leaves out class 0 of the file; by default that of slim's 1001.

    Raises:
        UnknownNameError: neither a file nor a weight set nor a network of that name.
        WeightsError: weights that cannot be used.
    """
    request = WeightsRequest.of(name, dialect, width_mult)
    opened = open_source(source, request, name)
    _require_classifier(opened)
    found = _identify(opened, request, None if name is None else resolve(name, dialect), any_width=True)
    config = found.config
    if num_classes is None:
        if drop_background is None:
            drop_background = LAYOUTS[found.layout].background_class and config.num_classes == BACKGROUND_CLASSES
        config = replace(config, num_classes=max(0, config.num_classes - drop_background))
    else:
        config = replace(config, num_classes=num_classes, final_endpoint=None if num_classes else config.final_endpoint)
    if output_stride is not None:
        config = replace(config, output_stride=output_stride)
    if final_endpoint is not None:
        config = replace(config, final_endpoint=final_endpoint)
    network = build(config)
    applied = _fill(network, opened, found.layout, reset_classifier, drop_background)
    return Loaded(network, LAYOUTS[found.layout], opened, applied)


def fill(
    network: Network,
    source: WeightsLike,
    *,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
) -> Loaded:
    """Fills ``network`` in place from a weight set, a file or a URL; see ``create`` for the arguments."""
    config = network.config
    request = WeightsRequest(config.architecture, config.dialect, config.width_mult)
    opened = open_source(source, request, config.architecture)
    _require_classifier(opened)
    layout = _identify(opened, request).layout
    applied = _fill(network, opened, layout, reset_classifier, drop_background)
    return Loaded(network, LAYOUTS[layout], opened, applied)


def _identify(
    source: WeightsSource, request: WeightsRequest, likely: Variant | None = None, *, any_width: bool = False
) -> Recognised:
    """What the weights are: as their set or their own header says, else as their tensors tell.

    Args:
        request: what was asked for, which they must be.
        likely: settles what the tensors alone leave open.
        any_width: takes the width, too, from the tensors where none was asked for.

    Raises:
        WeightsMismatchError: they are something else.
        WeightsError: they are nothing that the package has, or their header cannot be used.
    """
    if source.trained is not None:
        return Recognised(OWN.name, _trained_config(source, request), 0)
    if CONFIG_KEY in source.stored.metadata:
        return Recognised(OWN.name, _own_config(source, request), 0)
    if source.weight_set is not None:
        row = source.weight_set
        request = WeightsRequest(row.architecture, row.dialect, row.width_mult)
    elif likely is not None and not any_width:
        request = request._replace(width_mult=likely.width_mult)
    try:
        found = recognise(source.stored, **request._asdict(), likely_dialect=likely.dialect if likely else None)
    except WeightsError as error:
        raise WeightsError(f"{source.label}: {error}") from None
    if found is not None:
        return found
    tensors = source.stored.tensors
    if request.architecture is not None:
        form = request.architecture + (f" in the dialect {request.dialect!r}" if request.dialect else "")
        raise WeightsMismatchError(f"{source.label}: nobody stores {form} in such a file.{_truth(source, request)}")
    shown = ", ".join(f"{key} {tuple(tensor.shape)}" for key, tensor in list(tensors.items())[:3])
    raise WeightsError(
        f"{source.label}: no network of litevision has these {len(tensors)} tensors (the first: {shown}). "
        "Name the network if it is one all the same"
    )


def _trained_config(source: WeightsSource, request: WeightsRequest) -> NetworkConfig:
    """The configuration of a model that litevision made; of a detector, that of its backbone, without classes."""
    assert source.trained is not None
    config = source.trained.config
    if isinstance(config, CenterNetConfig):
        config = replace(config.backbone, num_classes=0)
    request.require(source.label, WeightsRequest(config.architecture, config.dialect, config.width_mult))
    return config


def _require_classifier(source: WeightsSource) -> None:
    """Raises ``WeightsMismatchError`` for a detector."""
    if source.trained is not None and isinstance(source.trained.config, CenterNetConfig):
        raise WeightsMismatchError(
            f"{source.label} is a detector on {source.trained.config.backbone.architecture}, expected a classifier; "
            "litevision.create.from_run gives the detector, and features_only=True its backbone"
        )


def _own_config(source: WeightsSource, request: WeightsRequest) -> NetworkConfig:
    """The configuration in the file's header, once its tensors are known to be that network's."""
    try:
        config = NetworkConfig.from_json(source.stored.metadata[CONFIG_KEY])
        network = build(config, device="meta")  # costs nothing, whatever the header promises
    except Exception as error:  # a header can hold anything
        raise WeightsError(
            f"{source.label}: the configuration in its header cannot be built ({error}). "
            "Load it with the version of litevision that wrote it"
        ) from error
    request.require(source.label, WeightsRequest(config.architecture, config.dialect, config.width_mult))
    _apply(network, source, OWN.name)
    return config


def _fill(
    network: Network | FeaturePyramid,
    source: WeightsSource,
    layout: str,
    reset_classifier: bool,
    drop_background: bool | None,
) -> Applied:
    """Fills ``network``, and notes what is known of its weights."""
    applied = _apply(network, source, layout, reset_classifier, drop_background)
    facts = facts_of(source, network.config, layout)
    network.pretrained = facts.without_classes() if applied.reset or isinstance(network, FeaturePyramid) else facts
    if source.trained is not None and source.trained.is_folded:
        restore_folded(network, facts)
    if applied.reset:
        logger.info("%s: the classifier starts fresh (left out: %s)", source.label, ", ".join(applied.reset))
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
            LAYOUTS[layout],
            reset_classifier=reset_classifier,
            drop_background=drop_background,
        )
    except WeightsMismatchError as error:
        config = network.config
        truth = _truth(source, WeightsRequest(config.architecture, config.dialect, config.width_mult))
        raise WeightsMismatchError(f"{source.label}: {error}{truth}") from None


def _truth(source: WeightsSource, request: WeightsRequest) -> str:
    """What the file holds, as the end of a message, where it is another network than ``asked``."""
    try:
        found = recognise(source.stored)
    except WeightsError:
        return ""
    if found is None or found.misfits:
        return ""
    config = found.config
    if request == (config.architecture, config.dialect, config.width_mult):
        return ""
    return f" The file holds {described(config)}"
