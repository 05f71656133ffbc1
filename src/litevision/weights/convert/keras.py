"""Keras' layer names, as its HDF5 files store them."""

from collections.abc import Iterator

from torch import nn

from litevision.models.network import Network
from litevision.weights.convert.layout import LayerMapping, Layout, conv_norm


def mobilenet_v1(network: Network) -> Iterator[LayerMapping]:
    """``conv1``, ``conv_dw_{i}``, ``conv_pw_{i}``, ``conv_preds``, which is a 1x1 convolution."""
    for name, _ in network.features.named_children():
        _, i, *part = name.split("_")
        layer = {"depthwise": f"conv_dw_{i}", "pointwise": f"conv_pw_{i}"}[part[0]] if part else "conv1"
        yield from conv_norm(f"features.{name}", layer, f"{layer}_bn")
    yield LayerMapping("head.classifier", "conv_preds", as_conv=True)


def mobilenet_v2(network: Network) -> Iterator[LayerMapping]:
    """``Conv1``, ``expanded_conv_*``, ``block_{i}_*``, ``Conv_1``; the classifier was ``Logits`` in older files."""
    yield from conv_norm("features.stem", "Conv1", "bn_Conv1")
    blocks = [name for name, _ in network.features.named_children() if name.startswith("block_")]
    for i, name in enumerate(blocks):
        prefix = f"block_{i}" if i else "expanded_conv"
        for part in ("expand", "depthwise", "project"):
            if not isinstance(network.get_submodule(f"features.{name}.{part}"), nn.Identity):
                yield from conv_norm(f"features.{name}.{part}", f"{prefix}_{part}", f"{prefix}_{part}_BN")
    yield from conv_norm("features.conv_last", "Conv_1", "Conv_1_bn")
    yield LayerMapping("head.classifier", "predictions", also=("Logits",))


def mobilenet_v3(network: Network) -> Iterator[LayerMapping]:
    """``conv``, ``expanded_conv_*``, ``expanded_conv_{i}_*``, ``conv_1``, and ``conv_2`` and ``logits``, both 1x1.

    The names before Keras 3, which the published files keep, are slim's: ``Conv/BatchNorm``,
    ``expanded_conv_1/squeeze_excite/Conv``, ``Logits``.
    """
    yield from _conv_bn("features.stem", "conv", "Conv")
    blocks = [name for name, _ in network.features.named_children() if name.startswith("block_")]
    for i, name in enumerate(blocks):
        scope = f"expanded_conv_{i}" if i else "expanded_conv"
        for part in ("expand", "depthwise", "se", "project"):
            ours = f"features.{name}.{part}"
            if isinstance(network.get_submodule(ours), nn.Identity):
                continue
            if part == "se":
                squeeze = f"{scope}_squeeze_excite_conv"
                yield LayerMapping(f"{ours}.reduce", squeeze, also=(f"{scope}/squeeze_excite/Conv",))
                yield LayerMapping(f"{ours}.expand", f"{squeeze}_1", also=(f"{scope}/squeeze_excite/Conv_1",))
            else:
                yield from _conv_bn(ours, f"{scope}_{part}", f"{scope}/{part}")
    yield from _conv_bn("features.conv_last", "conv_1", "Conv_1")
    yield LayerMapping("head.hidden", "conv_2", as_conv=True, also=("Conv_2",))
    yield LayerMapping("head.classifier", "logits", as_conv=True, also=("Logits",))


def _conv_bn(ours: str, name: str, old: str) -> Iterator[LayerMapping]:
    """The two mappings of one ``ConvNormAct`` of V3, each under its name and its name before Keras 3."""
    yield LayerMapping(f"{ours}.conv", name, also=(old,))
    yield LayerMapping(f"{ours}.norm", f"{name}_bn", also=(f"{old}/BatchNorm",))


LAYOUT = Layout(
    name="keras",
    dialects=("keras",),
    mappings={"mobilenet_v1": mobilenet_v1, "mobilenet_v2": mobilenet_v2, "mobilenet_v3": mobilenet_v3},
    separator="/",
    conv_leaf="kernel",
    depthwise_leaf=("depthwise_kernel", "kernel"),
    linear_leaf="kernel",
    norm_leaves=("gamma", "beta", "moving_mean", "moving_variance"),
    # A kernel is stored [h, w, in, out], a depthwise one [h, w, channels, 1], a dense one [in, out].
    permute={"conv": (3, 2, 0, 1), "linear_as_conv": (3, 2, 0, 1), "depthwise": (2, 3, 0, 1), "linear": (1, 0)},
)
