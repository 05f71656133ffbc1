"""Networks as others write them: the sources' own forms, typed again from what is known of them, and strange ones."""

import os
import string
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = OrderedDict[str, Tensor]


class TutorialBlock(nn.Module):
    """The PyTorch tutorial's inverted residual: biases, and a projection shortcut at stride 1."""

    def __init__(self, channels: int, out: int, expand: int, stride: int) -> None:
        super().__init__()
        inner = channels * expand
        self.stride = stride
        self.bottleneck = nn.Sequential(
            nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner), nn.ReLU6(),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner), nn.BatchNorm2d(inner), nn.ReLU6(),
            nn.Conv2d(inner, out, 1), nn.BatchNorm2d(out),
        )  # fmt: skip
        if stride == 1:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bottleneck(x)
        return y + self.shortcut(x) if self.stride == 1 else y


class TutorialMobileNetV2(nn.Module):
    """The PyTorch tutorial's classifier; with ``detects`` its CenterNet, on a plain view of the last map."""

    ROWS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, classes: int = 5, *, detects: bool = False) -> None:
        super().__init__()
        self.detects = detects
        self.first_conv = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU6())
        channels, stages = 32, []
        for expand, out, repeats, stride in self.ROWS:
            blocks = [TutorialBlock(channels, out, expand, stride)]
            blocks += [TutorialBlock(out, out, expand, 1) for _ in range(repeats)]
            stages.append(nn.Sequential(*blocks))
            channels = out
        self.layers = nn.Sequential(*stages)
        self.last_conv = nn.Sequential(nn.Conv2d(320, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU6())
        if detects:
            self.hm, self.wh, self.reg = (nn.Conv2d(20, out, 1) for out in (classes, 2, 2))
        else:
            self.linear = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Any:
        x = self.last_conv(self.layers(self.first_conv(x)))
        if self.detects:
            x = x.view(-1, 20, 8 * x.shape[2], 8 * x.shape[3])
            return self.hm(x), self.wh(x), self.reg(x)
        return self.linear(x.mean((2, 3)))


class CifarBlock(nn.Module):
    """MobileNetV1's pair of layers with the names of a widely used collection for CIFAR."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(self.bn2(self.conv2(F.relu6(self.bn1(self.conv1(x))))))


class CifarMobileNet(nn.Module):
    """MobileNetV1 under those names, at a quarter of its width."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        channels, blocks = 8, []
        for out, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
            blocks.append(CifarBlock(channels, out, stride))
            channels = out
        self.layers = nn.Sequential(*blocks)
        self.linear = nn.Linear(256, classes)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(self.layers(F.relu6(self.bn1(self.conv1(x)))).mean((2, 3)))
        return y


class CifarUnit(nn.Module):
    """ShuffleNetV2's unit under those names: conv1 and conv2 are the side branch where it strides."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.strides = channels != out
        half = out // 2
        given = channels if self.strides else half
        plan = [(given, half, 1), (half, half, 3), (half, half, 1)]
        if self.strides:
            plan = [(given, given, 3), (given, half, 1), *plan]
        for i, (inner, outer, kernel) in enumerate(plan, start=1):
            stride = 2 if self.strides and kernel == 3 else 1
            conv = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, groups=outer if kernel == 3 else 1, bias=False)
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", nn.BatchNorm2d(outer))

    def forward(self, x: Tensor) -> Tensor:
        def layer(i: int, x: Tensor, *, act: bool = True) -> Tensor:
            y: Tensor = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            return y.relu() if act else y

        first = 3 if self.strides else 1
        side, main = (x, x) if self.strides else x.chunk(2, 1)
        if self.strides:
            side = layer(2, layer(1, side, act=False))
        main = layer(first + 2, layer(first + 1, layer(first, main), act=False))
        return torch.stack((side, main), 2).flatten(1, 2)


class CifarShuffleNet(nn.Module):
    """ShuffleNetV2 0.5x under those names, with the paper's strides and pool."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(24)
        channels = 24
        for i, (out, units) in enumerate(((48, 4), (96, 8), (192, 4)), start=1):
            stage = [CifarUnit(channels, out), *(CifarUnit(out, out) for _ in range(units - 1))]
            setattr(self, f"layer{i}", nn.Sequential(*stage))
            channels = out
        self.conv2 = nn.Conv2d(192, 1024, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(1024)
        self.linear = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for i in (1, 2, 3):
            x = getattr(self, f"layer{i}")(x)
        y: Tensor = self.linear(self.bn2(self.conv2(x)).relu().mean((2, 3)))
        return y


def tame(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics that are random, and keep activations near unit size; in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        if name.endswith("running_var") or (tensor.dim() == 1 and name.endswith("weight")):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif tensor.dim() == 1:
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
        else:
            tensor.copy_(torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5)
    return module.eval()


def state_of(module: nn.Module) -> State:
    return OrderedDict(module.state_dict())


def renamed(state: State, name: Callable[[int, str], str]) -> State:
    """``state`` under other names, and without counters."""
    floats = [key for key, tensor in state.items() if tensor.is_floating_point()]
    return OrderedDict((name(i, key), state[key]) for i, key in enumerate(floats))


def letters(seed: int = 0) -> Callable[[int, str], str]:
    """Names that say nothing."""
    random = Random(seed)
    return lambda i, key: "".join(random.choice(string.ascii_lowercase) for _ in range(12))


def numbers(seed: int = 0) -> Callable[[int, str], str]:
    """Names whose numbers are shuffled."""
    shuffled = list(range(2000))
    Random(seed).shuffle(shuffled)
    return lambda i, key: f"tensor_{shuffled[i]}"


def swapped(state: State, one: str, other: str) -> State:
    """``state`` with the entries whose names begin with ``one`` in the places of those of ``other``."""
    places = {
        True: [key for key in state if key.startswith(one)],
        False: [key for key in state if key.startswith(other)],
    }
    turns = {True: iter(places[False]), False: iter(places[True])}
    order = [next(turns[key in places[True]]) if key in places[True] + places[False] else key for key in state]
    return OrderedDict((key, state[key]) for key in order)


# The Keras tutorials' networks, with logits in the place of probabilities.


def keras_shufflenet(size_hw: tuple[int, int], *, named: bool, side_first: bool, classes: int = 7) -> Any:
    """The tutorial's ShuffleNetV2 0.5x; ``side_first`` creates the side branch of a unit before its main one."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras import layers

    def label(name: str) -> str | None:
        return name if named else None

    def normed(x: Any, layer: Any, name: str, act: bool) -> Any:
        x = layers.BatchNormalization(name=label(f"{name}_bn"))(layer(x))
        return layers.ReLU()(x) if act else x

    def pointwise(x: Any, channels: int, name: str) -> Any:
        return normed(x, layers.Conv2D(channels, 1, name=label(name)), name, act=True)

    def depthwise(x: Any, strides: int, name: str) -> Any:
        layer = layers.DepthwiseConv2D(3, strides=strides, padding="same", name=label(name))
        return normed(x, layer, name, act=False)

    def unit(x: Any, channels: int, strides: int, name: str) -> Any:
        given = x if strides == 2 else x[..., channels:]
        other = x[..., :channels]

        def side() -> Any:
            return pointwise(depthwise(x, 2, f"{name}_3x3dwconv_2"), channels, f"{name}_1x1_conv_3")

        if strides == 2 and side_first:
            other = side()
        y = pointwise(given, channels, f"{name}_1x1conv_1")
        y = depthwise(y, strides, f"{name}_3x3dwconv")
        y = pointwise(y, channels, f"{name}_1x1conv_2")
        if strides == 2 and not side_first:
            other = side()
        y = layers.Concatenate()([y, other])
        height, width, total = y.shape[1:]
        y = layers.Reshape((height, width, 2, total // 2))(y)
        return layers.Reshape((height, width, total))(layers.Permute((1, 2, 4, 3))(y))

    image = x = layers.Input((*size_hw, 3))
    conv1 = layers.Conv2D(24, 3, strides=2, padding="same", use_bias=False, activation="relu", name=label("conv1"))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(conv1(x))
    for stage, channels, units in ((2, 48, 4), (3, 96, 8), (4, 192, 4)):
        for i in range(1, units + 1):
            x = unit(x, channels // 2, 2 if i == 1 else 1, f"stage{stage}_block{i}")
    x = layers.Conv2D(1024, 1, activation="relu", name=label("1x1conv5_out"))(x)
    x = layers.Dense(classes, name=label("fc"))(layers.GlobalAveragePooling2D()(x))
    return _filled(keras.Model(image, x))


def keras_mobilenet_v3(size_hw: tuple[int, int], classes: int = 7) -> Any:
    """The tutorial's MobileNetV3-Large."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras import layers

    from litevision.models.mobilenet_v3_tables import LARGE

    def swish(x: Any) -> Any:
        return layers.Multiply()([x, layers.Rescaling(1 / 6)(layers.ReLU(6.0)(layers.Rescaling(1, 3)(x)))])

    def activated(x: Any, act: str) -> Any:
        return x if act == "none" else swish(x) if act == "hardswish" else layers.ReLU(6.0)(x)

    def conv(x: Any, filters: int, kernel: int, strides: int, act: str) -> Any:
        x = layers.Conv2D(filters, kernel, strides=strides, padding="same")(x)
        return activated(layers.BatchNormalization()(x), act)

    def gated(x: Any, channels: int) -> Any:
        y = layers.Dense(channels // 4)(layers.GlobalAveragePooling2D()(x))
        y = swish(layers.Dense(channels)(layers.ReLU(6.0)(y)))
        return layers.Multiply()([x, layers.Reshape((1, 1, channels))(y)])

    image = layers.Input((*size_hw, 3))
    x = conv(image, 16, 3, 2, "hardswish")
    for row in LARGE:
        y = conv(x, row.exp_channels, 1, 1, row.act)
        y = layers.DepthwiseConv2D(row.kernel_size, strides=row.stride, padding="same")(y)
        y = activated(layers.BatchNormalization()(y), row.act)
        y = conv(gated(y, row.exp_channels) if row.se else y, row.out_channels, 1, 1, "none")
        x = layers.Add()([x, y]) if row.stride == 1 and x.shape[-1] == row.out_channels else y
    x = layers.GlobalAveragePooling2D(keepdims=True)(conv(x, 960, 1, 1, "hardswish"))
    x = layers.Conv2D(classes, 1)(swish(layers.Conv2D(1280, 1)(x)))
    return _filled(keras.Model(image, layers.Flatten()(x)))


def save_keras(model: Any, path: Path) -> Path:
    """Writes a Keras model to a file of the kind that its ending says."""
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return path


def _filled(model: Any) -> Any:
    """``model`` with weights as ``tame`` gives them."""
    generator = torch.Generator().manual_seed(0)
    for layer in model.layers:
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if variable.name in ("gamma", "moving_variance"):
                value = torch.rand(shape, generator=generator) + 0.5
            elif len(shape) == 1:
                value = 0.1 * torch.randn(shape, generator=generator)
            else:
                fan_in = (
                    shape[0] * shape[1] if len(shape) == 4 and shape[3] == 1 else variable.value.numel() / shape[-1]
                )
                value = torch.randn(shape, generator=generator) / fan_in**0.5
            variable.assign(value.numpy())
    return model
