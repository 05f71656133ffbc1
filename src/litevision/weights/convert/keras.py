"""Keras' layer names, as its HDF5 files store them."""

from collections.abc import Iterator

from torch import nn

from litevision.models.network import Network
from litevision.weights.convert.layout import Layout, Pair, conv_norm


def mobilenet_v1(network: Network) -> Iterator[Pair]:
    """``conv1``, ``conv_dw_{i}``, ``conv_pw_{i}``, ``conv_preds``, which is a 1x1 convolution."""
    for name, _ in network.features.named_children():
        _, i, *part = name.split("_")
        layer = {"depthwise": f"conv_dw_{i}", "pointwise": f"conv_pw_{i}"}[part[0]] if part else "conv1"
        yield from conv_norm(f"features.{name}", layer, f"{layer}_bn")
    yield Pair("head.classifier", "conv_preds", as_conv=True)


def mobilenet_v2(network: Network) -> Iterator[Pair]:
    """``Conv1``, ``expanded_conv_*``, ``block_{i}_*``, ``Conv_1``; the classifier was ``Logits`` in older files."""
    yield from conv_norm("features.stem", "Conv1", "bn_Conv1")
    blocks = [name for name, _ in network.features.named_children() if name.startswith("block_")]
    for i, name in enumerate(blocks):
        prefix = f"block_{i}" if i else "expanded_conv"
        for part in ("expand", "depthwise", "project"):
            if not isinstance(network.get_submodule(f"features.{name}.{part}"), nn.Identity):
                yield from conv_norm(f"features.{name}.{part}", f"{prefix}_{part}", f"{prefix}_{part}_BN")
    yield from conv_norm("features.conv_last", "Conv_1", "Conv_1_bn")
    yield Pair("head.classifier", "predictions", also=("Logits",))


KERAS = Layout(
    name="keras",
    dialects=("keras",),
    pairs={"mobilenet_v1": mobilenet_v1, "mobilenet_v2": mobilenet_v2},
    separator="/",
    conv_leaf="kernel",
    depthwise_leaf=("depthwise_kernel", "kernel"),
    linear_leaf="kernel",
    norm_leaves=("gamma", "beta", "moving_mean", "moving_variance"),
    # A kernel is stored [h, w, in, out], a depthwise one [h, w, channels, 1], a dense one [in, out].
    turn={"conv": (3, 2, 0, 1), "linear_as_conv": (3, 2, 0, 1), "depthwise": (2, 3, 0, 1), "linear": (1, 0)},
)
