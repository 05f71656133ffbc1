"""Fresh networks against those of the libraries: how weights are drawn, and what no weight file tells of the layers."""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from litevision.models import Network, build, configure

os.environ["KERAS_BACKEND"] = "torch"

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]  # Keras warns of its own deprecations

ENOUGH = 1500
"""Weights from which on the shape of their distribution can be told."""

OF_TORCH = [
    # the library's network, our name, dialect
    (lambda: torchvision.models.mobilenet_v2(weights=None), "mobilenet_v2", "torchvision"),
    (lambda: torchvision.models.mobilenet_v3_small(weights=None), "mobilenet_v3_small", "torchvision"),
    (lambda: torchvision.models.shufflenet_v2_x0_5(weights=None), "shufflenet_v2_x0_5", "torchvision"),
    (lambda: timm.create_model("mobilenetv1_100"), "mobilenet_v1", "timm"),
    (lambda: timm.create_model("mobilenetv2_100"), "mobilenet_v2", "timm"),
    (lambda: timm.create_model("mobilenetv3_small_100"), "mobilenet_v3_small", "timm"),
    (lambda: timm.create_model("tf_mobilenetv3_small_100"), "mobilenet_v3_small", "timm_tf"),
    (lambda: timm.create_model("mobilenetv4_conv_small"), "mobilenet_v4_conv_small", "timm"),
]
OF_KERAS = [
    # Keras' class, its options, our name, width
    ("MobileNet", {}, "mobilenet_v1", 0.25),
    ("MobileNetV2", {}, "mobilenet_v2", 0.35),
    ("MobileNetV3Small", {}, "mobilenet_v3_small", 0.75),
    ("MobileNetV3Small", {"minimalistic": True}, "mobilenet_v3_small_minimalistic", 0.75),
]


def fresh(name: str, dialect: str, width: float = 1.0) -> Network:
    torch.manual_seed(0)
    return build(configure(name, dialect=dialect, width_mult=width))


def kernels(found: Iterator[tuple[tuple[int, ...], Tensor]]) -> dict[tuple[int, ...], Tensor]:
    """All weights of kernels of one shape, flat; a linear layer is a 1x1 kernel."""
    by_shape: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
    for shape, weight in found:
        by_shape[shape if len(shape) == 4 else (*shape, 1, 1)].append(weight.flatten().double())
    return {shape: torch.cat(weights) for shape, weights in by_shape.items()}


def of_torch(network: nn.Module) -> dict[tuple[int, ...], Tensor]:
    weights = (weight.detach() for weight in network.parameters() if weight.ndim > 1)
    return kernels((tuple(weight.shape), weight) for weight in weights)


def of_keras(keras: Any, model: Any) -> dict[tuple[int, ...], Tensor]:
    """As torch lays kernels out: [k, k, in, out], of a depthwise convolution [k, k, C, 1]."""
    arrays = (torch.tensor(np.asarray(keras.ops.convert_to_numpy(weight))) for weight in model.weights)
    swapped = (_as_torchs(array) for array in arrays if array.ndim > 1)
    return kernels((tuple(array.shape), array) for array in swapped)


def _as_torchs(array: Tensor) -> Tensor:
    if array.ndim == 2:
        return array.T
    return array.permute(2, 3, 0, 1) if array.shape[3] == 1 else array.permute(3, 2, 0, 1)


def kurtosis(weights: Tensor) -> float:
    """3 of a normal distribution, 1.8 of a uniform one, 2.37 of a normal one without what lies beyond 2 deviations."""
    return float((weights**4).mean() / (weights**2).mean() ** 2)


def assert_alike(ours: dict[tuple[int, ...], Tensor], theirs: dict[tuple[int, ...], Tensor]) -> None:
    assert {shape: len(found) for shape, found in ours.items()} == {s: len(found) for s, found in theirs.items()}
    told = 0
    for shape, one in ours.items():
        other, count = theirs[shape], len(one)
        noise = 5 / math.sqrt(count)
        assert float(one.std() / other.std()) == pytest.approx(1, abs=noise), shape
        assert abs(float(one.mean())) < noise * float(one.std()), shape
        if count >= ENOUGH:
            assert kurtosis(one) == pytest.approx(kurtosis(other), abs=0.1 + 20 / math.sqrt(count)), shape
            assert (kurtosis(one) < 2.1) == (kurtosis(other) < 2.1), shape
            told += 1
    assert told > 5


def biases(network: nn.Module) -> list[Tensor]:
    layers = (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    return [layer.bias.detach() for layer in layers if layer.bias is not None]


def settings(network: Any) -> tuple[Counter[tuple[float, float]], list[float]]:
    """How many layers of batch normalisation have which eps and momentum; the dropout rates above 0."""
    norms = (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    rates = [module.p for module in network.modules() if isinstance(module, nn.Dropout)]
    return Counter((norm.eps, norm.momentum) for norm in norms), [rate for rate in rates if rate]


@pytest.mark.parametrize(("make", "name", "dialect"), OF_TORCH)
def test_weights_begin_as_torchvisions_and_timms(make: Any, name: str, dialect: str) -> None:
    ours, theirs = fresh(name, dialect), make()
    assert_alike(of_torch(ours), of_torch(theirs))
    for one, other in zip(biases(ours), biases(theirs), strict=True):
        assert len(one) == len(other)
        assert float(one.abs().max()) == pytest.approx(float(other.abs().max()), rel=0.05)
    assert settings(ours) == settings(theirs)
    norms = [module for module in ours.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(bool((norm.weight == 1).all() and (norm.bias == 0).all()) for norm in norms)


@pytest.mark.parametrize(("class_name", "options", "name", "width"), OF_KERAS)
def test_weights_begin_as_keras(class_name: str, options: dict[str, Any], name: str, width: float) -> None:
    import keras

    keras.utils.set_random_seed(0)
    options = {"weights": None, "input_shape": (64, 64, 3), "classes": 1000, "alpha": width, **options}
    theirs = getattr(keras.applications, class_name)(**options)
    ours = fresh(name, "keras", width)
    assert_alike(of_torch(ours), of_keras(keras, theirs))
    assert not any(bool(bias.any()) for bias in biases(ours))
    layers = theirs.layers
    found = Counter(
        (round(layer.epsilon, 9), round(1 - layer.momentum, 9))
        for layer in layers
        if type(layer).__name__ == "BatchNormalization"
    )
    assert settings(ours) == (found, [layer.rate for layer in layers if type(layer).__name__ == "Dropout"])


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"])
def test_slims_weights_are_normal_and_cut_off(name: str) -> None:
    """TF-slim's arg scopes: ``truncated_normal_initializer(stddev=0.09)`` for every kernel."""
    network = fresh(name, "slim")
    for weights in of_torch(network).values():
        assert float(weights.abs().max()) <= 0.18
        if len(weights) >= ENOUGH:
            assert float(weights.std()) == pytest.approx(0.87962566 * 0.09, rel=5 / math.sqrt(len(weights)))
            assert kurtosis(weights) == pytest.approx(2.37, abs=0.1 + 20 / math.sqrt(len(weights)))
    assert not any(bool(bias.any()) for bias in biases(network))


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "shufflenet_v2_x0_5"])
def test_keras_tutorials_begin_with_keras_defaults(name: str) -> None:
    network = fresh(name, "tutorial")
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        weight = module.weight.detach()
        cells = weight[0, 0].numel()
        groups = module.groups if isinstance(module, nn.Conv2d) else 1
        into, out = (groups, 1) if groups > 1 else (weight.shape[1], weight.shape[0])
        limit = math.sqrt(6 / (cells * (into + out)))
        assert 0.8 * limit < float(weight.abs().max()) <= limit
    assert not any(bool(bias.any()) for bias in biases(network))


def test_the_pytorch_tutorial_begins_with_kaimings() -> None:
    network = fresh("mobilenet_v2", "tutorial")
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() >= ENOUGH:
            out, cells = module.weight.shape[0], module.weight[0, 0].numel()
            std, noise = float(module.weight.detach().std()), 5 / math.sqrt(module.weight.numel())
            assert std == pytest.approx(math.sqrt(2 / (out * cells)), rel=noise)
    assert not any(bool(bias.any()) for bias in biases(network))
