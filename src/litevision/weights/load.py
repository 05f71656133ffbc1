"""Load weights into networks: from a weight set's name, a file, a URL or a run to a filled network."""

from dataclasses import dataclass, replace
from pathlib import Path

from litevision.console import note
from litevision.errors import WeightsMismatchError
from litevision.models.config import RGB
from litevision.models.factory import build
from litevision.models.kinds import AnyNetwork
from litevision.models.nanodet import NanoDet, NanoDetConfig
from litevision.models.network import Network
from litevision.registry import Variant, resolve
from litevision.runtime import Normalisation
from litevision.weights.convert import Applied, Layout
from litevision.weights.convert.apply import BACKGROUND_CLASSES
from litevision.weights.download import accept_unchecked
from litevision.weights.fill import fill_from, identify, require_classifier
from litevision.weights.layouts import layout_named
from litevision.weights.source import WeightsRequest, WeightsSource, open_source
from litevision.weights.structure.match import AmbiguousWeightsError
from litevision.weights.structure.weight_map import WeightMap
from litevision.weights.trained import WeightsLike


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
        opened = open_weights(source, request, name, weight_map, save_map)
    require_classifier(opened)
    return load_opened(
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


def open_weights(
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


def load_opened(
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
    normalisation: Normalisation | None = None,
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
    opened = open_weights(source, request, name, weight_map, save_map)
    changed = reset_classifier or any(given is not None for given in (num_classes, drop_background, in_channels))
    if opened.trained is None or changed:
        require_classifier(opened)
        return load_opened(
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
    return opened_model(opened)


def opened_model(opened: WeightsSource) -> AnyNetwork:
    """Builds the model that ``opened`` weights are, in evaluation mode, and says what was chosen or left out."""
    assert opened.trained is not None
    for line in opened.stored.notes:
        note(f"note: {opened.label}: {line}")
    return opened.trained.network()


def load_nanodet(
    source: WeightsLike, architecture: str, num_classes: int | None = None, in_channels: int = RGB
) -> NanoDet:
    """Loads a NanoDet with all of its weights, in evaluation mode.

    Args:
        source: as for ``load_weights``.
        architecture: the one that it must be.
        num_classes: likewise; None for any.
        in_channels: likewise.

    Raises:
        WeightsMismatchError: it is another network, or has other classes or channels.
    """
    opened = open_source(source, WeightsRequest(), architecture)
    config = None if opened.trained is None else opened.trained.config
    if not isinstance(config, NanoDetConfig) or config.architecture != architecture:
        held = "no NanoDet" if config is None else config.to_architecture().name
        raise WeightsMismatchError(f"{opened.label} holds {held}, expected weights of {architecture}")
    if (config.num_classes, config.in_channels) != (num_classes or config.num_classes, in_channels):
        raise WeightsMismatchError(
            f"{opened.label} is a {architecture} of {config.num_classes} classes for {config.in_channels} channels, "
            f"got num_classes {num_classes} and in_channels {in_channels}; leave both out"
        )
    network = opened_model(opened)
    assert isinstance(network, NanoDet)
    return network
