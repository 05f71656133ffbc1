"""The state_dict of NanoDet's authors, which takes BGR: its networks are called ``backbone``, ``fpn`` and ``head``.

Source: RangiLyu/nanodet, ``nanodet/model``, for the names; its ``ConvModule`` and ``DepthwiseConvModule``.
"""

from collections.abc import Iterator

from litevision.models.nanodet import NanoDet
from litevision.models.pan import PanNeck
from litevision.weights.convert import torchvision
from litevision.weights.convert.layout import BATCH_COUNTS, LayerMapping, Layout, Tensors, conv_norm

_STEM = "backbone.conv1.0.weight"
_PARTS = ("depthwise", "pointwise")
_AVERAGED, _TRAINED = "avg_model.", "model."  # what the names in a checkpoint begin with
_OF_TRAINING = ("aux_fpn.", "aux_head.")
_UNUSED = "nothing reads it: classes and edges come out of one layer"


def nanodet(network: NanoDet) -> Iterator[LayerMapping]:
    """``backbone`` as torchvision has it, ``fpn``, and ``head`` with ``cls_convs`` and ``gfl_cls`` of each level."""
    endpoints = {name for name, _ in network.backbone.features.named_children()}
    for mapping in torchvision.shufflenet_v2(network.backbone):
        if mapping.ours.split(".")[1] in endpoints:
            yield LayerMapping(f"backbone.{mapping.ours}", f"backbone.{mapping.theirs}")
    if isinstance(network.neck, PanNeck):
        for i, _ in enumerate(network.neck.laterals):
            yield LayerMapping(f"neck.laterals.{i}.conv", f"fpn.lateral_convs.{i}.conv")
    else:
        yield from _ghost_pan(network)
    for i, _ in enumerate(network.heads):
        for k in range(2):
            yield from _separable(f"heads.{i}.hidden_{k + 1}", f"head.cls_convs.{i}.{k}")
        yield LayerMapping(f"heads.{i}.output", f"head.gfl_cls.{i}")


def _ghost_pan(network: NanoDet) -> Iterator[LayerMapping]:
    levels = range(len(network.backbone.channels))
    for i in levels:
        yield from conv_norm(f"neck.reduce.{i}", f"fpn.reduce_layers.{i}.conv", f"fpn.reduce_layers.{i}.bn")
    for i in levels[:-1]:
        yield from _bottleneck(f"neck.top_down.{i}", f"fpn.top_down_blocks.{i}.blocks.0")
    for i in levels[:-1]:
        yield from _separable(f"neck.bottom_up.{i}.halve", f"fpn.downsamples.{i}")
        yield from _bottleneck(f"neck.bottom_up.{i}.mix", f"fpn.bottom_up_blocks.{i}.blocks.0")
    yield from _separable("neck.extra_of_input", "fpn.extra_lvl_in_conv.0")
    yield from _separable("neck.extra_of_output", "fpn.extra_lvl_out_conv.0")


def _bottleneck(ours: str, theirs: str) -> Iterator[LayerMapping]:
    for i in (1, 2):
        for part, name in (("primary", "primary_conv"), ("cheap", "cheap_operation")):
            yield from conv_norm(
                f"{ours}.ghost_{i}.{part}", f"{theirs}.ghost{i}.{name}.0", f"{theirs}.ghost{i}.{name}.1"
            )
    for k, part in enumerate(_PARTS):
        shortcut = f"{theirs}.shortcut"
        yield from conv_norm(f"{ours}.shortcut.{part}", f"{shortcut}.{2 * k}", f"{shortcut}.{2 * k + 1}")


def _separable(ours: str, theirs: str) -> Iterator[LayerMapping]:
    for part in _PARTS:
        yield from conv_norm(f"{ours}.{part}", f"{theirs}.{part}", f"{theirs}.{part[0]}wnorm")


def in_checkpoint(tensors: Tensors) -> tuple[Tensors, list[str]]:
    """Takes the network out of a checkpoint's tensors: the averaged weights where there are any.

    Returns:
        its tensors under the names of the authors' weight files, and what was left out, a line each.
    """
    notes = []
    for prefix in (_AVERAGED, _TRAINED):
        inner = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if inner:
            others = len(tensors) - len(inner)
            if prefix == _AVERAGED and others:
                notes.append(f"the averaged weights were taken; {others} tensors beside them were left out")
            tensors = inner
            break
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(_OF_TRAINING)}
    if len(kept) < len(tensors):
        notes.append(f"{len(tensors) - len(kept)} tensors that only training uses were left out (aux_fpn, aux_head)")
    return kept, notes


def flip_channels(network: object, tensors: Tensors) -> Tensors:
    """Turns the stem from BGR to RGB, and back."""
    stem = tensors.get(_STEM)
    return tensors if stem is None or stem.dim() != 4 else {**tensors, _STEM: stem.flip(1)}


LAYOUT = Layout(
    name="nanodet",
    dialects=("nanodet",),
    mappings={"nanodet": nanodet},
    dropped={
        **BATCH_COUNTS,
        ".project": "counts up to 7; nothing learns it",
        **{f"head.gfl_reg.{i}.{leaf}": _UNUSED for i in range(4) for leaf in ("weight", "bias")},
    },
    prepare=flip_channels,
    restore=flip_channels,
)
