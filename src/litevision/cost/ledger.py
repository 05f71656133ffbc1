"""What every layer of a network costs, counted on the built module without memory or arithmetic.

The module's twin on torch's meta device runs once, and every operation that torch dispatches becomes one row. So the
ledger holds for any module and any input size, and nothing about a network is typed a second time.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from torch import Tensor, nn

from litevision.cost.rows import CONVOLUTIONS, CostLedger, CostRow, Shape, short_path
from litevision.cost.trace import FLOAT32_BYTES, IN_PLACE, Operation, peak_bytes, trace
from litevision.errors import UsageError, reason_of
from litevision.models.config import RGB, NetworkConfig
from litevision.models.kinds import AnyNetwork
from litevision.models.network import FeaturePyramid, Network
from litevision.runtime.schema import to_dict
from litevision.tables import Table

CLASS_COUNTS = (10, 100, 1000)

# torch's names, where ours differ. Source: aten/src/ATen/native/native_functions.yaml.
KINDS = {
    "addmm": "linear",
    "mm": "linear",
    "native_batch_norm": "batch_norm",
    "max_pool2d_with_indices": "max_pool",
    "max_pool2d": "max_pool",
    "avg_pool2d": "avg_pool",
    "constant_pad_nd": "pad",
    "cat": "concat",
    "channel_shuffle": "shuffle",
    "stack": "shuffle",  # of two maps, channel beside channel: concatenation and shuffle in one
}


@dataclass(frozen=True, kw_only=True)
class LayerCost(CostRow):
    """Cost of one operation of a module, for one image (batch 1, fp32).

    Attributes:
        name: the module's path without ``features.``, ``head.`` and a last ``.conv``; an operation that is no module
            of its own is named after its kind (``block_2.add``).
        inputs: the rows whose outputs it reads; ``input`` is the image.
        in_shape: without the batch axis: (C, H, W), or (features,). The first input's where there are more.
        activation_bytes: what the row writes; 0 for BN and activations, which run in place.
    """

    macs: int
    inputs: tuple[str, ...]
    in_shape: Shape
    out_shape: Shape
    activation_bytes: int

    @property
    def weights(self) -> int:
        """Weights of a convolution or linear layer without its bias; 0 for every other kind."""
        if self.kind == "linear":
            return self.in_shape[-1] * self.out_shape[-1]
        if self.kind not in CONVOLUTIONS or self.kernel is None:
            return 0
        return self.in_shape[0] * self.out_shape[0] // self.groups * self.kernel[0] * self.kernel[1]


@dataclass(frozen=True)
class Saving:
    """What a classifier of another size would save; negative where it would cost more."""

    num_classes: int
    params: int
    bytes: int


@dataclass(frozen=True)
class Ledger(CostLedger[LayerCost]):
    """The rows of a network in the order in which they run, and their totals.

    Attributes:
        config: what the network was built from; None for a module that is none of ours.
        size_hw: of the input image.
        num_params: learned numbers, the sum over the rows.
        num_buffers: BN's running means and variances; its batch counter is left out.
        peak_activation_bytes: the most bytes of maps alive at once, input included, at batch 1 in fp32. A map lives
            until its last use; BN and activations run in place.
    """

    config: NetworkConfig | None
    size_hw: tuple[int, int]
    num_params: int
    num_buffers: int
    peak_activation_bytes: int

    @cached_property
    def activation_bytes(self) -> int:
        """Bytes of all maps that the rows write."""
        return sum(layer.activation_bytes for layer in self.rows)

    @property
    def param_bytes(self) -> int:
        """Bytes of the learned numbers in fp32."""
        return self.num_params * FLOAT32_BYTES

    @cached_property
    def classifier(self) -> LayerCost | None:
        """The last linear layer's row, where the network has classes."""
        return next((layer for layer in self.rows if layer.name == "classifier"), None)

    @property
    def classifier_params(self) -> int:
        """Weights and biases of the classifier; 0 without one."""
        return self.classifier.params if self.classifier else 0

    @property
    def classifier_share(self) -> float:
        """The classifier's part, 0 to 1, of the weights of all convolutions and linear layers, biases and BN aside."""
        return self.classifier.weights / sum(layer.weights for layer in self.rows) if self.classifier else 0.0

    @property
    def savings(self) -> list[Saving]:
        """What 10, 100 and 1000 classes would save in place of the classifier's own number."""
        own = self.classifier.out_shape[-1] if self.classifier else None
        return [self.saving(count) for count in CLASS_COUNTS if own not in (None, count)]

    def sections(self, *, every: bool = False) -> Iterator[str | Table]:
        """Yield the title, the table and the totals as text; ``every`` operation as a row, or every fused layer."""
        from litevision.cost.info import ledger_sections

        return ledger_sections(self, every=every)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration, the totals and all rows as JSON values."""
        config = self.config
        return {
            "model": config and config.architecture,
            "dialect": config and config.dialect,
            "width_mult": config and config.width_mult,
            "num_classes": config and config.num_classes,
            "output_stride": config and config.output_stride,
            "size_hw": list(self.size_hw),
            "num_params": self.num_params,
            "num_buffers": self.num_buffers,
            "macs": self.macs,
            "activation_bytes": self.activation_bytes,
            "peak_activation_bytes": self.peak_activation_bytes,
            "classifier": {
                "params": self.classifier_params,
                "share": self.classifier_share,
                "savings": to_dict(self.savings),
            },
            "layers": to_dict(self.rows),
        }

    def saving(self, num_classes: int) -> Saving:
        """Return what ``num_classes`` in place of the classifier's own number would save."""
        if self.classifier is None:
            return Saving(num_classes, 0, 0)
        params = self.classifier.params - self.classifier.params // self.classifier.out_shape[-1] * num_classes
        return Saving(num_classes, params, params * FLOAT32_BYTES)


def ledger(network: nn.Module, size_hw: tuple[int, int] = (224, 224), *, in_channels: int | None = None) -> Ledger:
    """Count the costs of ``network`` for one image of ``size_hw``; the module itself is neither run nor changed.

    Args:
        in_channels: by default the network's own, or 3 for a module that is none of ours.

    Raises:
        UsageError: a size that the network cannot take.
    """
    if min(size_hw) < 1:
        raise UsageError(f"size_hw must hold two sides of 1 pixel or more, got {size_hw[0]}x{size_hw[1]}")
    config = network.config if isinstance(network, Network | FeaturePyramid) else None
    if in_channels is None:
        in_channels = network.config.in_channels if isinstance(network, AnyNetwork | FeaturePyramid) else RGB
    try:
        operations = trace(network, (1, in_channels, *size_hw))
    except RuntimeError as error:
        reason = reason_of(error)
        raise UsageError(f"the network cannot take an image of {size_hw[0]}x{size_hw[1]} pixels: {reason}") from error
    layers: list[LayerCost] = []
    used = Counter[str]()
    for operation in operations:
        inputs = tuple(layers[i].name if i >= 0 else "input" for i in operation.sources)
        layers.append(_row(operation, inputs, used))
    return Ledger(
        rows=tuple(layers),
        config=config,
        size_hw=size_hw,
        num_params=sum(parameter.numel() for parameter in network.parameters()),
        num_buffers=sum(buffer.numel() for buffer in network.buffers() if buffer.is_floating_point()),
        peak_activation_bytes=peak_bytes(operations),
    )


def _row(operation: Operation, inputs: tuple[str, ...], used: Counter[str]) -> LayerCost:
    """The row of ``operation``, which reads the rows ``inputs``; ``used`` counts the names so far."""
    kind = _kind(operation)
    kernel, stride, dilation, groups = _geometry(operation, kind)
    in_shape, out_shape = _shape(operation.inputs[0]), _shape(operation.output)
    macs = 0
    if kind == "linear":
        macs = operation.output.numel() * in_shape[-1]
    elif kind == "conv_transpose" and kernel:
        macs = prod(in_shape) * out_shape[0] // groups * prod(kernel)
    elif kind in CONVOLUTIONS and kernel:
        macs = prod(out_shape) * in_shape[0] // groups * prod(kernel)
    return LayerCost(
        name=_name(operation, kind, used),
        kind=kind,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        groups=groups,
        inputs=inputs,
        in_shape=in_shape,
        out_shape=out_shape,
        params=operation.params,
        buffers=operation.buffers,
        macs=macs,
        activation_bytes=0 if operation.name in IN_PLACE else operation.output.numel() * FLOAT32_BYTES,
    )


def _shape(activation: Tensor) -> tuple[int, ...]:
    """Without the batch axis; channels viewed as groups of channels, [N, G, C, H, W], count as one axis."""
    shape = activation.shape[1:]
    return tuple(shape) if len(shape) != 4 else (shape[0] * shape[1], *shape[2:])


def _kind(operation: Operation) -> str:
    if operation.name == "convolution":
        return _convolution_kind(*operation.args[:2], transposed=operation.args[6], groups=operation.args[8])
    if operation.name == "hardtanh":
        return "relu6" if tuple(operation.args[1:]) == (0.0, 6.0) else "hardtanh"
    if operation.name == "mean":
        x, axes = operation.inputs[0], operation.args[1] if len(operation.args) > 1 else ()
        return "avg_pool" if x.dim() == 4 and {axis % 4 for axis in axes} == {2, 3} else "mean"
    if operation.name == "clone":
        # A copy of a map whose channels were viewed as groups and transposed.
        return "shuffle" if operation.inputs[0].dim() == 5 else "copy"
    return KINDS.get(operation.name, operation.name)


def _convolution_kind(x: Tensor, weight: Tensor, *, transposed: bool, groups: int) -> str:
    if transposed:
        return "conv_transpose"
    if groups == x.shape[1] > 1:
        return "depthwise_conv"
    return "pointwise_conv" if tuple(weight.shape[2:]) == (1, 1) and groups == 1 else "conv"


Pair = tuple[int, int]


def _geometry(operation: Operation, kind: str) -> tuple[Pair | None, Pair | None, Pair | None, int]:
    """Kernel, stride, dilation and groups."""
    args: tuple[Any, ...] = operation.args
    if kind in CONVOLUTIONS:
        return _pair(args[1].shape[2:]), _pair(args[3]), _pair(args[5]), args[8]
    if operation.name == "mean" and kind == "avg_pool":
        sides = _pair(operation.inputs[0].shape[2:])
        return sides, sides, None, 1
    if kind in {"max_pool", "avg_pool"} and len(args) > 1:
        kernel = _pair(args[1])
        stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
        return kernel, stride, None, 1
    return None, None, None, 1


def _pair(sides: Any) -> Pair:
    return int(sides[0]), int(sides[-1])


def _name(operation: Operation, kind: str, used: Counter[str]) -> str:
    path = operation.path if operation.is_whole_module else f"{operation.path}.{kind}"
    name = short_path(path)
    used[name] += 1
    return name if used[name] == 1 else f"{name}_{used[name]}"
