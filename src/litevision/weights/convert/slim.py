"""TF-slim's variable names."""

from collections.abc import Iterator

from torch import nn

from litevision.models.network import Network
from litevision.weights.convert.layout import LayerMapping, Layout


def conv_norm(ours: str, scope: str) -> Iterator[LayerMapping]:
    """The two mappings of one ``ConvNormAct``: slim keeps the normalisation inside the convolution's scope."""
    yield LayerMapping(f"{ours}.conv", scope)
    yield LayerMapping(f"{ours}.norm", f"{scope}/BatchNorm")


def mobilenet_v1(network: Network) -> Iterator[LayerMapping]:
    """``MobilenetV1/{endpoint}``; our endpoints are slim's."""
    for name, _ in network.features.named_children():
        yield from conv_norm(f"features.{name}", f"MobilenetV1/{name}")
    yield LayerMapping("head.classifier", "MobilenetV1/Logits/Conv2d_1c_1x1", as_conv=True)


def mobilenet_v2(network: Network) -> Iterator[LayerMapping]:
    """``MobilenetV2/Conv``, ``expanded_conv``, ``expanded_conv_{i}``, ``Conv_1``, ``Logits/Conv2d_1c_1x1``."""
    yield from inverted_residuals(network, "MobilenetV2")
    yield LayerMapping("head.classifier", "MobilenetV2/Logits/Conv2d_1c_1x1", as_conv=True)


def mobilenet_v3(network: Network) -> Iterator[LayerMapping]:
    """``MobilenetV3/Conv``, ``expanded_conv_{i}``, ``Conv_1``, ``Conv_2``, ``Logits/Conv2d_1c_1x1``."""
    yield from inverted_residuals(network, "MobilenetV3")
    yield LayerMapping("head.hidden", "MobilenetV3/Conv_2", as_conv=True)
    yield LayerMapping("head.classifier", "MobilenetV3/Logits/Conv2d_1c_1x1", as_conv=True)


def inverted_residuals(network: Network, root: str) -> Iterator[LayerMapping]:
    """The backbone of V2 and V3 under ``root``."""
    yield from conv_norm("features.stem", f"{root}/Conv")
    blocks = [name for name, _ in network.features.named_children() if name.startswith("block_")]
    for i, name in enumerate(blocks):
        scope = f"{root}/expanded_conv_{i}" if i else f"{root}/expanded_conv"
        for part in ("expand", "depthwise", "project"):
            if not isinstance(network.get_submodule(f"features.{name}.{part}"), nn.Identity):
                yield from conv_norm(f"features.{name}.{part}", f"{scope}/{part}")
            if part == "depthwise" and not isinstance(network.get_submodule(f"features.{name}.se"), nn.Identity):
                yield LayerMapping(f"features.{name}.se.reduce", f"{scope}/squeeze_excite/Conv")
                yield LayerMapping(f"features.{name}.se.expand", f"{scope}/squeeze_excite/Conv_1")
    yield from conv_norm("features.conv_last", f"{root}/Conv_1")


# What TF1's optimizers call their slots (the second of one variable with _1) and their scalars.
_SLOTS = ("/Adadelta", "/Adagrad", "/Adam", "/Ftrl", "/Momentum", "/RMSProp")
_OPTIMIZER = (*_SLOTS, *(f"{slot}_1" for slot in _SLOTS), "beta1_power", "beta2_power", "learning_rate")

LAYOUT = Layout(
    name="slim",
    dialects=("slim",),
    mappings={"mobilenet_v1": mobilenet_v1, "mobilenet_v2": mobilenet_v2, "mobilenet_v3": mobilenet_v3},
    separator="/",
    conv_leaf="weights",
    depthwise_leaf=("depthwise_weights",),
    linear_leaf="weights",
    bias_leaf="biases",
    norm_leaves=("gamma", "beta", "moving_mean", "moving_variance"),
    permute={"conv": (3, 2, 0, 1), "linear_as_conv": (3, 2, 0, 1), "depthwise": (2, 3, 0, 1)},
    dropped={
        "global_step": "the trainer's clock",
        "/ExponentialMovingAverage": "the average is read in place of its variable",
        **dict.fromkeys(_OPTIMIZER, "the optimizer's state"),
    },
    background_class=True,
)
