"""torchvision's state_dict names."""

from collections.abc import Iterator

from torch import nn

from litevision.models.network import Network
from litevision.weights.convert.layout import Layout, Pair, conv_norm


def mobilenet_v2(network: Network) -> Iterator[Pair]:
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
    yield Pair("head.classifier", "classifier.1")


TORCHVISION = Layout(
    name="torchvision",
    dialects=("torchvision",),
    pairs={"mobilenet_v2": mobilenet_v2},
    dropped={"num_batches_tracked": "counts batches; nothing reads it"},
)
