"""Quantization-aware training: layers see their weights and inputs in 8 bits, as `litevision quantize` will round them.

Gradients pass the rounding as if it were not there (Bengio et al. 2013, arXiv:1308.3432). Scales are never learned or
kept: those of weights follow from the weights, and those of inputs from the batch, as calibration finds them, so that a
training has no state but its weights, and what it leaves is an ordinary float network.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_STEPS, _MOST = 255, 127
_LEAST_SCALE = 1e-12


def make_quantization_aware(network: nn.Module) -> None:
    """Makes every convolution and linear layer round what it computes with; its tensors and their names stay."""
    for module in network.modules():
        for kind, rounding in _ROUNDING.items():
            if isinstance(module, kind):
                # A layer may be of a subclass, which pads in its own way.
                module.__class__ = type(f"Rounding{type(module).__name__}", (rounding, type(module)), {})
                break


class _RoundingConv2d:
    """Rounds behind the padding that a subclass may do, before the convolution itself."""

    def _conv_forward(self, input_: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve: Any = super()._conv_forward  # type: ignore[misc]
        result: Tensor = convolve(rounded(input_), rounded_weights(weight), bias)
        return result


class _RoundingLinear:
    weight: Tensor
    bias: Tensor | None

    def forward(self, input_: Tensor) -> Tensor:
        return F.linear(rounded(input_), rounded_weights(self.weight), self.bias)


class _RoundingConvTranspose2d:
    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, int]
    padding: tuple[int, int]
    output_padding: tuple[int, int]
    groups: int
    dilation: tuple[int, int]

    def forward(self, input_: Tensor) -> Tensor:
        return F.conv_transpose2d(
            rounded(input_),
            rounded_weights(self.weight, axis=1),
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )


_ROUNDING: dict[type[nn.Module], type] = {
    nn.Conv2d: _RoundingConv2d,
    nn.ConvTranspose2d: _RoundingConvTranspose2d,
    nn.Linear: _RoundingLinear,
}


def rounded(x: Tensor) -> Tensor:
    """Rounds ``x[N, ...]`` to 256 steps between the means, over the batch, of each image's least and highest number."""
    with torch.no_grad():
        least, most = x.detach().float().flatten(1).aminmax(dim=1)
        low, high = least.mean().clamp(max=0), most.mean().clamp(min=0)
        scale = ((high - low) / _STEPS).clamp(min=_LEAST_SCALE)
        zero = (-low / scale).round().to(torch.int32)
    result = torch.fake_quantize_per_tensor_affine(x.float(), scale, zero, 0, _STEPS)
    return result.to(x.dtype)


def rounded_weights(weight: Tensor, axis: int = 0) -> Tensor:
    """Rounds weights to 255 steps, symmetric about 0, with a scale for each output channel."""
    with torch.no_grad():
        others = [each for each in range(weight.ndim) if each != axis]
        scale = (weight.detach().float().abs().amax(others) / _MOST).clamp(min=_LEAST_SCALE)
        zero = torch.zeros_like(scale, dtype=torch.int32)
    result = torch.fake_quantize_per_channel_affine(weight.float(), scale, zero, axis, -_MOST, _MOST)
    return result.to(weight.dtype)
