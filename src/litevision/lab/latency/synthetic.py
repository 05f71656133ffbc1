"""Synthetic networks to calibrate with: mobile ones in every way, and none that anybody published."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, log
from random import Random

import numpy as np
from onnx import ModelProto, TensorProto, helper

from litevision.lab.onnx_builder import INPUT, OnnxGraphBuilder

_SIZES_PX = (96, 128, 160, 192, 224, 256, 320)
_MULTIPLES = (8, 8, 16)
_LEAST, _MOST = 0.25, 1.75  # times a family's widths, at 224 px
_PADS_FIRST = 0.35

Block = Callable[["_Network", str, int, int], str]


@dataclass(frozen=True, slots=True)
class _Family:
    """Networks of one block: the usual widths of its stages, their strides, and the most blocks of a stage."""

    block: Block
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    most_blocks: int = 3
    multiples: tuple[int, ...] = _MULTIPLES
    starts_with_pool: bool = False


def synthetic_networks(count: int, seed: int = 0) -> Iterator[ModelProto]:
    """Generate ``count`` classifiers from uint8 pixels to probabilities, of random sizes, widths and depths."""
    for number in range(count):
        yield _Network(Random(f"{seed} {number}")).grow(_FAMILIES[number % len(_FAMILIES)])


class _Network:
    """One of them, as it grows; each method adds to it and gives the name of what that writes."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.side = random.choice(_SIZES_PX)  # of the map that the next block writes
        self.pads_first = random.random() < _PADS_FIRST
        self.graph = OnnxGraphBuilder((1, self.side, self.side, 3), element_type=TensorProto.UINT8)

    def grow(self, family: _Family) -> ModelProto:
        """Build the whole graph, block after block."""
        random, graph = self.random, self.graph
        times = exp(random.uniform(log(_LEAST), log(_MOST * min(1.0, 224 / self.side))))
        x = self.activated(self.strided(self.pixels(), self.rounded(random.choice((16, 24, 32)) * min(times, 1), 8), 2))
        self.side //= 2
        if family.starts_with_pool:
            x = self.pooled(x)
            self.side //= 2
        for width, stride in zip(family.widths, family.strides, strict=True):
            out = self.rounded(width * times * random.uniform(0.8, 1.25), random.choice(family.multiples))
            for step in range(random.randint(1, family.most_blocks)):
                self.side //= stride if step == 0 else 1
                x = family.block(self, x, out, stride if step == 0 else 1)
        if random.random() < 0.7:
            x = self.activated(graph.conv(x, self.rounded(1024 * min(times, 1.25), 16)))
        return graph.model(self.answer(x, random.choice((10, 100, 1000))), rank=2)

    def rounded(self, width: float, multiple: int) -> int:
        """Channels."""
        return max(multiple, round(width / multiple) * multiple)

    def pixels(self) -> str:
        """From what a decoder gives to what a network takes, as bundles do it."""
        graph = self.graph
        x = graph.add(helper.make_node("Transpose", [INPUT], [], perm=(0, 3, 1, 2)), 3)
        x = graph.add(helper.make_node("Cast", [x], [], to=TensorProto.FLOAT), 3)
        for op_type in ("Mul", "Add"):
            x = graph.add(helper.make_node(op_type, [x, graph.constant(np.full((3, 1, 1), 0.01))], []), 3)
        return x

    def activated(self, x: str, op_type: str | None = None) -> str:
        """ReLU, or ReLU6, or another."""
        op_type = op_type or self.random.choice(("Relu", "Clip"))
        if op_type != "Clip":
            return self.graph.apply(op_type, x)
        limits = [self.graph.constant(np.array(limit)) for limit in (0.0, 6.0)]
        return self.graph.add(helper.make_node("Clip", [x, *limits], []), self.graph.channels(x))

    def depthwise(self, x: str, stride: int, kernel: int = 3) -> str:
        """A convolution of every channel by itself."""
        width = self.graph.channels(x)
        return self.strided(x, width, stride, kernel, groups=width)

    def strided(self, x: str, out: int, stride: int, kernel: int = 3, groups: int = 1) -> str:
        """A convolution; in some networks the map is padded before it, as TensorFlow does where it halves one."""
        pads_first = self.pads_first and stride == 2
        if pads_first:
            before, after = kernel // 2 - 1, kernel // 2
            pads = self.graph.integers((0, 0, before, before, 0, 0, after, after))
            x = self.graph.add(helper.make_node("Pad", [x, pads], []), self.graph.channels(x))
        return self.graph.conv(
            x, out, kernel=(kernel, kernel), groups=groups, strides=(stride, stride), padded=not pads_first
        )

    def pooled(self, x: str) -> str:
        """The largest of 3 x 3, for every second place."""
        node = helper.make_node("MaxPool", [x], [], kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1))
        return self.graph.add(node, self.graph.channels(x))

    def squeezed(self, x: str) -> str:
        """Squeeze and excitation to a quarter of the channels."""
        width = self.graph.channels(x)
        gate = self.mean(x, keepdims=1)
        gate = self.activated(self.graph.conv(gate, self.rounded(width / 4, 8)), "Relu")
        return self.graph.apply("Mul", x, self.activated(self.graph.conv(gate, width), "HardSigmoid"))

    def mean(self, x: str, keepdims: int) -> str:
        """Of each channel."""
        axes = self.graph.integers((2, 3))
        return self.graph.add(helper.make_node("ReduceMean", [x, axes], [], keepdims=keepdims), self.graph.channels(x))

    def answer(self, x: str, classes: int) -> str:
        """Probabilities."""
        graph = self.graph
        weight = graph.random((graph.channels(x), classes))
        bias = graph.constant(np.zeros(classes))
        x = graph.add(helper.make_node("Gemm", [self.mean(x, keepdims=0), weight, bias], []), classes)
        return graph.apply("Softmax", x)


def _separable(net: _Network, x: str, out: int, stride: int) -> str:
    """MobileNetV1's block."""
    x = net.activated(net.depthwise(x, stride))
    return net.activated(net.graph.conv(x, out))


def _inverted(net: _Network, x: str, out: int, stride: int, *, kernel: int = 3, act: str | None = None) -> str:
    """MobileNetV2's block; with a larger kernel and other activations MobileNetV3's, at times with squeezing."""
    width, graph = net.graph.channels(x), net.graph
    inner = net.rounded(width * net.random.uniform(2, 6), 8)
    y = net.activated(graph.conv(x, inner), act)
    y = net.activated(net.depthwise(y, stride, kernel), act)
    if act and net.random.random() < 0.6:
        y = net.squeezed(y)
    y = graph.conv(y, out)
    return graph.apply("Add", x, y) if stride == 1 and width == out else y


def _third(net: _Network, x: str, out: int, stride: int) -> str:
    """MobileNetV3's block."""
    return _inverted(
        net, x, out, stride, kernel=net.random.choice((3, 5)), act=net.random.choice(("Relu", "HardSwish"))
    )


def _shuffled(net: _Network, x: str, out: int, stride: int) -> str:
    """ShuffleNetV2's unit; ``out`` is even."""
    graph, half = net.graph, out // 2
    if stride == 1 and graph.channels(x) == out:
        side, x = graph.halves(x)
    else:
        side = net.activated(graph.conv(net.depthwise(x, stride), half), "Relu")
    x = net.depthwise(net.activated(graph.conv(x, half), "Relu"), stride)
    x = net.activated(graph.conv(x, half), "Relu")
    axis = graph.integers((2,))
    pair = [graph.add(helper.make_node("Unsqueeze", [each, axis], []), half) for each in (side, x)]
    both = graph.add(helper.make_node("Concat", pair, [], axis=2), half)
    flat = graph.integers((0, out, net.side, net.side))
    return graph.add(helper.make_node("Reshape", [both, flat], []), out)


def _residual(net: _Network, x: str, out: int, stride: int) -> str:
    """Two 3 x 3 convolutions and a shortcut, as in ResNet and DLA."""
    graph = net.graph
    y = net.activated(graph.conv(x, out, kernel=(3, 3), strides=(stride, stride)), "Relu")
    y = graph.conv(y, out, kernel=(3, 3))
    if stride != 1 or graph.channels(x) != out:
        x = graph.conv(x, out, strides=(stride, stride))
    return net.activated(graph.apply("Add", y, x), "Relu")


_V1 = _Family(_separable, (64, 128, 256, 512, 1024), (1, 2, 2, 2, 2))
_V2 = _Family(_inverted, (16, 24, 32, 64, 96, 160, 320), (1, 2, 2, 2, 1, 2, 1))
_V3 = _Family(_third, (16, 24, 40, 80, 112, 160), (1, 2, 2, 2, 1, 2))
# The widths are those of both halves together.
_SHUFFLE = _Family(_shuffled, (116, 232, 464), (2, 2, 2), 6, multiples=(4, 8, 16, 32), starts_with_pool=True)
_RESNET = _Family(_residual, (32, 64, 128, 256, 512), (1, 2, 2, 2, 2), 2)
_FAMILIES = (_V1, _V2, _V3, _SHUFFLE, _V2, _V3, _SHUFFLE, _RESNET, _SHUFFLE)
