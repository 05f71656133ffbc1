"""``convert``: read weights in any layout, and write them in another one."""

import os
from dataclasses import dataclass
from pathlib import Path

from litevision.errors import UnknownNameError, UsageError
from litevision.models.nanodet import NanoDet, NanoDetConfig
from litevision.outputs import check_output, kind_named
from litevision.registry import resolve
from litevision.weights.fill import require_classifier
from litevision.weights.layouts import layout_row, writable_layouts
from litevision.weights.load import load_opened, open_weights, opened_model
from litevision.weights.save import save_weights
from litevision.weights.source import WeightsRequest, WeightsSource
from litevision.weights.trained import WeightsLike

BY_MAP = "none; by a map of its tensors"
"""What stands for the layout of a file of none that is known."""


@dataclass(frozen=True)
class Conversion:
    """What was read, and what was written.

    Attributes:
        source: the weights, by name, file or address.
        layout: how they were stored.
        model: the architecture.
        dialect: whose form of it.
        width_mult: the paper's alpha.
        num_classes: length of the logits; 0 without a classifier.
        in_channels: channels of the input; 3 for RGB.
        num_params: parameters of the network.
        final_endpoint: where the network ends, if the weights do not reach its head.
        background_dropped: whether class 0, "background", was left out.
        classifier_reset: whether the classifier was initialised anew.
        written: the file that was written; None if the weights were only read.
        written_layout: its layout.
    """

    source: str
    layout: str
    model: str
    dialect: str
    width_mult: float
    num_classes: int
    in_channels: int
    num_params: int
    final_endpoint: str | None
    background_dropped: bool
    classifier_reset: bool
    written: Path | None
    written_layout: str | None


def convert(
    source: WeightsLike,
    output: str | Path | None = None,
    *,
    to: str = "litevision",
    model: str | None = None,
    dialect: str | None = None,
    width_mult: float | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
    reset_classifier: bool = False,
    drop_background: bool | None = None,
    weight_map: str | Path | None = None,
    save_map: str | Path | None = None,
) -> Conversion:
    """Reads weights in any layout, and writes them in another.

    Args:
        source: a weight set's name, a file, a URL, a bundle, or a run or its folder.
        output: the file to write; without it the weights are only read and described.
        to: the layout to write: ``litevision``, ``torchvision``, ``timm`` or ``keras``.
        model: the network that the weights belong to; recognised unless given.
        dialect: whose form it has, where the file alone cannot tell.
        width_mult: its width, if it is an unusual one.
        num_classes: by default as many as the file has.
        in_channels: channels of the input; weights for RGB are adapted to another number, as timm does.
        reset_classifier: initialises the classifier anew where the numbers of classes differ.
        drop_background: leaves out class 0 of a file with one class more; by default that of slim's 1001.
        weight_map: a file that ``save_map`` wrote: which of the network's tensors each of a file's is.
        save_map: where to write that map of a file of no known layout, which is read by its structure.

    Raises:
        UnknownNameError: no such layout, weights or network.
        UsageError: a layout that does not have this network, a file name ending that is not its own, or an output
            that is the source or holds something else.
        WeightsError: weights that cannot be used, or a file that cannot be written.

    Example:
        >>> import litevision
        >>> litevision.convert("clothing").num_classes
        10
    """
    if to not in writable_layouts():
        raise UnknownNameError.of("layout to write", to, writable_layouts())
    if output is not None:
        named = [source] if isinstance(source, str | os.PathLike) else []
        check_output(output, kind_named("weights", output), inputs=named)
    request = WeightsRequest.of(model, dialect, width_mult)
    opened = open_weights(source, request, model, weight_map, save_map)
    if opened.trained is not None and isinstance(opened.trained.config, NanoDetConfig):
        asked = (num_classes, in_channels, drop_background)
        if reset_classifier or asked != (None,) * 3:
            raise UsageError(f"{opened.label} is a detector, which is converted as it is; give no classes or channels")
        return _converted_detector(opened, output, to)
    require_classifier(opened)
    loaded = load_opened(
        opened,
        request,
        None if model is None else resolve(model, dialect),
        num_classes=num_classes,
        in_channels=in_channels,
        reset_classifier=reset_classifier,
        drop_background=drop_background,
    )
    config = loaded.network.config
    return Conversion(
        source=loaded.source.label,
        layout=loaded.layout.name if loaded.source.stored.map is None else BY_MAP,
        model=config.architecture,
        dialect=config.dialect,
        width_mult=config.width_mult,
        num_classes=config.num_classes,
        in_channels=config.in_channels,
        num_params=sum(parameter.numel() for parameter in loaded.network.parameters()),
        final_endpoint=config.final_endpoint,
        background_dropped=loaded.applied.background_dropped,
        classifier_reset=bool(loaded.applied.reset),
        written=None if output is None else save_weights(loaded.network, output, to),
        written_layout=None if output is None else layout_row(to).name,
    )


def _converted_detector(opened: WeightsSource, output: str | Path | None, to: str) -> Conversion:
    network = opened_model(opened)
    assert opened.trained is not None
    assert isinstance(network, NanoDet)
    config = network.config
    return Conversion(
        source=opened.label,
        layout=opened.trained.layout,
        model=config.architecture,
        dialect=config.dialect,
        width_mult=config.width_mult,
        num_classes=config.num_classes,
        in_channels=config.in_channels,
        num_params=sum(parameter.numel() for parameter in network.parameters()),
        final_endpoint=None,
        background_dropped=False,
        classifier_reset=False,
        written=None if output is None else save_weights(network, output, to),
        written_layout=None if output is None else layout_row(to).name,
    )
