"""Statistics of batch normalisation for networks that have lost them."""

import torch
from torch import Tensor, nn


def restore_statistics(network: nn.Module, batch_f32_nchw: Tensor) -> None:
    """Gives each ``BatchNorm2d`` the statistics of its input for ``batch_f32_nchw``; what the network computes stays.

    Weights out of an exported graph have batch normalisation folded into the convolutions, and its layers pass their
    input on. In evaluation mode that is exact. In training mode such a layer would normalise what was never meant to
    be: with measured statistics, and scale and shift to undo them, training starts where the weights ended.

    Args:
        network: changed in place; in evaluation mode it computes the same as before, up to rounding.
        batch_f32_nchw: normalised images, [N, C, H, W].
    """
    was_training = [(module, module.training) for module in network.modules()]
    hooks = [
        module.register_forward_pre_hook(_restore) for module in network.modules() if isinstance(module, nn.BatchNorm2d)
    ]
    try:
        with torch.no_grad():
            network.eval()(batch_f32_nchw)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in was_training:
            module.training = mode


def _restore(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Replaces mean and variance, and sets scale and shift so that the layer computes the same."""
    assert isinstance(module, nn.BatchNorm2d)
    mean, variance = module.running_mean, module.running_var
    assert mean is not None
    assert variance is not None
    scale = module.weight.double() / (variance.double() + module.eps).sqrt()
    shift = module.bias.double() - mean.double() * scale
    new_variance, new_mean = torch.var_mean(inputs[0].double(), dim=(0, 2, 3), correction=0)
    mean.copy_(new_mean)
    variance.copy_(new_variance)
    module.weight.copy_(scale * (new_variance + module.eps).sqrt())
    module.bias.copy_(shift + new_mean * scale)
