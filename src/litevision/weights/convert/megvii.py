"""Megvii's ShuffleNetV2 files: other names than torchvision's, BGR input, and channels in another order.

Megvii's units shuffle *before* they split: the even channels pass, the odd ones are processed, and the two halves are
concatenated. Torchvision's shuffle after: the first half passes, the second is processed, and the two are interleaved.
The networks are the same up to the order of each map's channels, so a file's tensors are put into torchvision's order.

Source: megvii-model/ShuffleNet-Series, ``ShuffleNetV2/{blocks,network}.py`` at a96672fd, for the flat names
(``features.{i}``) and for BGR; dog-qiuqiu/FastestDet, ``module/shufflenetv2.py``, for ``stage{s}.{i}``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from litevision.errors import WeightsMismatchError
from litevision.models.network import Network
from litevision.models.shufflenet_v2 import STEM_CHANNELS, BasicUnit, DownUnit
from litevision.weights.convert import torchvision
from litevision.weights.convert.layout import BATCH_COUNTS, LayerMapping, Layout, Tensors, tensor_mappings

_RENAMED = {
    "conv1.": "first_conv.",
    "branch1.": "branch_proj.",
    "branch2.": "branch_main.",
    "conv5.": "conv_last.",
    "fc": "classifier.0",
}


def shufflenet_v2(network: Network) -> Iterator[LayerMapping]:
    """``first_conv``, ``stage{s}.{i}.branch_*`` or ``features.{i}.branch_*``, ``conv_last``, ``classifier.0``."""
    units: list[str] = []
    for pair in torchvision.shufflenet_v2(network):
        name = pair.theirs
        for old, new in _RENAMED.items():
            name = name.replace(old, new)
        unit, is_unit, layer = name.partition(".branch")
        if is_unit and unit not in units:
            units.append(unit)
        yield LayerMapping(pair.ours, name, also=(f"features.{len(units) - 1}.branch{layer}",) if is_unit else ())


@dataclass(frozen=True)
class _Order:
    """Which of the file's channels each of a layer's output and input channels is; None: the same one."""

    outputs: list[int] | None = None
    inputs: list[int] | None = None

    def inverse(self) -> "_Order":
        return _Order(*(None if order is None else _inverse(order) for order in (self.outputs, self.inputs)))

    def take(self, tensor: Tensor) -> Tensor:
        """``tensor`` in this order; one of another size stays, to be refused for its shape."""
        if self.outputs is not None and len(self.outputs) == tensor.shape[0]:
            tensor = tensor[self.outputs]
        if self.inputs is not None and tensor.dim() > 1 and len(self.inputs) == tensor.shape[1]:
            tensor = tensor[:, self.inputs]
        return tensor


def channel_order(channels: int) -> list[int]:
    """Of a unit's output: which of Megvii's ``channels`` each channel of torchvision's form is.

    Each chain a, 2a, 4a, ... below ``channels``, from an odd a, is reversed; channel 0 stays. Why: a channel that
    passes moves from place 2i to i with Megvii, and from j to 2j with torchvision, one step down and one step up its
    chain. So an order that holds before a unit holds after it, and torchvision's first half, where a next place exists,
    are Megvii's even channels, which have a place before.
    """
    order = list(range(channels))
    for start in range(1, channels, 2):
        chain = [start << step for step in range(channels.bit_length()) if start << step < channels]
        for place, origin in zip(chain, reversed(chain), strict=True):
            order[place] = origin
    return order


def to_our_order(network: Network, tensors: Tensors) -> Tensors:
    """A file's ``tensors`` with the channels of torchvision's form and RGB input.

    Raises:
        WeightsMismatchError: a unit's two branches differ in width, which torchvision's form cannot compute.
    """
    reordered = dict(tensors)
    orders = _orders(network)
    for name, layer in _stored_layers(network, tensors):
        if layer.endswith(".side.pointwise.conv"):
            _require_equal_halves(network, layer, tensors[name])
        if layer in orders:
            reordered[name] = orders[layer].take(tensors[name])
    if "classifier.0.weight" in tensors:  # Megvii's classifier has no bias
        reordered.setdefault("classifier.0.bias", torch.zeros(len(tensors["classifier.0.weight"])))
    return reordered


def to_their_order(network: Network, tensors: Tensors) -> Tensors:
    """The inverse of ``to_our_order``, but for the classifier's bias, which stays."""
    orders = {layer: order.inverse() for layer, order in _orders(network).items()}
    reordered = dict(tensors)
    for name, layer in _stored_layers(network, tensors):
        if layer in orders:
            reordered[name] = orders[layer].take(tensors[name])
    return reordered


def _stored_layers(network: Network, tensors: Tensors) -> Iterator[tuple[str, str]]:
    """Each tensor's name, with the path of the layer of ours that it belongs to."""
    for mapping in tensor_mappings(network, LAYOUT):
        name = next((name for name in mapping.theirs if name in tensors), None)
        if name is not None:
            yield name, mapping.ours.rpartition(".")[0]


def _orders(network: Network) -> dict[str, _Order]:
    """The order of each layer that has one, by its path."""
    orders = {"features.stem.conv": _Order(inputs=[2, 1, 0])} if network.config.in_channels != 1 else {}
    incoming = list(range(STEM_CHANNELS))
    for end in network.endpoints:
        ours = f"features.{end.name}"
        unit = network.get_submodule(ours)
        if end.name == "conv5":
            orders[f"{ours}.conv"] = _Order(inputs=incoming)
        if not isinstance(unit, DownUnit | BasicUnit):
            continue
        half = end.channels // 2
        order = channel_order(end.channels)
        # Interleaved: the even places come from the first branch, the odd ones from the main branch.
        side, main = order[0::2], [channel - half for channel in order[1::2]]
        if isinstance(unit, DownUnit):
            orders[f"{ours}.side.depthwise.conv"] = orders[f"{ours}.side.depthwise.norm"] = _Order(incoming)
            orders[f"{ours}.side.pointwise.conv"] = _Order(side, incoming)
            orders[f"{ours}.side.pointwise.norm"] = _Order(side)
            orders[f"{ours}.main.pointwise_1.conv"] = _Order(inputs=incoming)
        else:
            odd = [channel // 2 for channel in incoming[half:]]
            orders[f"{ours}.main.pointwise_1.conv"] = _Order(inputs=odd)
        orders[f"{ours}.main.pointwise_2.conv"] = orders[f"{ours}.main.pointwise_2.norm"] = _Order(main)
        incoming = order
    return orders


def _require_equal_halves(network: Network, layer: str, weight: Tensor) -> None:
    ours = network.get_parameter(f"{layer}.weight").shape
    # Megvii's side branch keeps its input's channels; torchvision's gives half of the unit's.
    if weight.shape[0] == weight.shape[1] == ours[1] != ours[0]:
        stage = layer.split(".")[1].split("_")[0]
        raise WeightsMismatchError(
            f"the file's side branch of {stage} gives {len(weight)} of {2 * ours[0]} channels, torchvision's form "
            f"{ours[0]}: Megvii's 1x, 1.5x and 2x divide them so. Its 0.5x file fits; for the others use torchvision's"
        )


def _inverse(order: list[int]) -> list[int]:
    inverse = [0] * len(order)
    for place, origin in enumerate(order):
        inverse[origin] = place
    return inverse


LAYOUT = Layout(
    name="megvii",
    dialects=("torchvision",),
    mappings={"shufflenet_v2": shufflenet_v2},
    dropped=BATCH_COUNTS,
    prepare=to_our_order,
    restore=to_their_order,
)
