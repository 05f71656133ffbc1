"""A weight layout: which of its layers each of our layers is, and how a tensor of each kind is permuted.

A family's mapping is a function that walks a built network and yields one ``LayerMapping`` per layer with weights, so
that custom rows, widths and depths need no mapping of their own. The same mapping serves reading and writing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from litevision.models.nanodet import NanoDet
from litevision.models.network import Network
from litevision.registry import row_of

Tensors = dict[str, Tensor]
BATCH_COUNTS = {"num_batches_tracked": "counts batches; nothing reads it"}
"""What torch's BatchNorm keeps beside its statistics."""

TensorKind = Literal["conv", "depthwise", "linear", "linear_as_conv", "vector"]


@dataclass(frozen=True)
class LayerMapping:
    """One layer under both names.

    Attributes:
        ours: path of a convolution, batch normalisation or linear layer in our network.
        theirs: the layer's path in the origin's file.
        as_conv: the origin stores this linear layer as a 1x1 convolution.
        also: other names that the origin has used for the layer.
    """

    ours: str
    theirs: str
    as_conv: bool = False
    also: tuple[str, ...] = ()


MappingBuilder = Callable[[Any], Iterator[LayerMapping]]
"""Takes a network or detector of the family."""


@dataclass(frozen=True)
class Layout:
    """An origin's way to store weights.

    Attributes:
        name: as users say it: ``torchvision``, ``timm``, ``keras``, ``slim``, ``megvii``, ``nanodet``, ``native``.
        dialects: the dialects whose networks the origin stores in it, the likeliest first.
        mappings: the mapping of each family (the module name under ``litevision.models``).
        separator: stands between a layer's path and its tensor's name.
        conv_leaf, depthwise_leaf, linear_leaf, bias_leaf: the origin's names of the tensors.
        norm_leaves: its names for weight, bias, running mean and running variance.
        permute: axes of a stored tensor, by kind, in torch's order; absent kinds are stored as torch does.
        dropped: stored tensors that carry nothing, by the end of their name, with the reason.
        prepare: rewrites a file's tensors into the order that the map speaks of; None where there is nothing to do.
        restore: undoes ``prepare``, for writing.
        background_class: whether a head of one class more starts with a background class.
    """

    name: str
    dialects: tuple[str, ...]
    mappings: Mapping[str, MappingBuilder]
    separator: str = "."
    conv_leaf: str = "weight"
    depthwise_leaf: tuple[str, ...] = ("weight",)
    linear_leaf: str = "weight"
    bias_leaf: str = "bias"
    norm_leaves: tuple[str, str, str, str] = ("weight", "bias", "running_mean", "running_var")
    permute: Mapping[TensorKind, tuple[int, ...]] | None = None
    dropped: Mapping[str, str] | None = None
    prepare: Callable[[Any, Tensors], Tensors] | None = None
    restore: Callable[[Any, Tensors], Tensors] | None = None
    background_class: bool = False


@dataclass(frozen=True)
class TensorMapping:
    """One tensor under both names, with its kind.

    Attributes:
        multiplier: output channels of a depthwise convolution for each of its inputs.
    """

    ours: str
    theirs: tuple[str, ...]
    kind: TensorKind
    multiplier: int = 1


def conv_norm(ours: str, conv: str, norm: str) -> Iterator[LayerMapping]:
    """The two mappings of one ``ConvNormAct``."""
    yield LayerMapping(f"{ours}.conv", conv)
    yield LayerMapping(f"{ours}.norm", norm)


def tensor_mappings(network: Network | NanoDet, layout: Layout) -> Iterator[TensorMapping]:
    """Every tensor of ``network`` that ``layout`` stores, in the layout's order."""
    for layer_mapping in layout.mappings[row_of(network.config.architecture).family](network):
        layer = network.get_submodule(layer_mapping.ours)
        if isinstance(layer, nn.Identity):  # the classifier of a network without classes
            continue
        for ours, theirs, kind in _layer_tensors(layer, layer_mapping, layout):
            paths = (layer_mapping.theirs, *layer_mapping.also)
            names = tuple(f"{path}{layout.separator}{leaf}" for path in paths for leaf in theirs)
            multiplier = 1
            if isinstance(layer, nn.Conv2d) and kind == "depthwise":
                multiplier = layer.out_channels // layer.groups
            yield TensorMapping(f"{layer_mapping.ours}.{ours}", names, kind, multiplier)


def _layer_tensors(
    layer: nn.Module, layer_mapping: LayerMapping, layout: Layout
) -> Iterator[tuple[str, tuple[str, ...], TensorKind]]:
    if isinstance(layer, nn.BatchNorm2d):
        for ours, theirs in zip(("weight", "bias", "running_mean", "running_var"), layout.norm_leaves, strict=True):
            yield ours, (theirs,), "vector"
        return
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        yield "weight", layout.depthwise_leaf, "depthwise"
    elif isinstance(layer, nn.Conv2d):
        yield "weight", (layout.conv_leaf,), "conv"
    elif layer_mapping.as_conv:
        yield "weight", (layout.conv_leaf,), "linear_as_conv"
    else:
        yield "weight", (layout.linear_leaf,), "linear"
    if layer.bias is not None:
        yield "bias", (layout.bias_leaf,), "vector"


def to_native(tensor: Tensor, kind: TensorKind, layout: Layout) -> Tensor:
    """A stored tensor in torch's order."""
    order = (layout.permute or {}).get(kind)
    permuted = tensor.permute(order) if order is not None and tensor.dim() == len(order) else tensor
    if kind == "depthwise" and order is not None and permuted.dim() == 4:  # [inputs, multiplier, h, w]
        return permuted.flatten(0, 1).unsqueeze(1)
    return permuted.flatten(1) if kind == "linear_as_conv" and tensor.dim() == 4 else permuted


def to_layout(tensor: Tensor, kind: TensorKind, layout: Layout, multiplier: int = 1) -> Tensor:
    """A tensor of ours in the layout's order; undoes ``to_native``."""
    shaped = tensor[:, :, None, None] if kind == "linear_as_conv" else tensor
    order = (layout.permute or {}).get(kind)
    if order is None:
        return shaped.contiguous()
    if kind == "depthwise":
        shaped = shaped.unflatten(0, (-1, multiplier)).squeeze(2)
    return shaped.permute(torch.tensor(order).argsort().tolist()).contiguous()
