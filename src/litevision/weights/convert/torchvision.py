"""torchvision's state_dict names."""

from collections.abc import Iterator

from torch import nn

from litevision.models.network import FeaturePyramid, Network
from litevision.weights.convert.layout import BATCH_COUNTS, LayerMapping, Layout, conv_norm


def mobilenet_v2(network: Network) -> Iterator[LayerMapping]:
    """``features.{i}``: the stem, the blocks, the last convolution; ``classifier.1``."""
    for i, (name, block) in enumerate(network.features.named_children()):
        ours, theirs = f"features.{name}", f"features.{i}"
        if not name.startswith("block_"):
            yield from conv_norm(ours, f"{theirs}.0", f"{theirs}.1")
            continue
        at = 0
        if not isinstance(block.get_submodule("expand"), nn.Identity):
            yield from conv_norm(f"{ours}.expand", f"{theirs}.conv.0.0", f"{theirs}.conv.0.1")
            at = 1
        yield from conv_norm(f"{ours}.depthwise", f"{theirs}.conv.{at}.0", f"{theirs}.conv.{at}.1")
        at += 1
        yield from conv_norm(f"{ours}.project", f"{theirs}.conv.{at}", f"{theirs}.conv.{at + 1}")
    yield LayerMapping("head.classifier", "classifier.1")


def mobilenet_v3(network: Network) -> Iterator[LayerMapping]:
    """``features.{i}``: the stem, the blocks, the last convolution; ``classifier.0`` and ``classifier.3``."""
    for i, (name, block) in enumerate(network.features.named_children()):
        ours, theirs = f"features.{name}", f"features.{i}"
        if not name.startswith("block_"):
            yield from conv_norm(ours, f"{theirs}.0", f"{theirs}.1")
            continue
        parts = ("expand", "depthwise", "se", "project")
        present = [part for part in parts if not isinstance(block.get_submodule(part), nn.Identity)]
        for j, part in enumerate(present):
            if part == "se":
                yield LayerMapping(f"{ours}.se.reduce", f"{theirs}.block.{j}.fc1")
                yield LayerMapping(f"{ours}.se.expand", f"{theirs}.block.{j}.fc2")
            else:
                yield from conv_norm(f"{ours}.{part}", f"{theirs}.block.{j}.0", f"{theirs}.block.{j}.1")
    yield LayerMapping("head.hidden", "classifier.0")
    yield LayerMapping("head.classifier", "classifier.3")


def shufflenet_v2(network: Network | FeaturePyramid) -> Iterator[LayerMapping]:
    """``conv1``, ``stage{s}.{i}.branch1`` of the units that stride, ``branch2`` of all, ``conv5``, ``fc``."""
    yield from conv_norm("features.stem", "conv1.0", "conv1.1")
    for name, _ in network.features.named_children():
        if "_unit" not in name:
            continue
        stage, unit = name.split("_unit")
        ours, theirs = f"features.{name}", f"{stage}.{int(unit) - 1}"
        if unit == "1":
            yield from conv_norm(f"{ours}.side.depthwise", f"{theirs}.branch1.0", f"{theirs}.branch1.1")
            yield from conv_norm(f"{ours}.side.pointwise", f"{theirs}.branch1.2", f"{theirs}.branch1.3")
        for i, part in ((0, "pointwise_1"), (3, "depthwise"), (5, "pointwise_2")):
            yield from conv_norm(f"{ours}.main.{part}", f"{theirs}.branch2.{i}", f"{theirs}.branch2.{i + 1}")
    yield from conv_norm("features.conv5", "conv5.0", "conv5.1")
    yield LayerMapping("head.classifier", "fc")


LAYOUT = Layout(
    name="torchvision",
    dialects=("torchvision",),
    mappings={"mobilenet_v2": mobilenet_v2, "mobilenet_v3": mobilenet_v3, "shufflenet_v2": shufflenet_v2},
    dropped=BATCH_COUNTS,
)
