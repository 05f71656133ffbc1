"""``create`` and ``load_weights``: from a name, a file or a URL to a filled network."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

from litevision.errors import UsageError, WeightsError, WeightsMismatchError
from litevision.models.config import NetworkConfig
from litevision.models.factory import build, configure
from litevision.models.network import FeaturePyramid, Network
from litevision.registry import ALIASES, ARCHITECTURES, resolve
from litevision.weights.convert import LAYOUTS, Applied, Layout, apply
from litevision.weights.convert.apply import whole_network
from litevision.weights.convert.layout import leaves
from litevision.weights.files import stored_config
from litevision.weights.recognise import LAYOUTS_OF, Recognised, recognise
from litevision.weights.source import Source, open_source

logger = logging.getLogger("litevision")


@dataclass(frozen=True)
class Loaded:
    """A filled network, and what happened on the way.

    Attributes:
        layout: whose layout the file had.
    """

    network: Network
    layout: Layout
    source: Source
    applied: Applied


@overload
def create(name: str, *, features_only: Literal[True], **arguments: Any) -> FeaturePyramid: ...


@overload
def create(name: str, *, features_only: Literal[False] = False, **arguments: Any) -> Network: ...


def create(
    name: str,
    *,
    width_mult: float = 1.0,
    num_classes: int = 1000,
    dialect: str | None = None,
    weights: str | Path | None = None,
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
        width_mult: the paper's alpha, above 0.
        num_classes: length of the logits; 0 gives the pooled features [N, num_features].
        dialect: whose form: ``torchvision``, ``timm``, ``timm_tf``, ``keras``, ``slim`` or ``tutorial``; by default
            the weights' own, else the first that exists for the network.
        weights: a weight set's name, a file, or a URL; ``"default"`` takes the network's default set.
        output_stride: 8, 16 or 32: later strides become dilation.
        features_only: gives a ``FeaturePyramid``, whose ``feature_info`` declares channels and strides.
        out_indices: the levels of that pyramid; by default all.
        final_endpoint: stops at this endpoint; the network then gives that map.
        dropout: probability before the classifier; by default the dialect's own.
        rows: rows of the family's table to use instead, for example ``mobilenet_v2.Stage`` records.
        in_channels: channels of the input.
        reset_classifier: keeps a fresh classifier where the file's has another number of classes; it is logged.
        drop_background: leaves out class 0 of a file with one class more; by default where the layout has one.
        options: arguments of one family alone: ``depth_mult`` and ``fixed_ends`` (V2), ``spatial_squeeze`` (V1),
            ``bottleneck_ratio`` (ShuffleNetV2's tutorial form).

    Raises:
        UnknownNameError: no such name, dialect, endpoint or option; the message has the nearest ones.
        UsageError: a value that cannot work.
        WeightsError: weights that cannot be used.
    """
    if out_indices is not None and not features_only:
        raise UsageError("out_indices picks levels of a pyramid: pass features_only=True with it")
    source = None if weights is None else open_source(weights, name, dialect)
    variant = resolve(name, dialect, width_mult)
    if source is not None:
        width_mult = source.width_mult(width_mult)
        dialect = dialect or source.dialect(variant)
        options = {**source.options, **options}
    config = configure(
        name,
        width_mult=width_mult,
        num_classes=num_classes,
        dialect=dialect,
        output_stride=output_stride,
        final_endpoint=final_endpoint,
        dropout=dropout,
        rows=rows,
        in_channels=in_channels,
        **options,
    )
    network = build(config)
    if source is not None:
        _fill(network, source, reset_classifier=reset_classifier, drop_background=drop_background)
    return FeaturePyramid(network, out_indices) if features_only else network


def load_weights(
    source: str | Path,
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

    Raises:
        UnknownNameError: neither a file nor a weight set nor a network of that name.
        WeightsError: weights that cannot be used.
    """
    opened = open_source(source, name, dialect)
    config = _config_of(opened, name, dialect, width_mult)
    if num_classes is not None:
        config = replace(config, num_classes=num_classes)
    if output_stride is not None:
        config = replace(config, output_stride=output_stride)
    if final_endpoint is not None:
        config = replace(config, final_endpoint=final_endpoint)
    network = build(config)
    return _fill(network, opened, reset_classifier=reset_classifier, drop_background=drop_background)


def fill(
    network: Network,
    source: str | Path,
    *,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
) -> Loaded:
    """Fills ``network`` in place from a weight set, a file or a URL; see ``create`` for the arguments."""
    opened = open_source(source, network.config.architecture, network.config.dialect)
    return _fill(network, opened, reset_classifier=reset_classifier, drop_background=drop_background)


def _config_of(source: Source, name: str | None, dialect: str | None, width_mult: float | None) -> NetworkConfig:
    stored = source.stored
    if name is None and source.weight_set is None:
        own = stored_config(stored)
        found = own or _config(recognise(stored, dialect=dialect, width_mult=width_mult))
        if found is None:
            shown = ", ".join(f"{key} {tuple(tensor.shape)}" for key, tensor in list(stored.tensors.items())[:3])
            raise WeightsError(
                f"{source.label}: no network of litevision has these {len(stored.tensors)} tensors "
                f"(the first: {shown}); name the network, and its width if it is an unusual one"
            )
        return found
    if source.weight_set is not None:
        name = name or source.weight_set.architecture
        dialect = dialect or source.weight_set.dialect
        width_mult = width_mult or source.weight_set.width_mult
    assert name is not None
    variant = resolve(name, dialect, width_mult or 1.0)
    wanted = None if dialect is None and name.lower() not in ALIASES else variant.dialect
    narrowed = width_mult or (variant.width_mult if name.lower() in ALIASES else None)
    found = _config(recognise(stored, architecture=variant.architecture, dialect=wanted, width_mult=narrowed))
    # Where nothing fits, filling the network as it was asked for says what is missing.
    return found or configure(name, dialect=dialect, width_mult=width_mult or 1.0)


def _config(found: Recognised | None) -> NetworkConfig | None:
    return None if found is None else found.config


def _fill(network: Network, source: Source, *, reset_classifier: bool, drop_background: bool | None) -> Loaded:
    layout = _layout_for(network, source)
    if drop_background is None and source.weight_set is not None and source.weight_set.background_class:
        drop_background = True
    applied = apply(
        network,
        source.stored.tensors,
        layout,
        reset_classifier=reset_classifier,
        drop_background=drop_background,
    )
    if applied.reset:
        logger.warning("%s: the classifier starts fresh (left out: %s)", source.label, ", ".join(applied.reset))
    if applied.background_dropped:
        logger.info("%s: class 0 of the file, the background, was left out", source.label)
    return Loaded(network, layout, source, applied)


def _layout_for(network: Network, source: Source) -> Layout:
    """The layout that names most of the network's tensors as the file does; ``apply`` says what is missing."""
    config = network.config
    family = ARCHITECTURES[config.architecture].family
    known = [LAYOUTS[name] for name in LAYOUTS_OF[source.stored.container]]
    fitting = [layout for layout in known if family in layout.pairs and config.dialect in layout.dialects]
    if not fitting:
        raise WeightsMismatchError(
            f"{source.label} holds {'/'.join(layout.name for layout in known)} weights, and {config.architecture} "
            f"in the dialect {config.dialect!r} has none of these layouts; pass the dialect of the file's origin"
        )
    whole = whole_network(network)

    def known_names(layout: Layout) -> int:
        return len({name for leaf in leaves(whole, layout) for name in leaf.theirs} & source.stored.tensors.keys())

    return max(fitting, key=known_names)
