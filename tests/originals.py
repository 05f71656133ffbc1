"""What the parity tests share: random networks of the originals, and the comparison with ours."""

import math

import torch
from torch import nn

SIZES = ((224, 224), (160, 160), (97, 97), (192, 256))
"""Height and width: the usual size, a smaller one, an odd one, and one that is not square."""

TOLERANCE_F64 = 1e-9  # summation order alone differs
TOLERANCE_F32 = 1e-4


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights that keep activations near unit size, and random BN statistics, in float64 and eval mode."""
    generator = torch.Generator().manual_seed(seed)
    module.double().eval()
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if not tensor.is_floating_point():
            continue
        if name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1):
            values = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.5
        elif tensor.dim() == 1:
            values = 0.3 * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        else:
            fan_in = math.prod(tensor.shape[1:])
            values = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) * math.sqrt(2.0 / fan_in)
        tensor.data.copy_(values)
    return module


def assert_same_logits(
    ours: nn.Module, theirs: nn.Module, size_hw: tuple[int, int], tolerance: float = TOLERANCE_F64
) -> None:
    """Both give the same logits on one random image, and logits worth comparing."""
    parameter = next(ours.parameters())
    x = torch.randn(1, 3, *size_hw, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = x.to(parameter.dtype)
    with torch.inference_mode():
        got, expected = ours(x), theirs(x)
    assert expected.std() > 1e-3, "the original's logits are too flat to tell networks apart"
    assert got.shape == expected.shape
    assert (got - expected).abs().max().item() <= tolerance
