"""Parameter groups, the learning rate of each step, and freezing."""

import math
from typing import Any

import torch
from torch import nn

from litevision.training.recipe import Optimizer, Schedule


def backbone_of(network: nn.Module) -> nn.Sequential:
    """The parts that learn slower and are frozen at first; all the rest is the head.

    They are the ``features`` of the network itself, or of the ``backbone`` that it is built on.
    """
    backbone: Any = getattr(network, "backbone", network)
    features: nn.Sequential = backbone.features
    return features


def make_optimizer(network: nn.Module, options: Optimizer) -> torch.optim.Optimizer:
    """The optimizer over all parameters; each group has its ``peak_lr`` and whether it is the head's (``is_head``)."""
    groups = parameter_groups(network, options)
    if options.name == "sgd":
        return torch.optim.SGD(groups, momentum=options.momentum, nesterov=options.momentum > 0)
    return torch.optim.AdamW(groups, betas=(options.momentum, 0.999))


def parameter_groups(network: nn.Module, options: Optimizer) -> list[dict[str, Any]]:
    """A group for each part of the network and kind of parameter: kernels, and those without weight decay.

    The head learns at ``lr``, the backbone's last part at ``lr * backbone_lr_mult``, and each part before at
    ``layer_decay`` of the one after it (Clark et al. 2020, "ELECTRA", section 3.1).
    """
    groups = []
    backbone = backbone_of(network)
    depth = len(backbone)
    of_backbone = {id(parameter) for parameter in backbone.parameters()}
    head = [parameter for parameter in network.parameters() if id(parameter) not in of_backbone]
    parts = [(head, options.lr, True)]
    for index, part in enumerate(backbone):
        lr = options.lr * options.backbone_lr_mult * options.layer_decay ** (depth - 1 - index)
        parts.append((list(part.parameters()), lr, False))
    for of_part, lr, is_head in parts:
        kernels = [parameter for parameter in of_part if parameter.ndim > 1]
        others = [parameter for parameter in of_part if parameter.ndim <= 1]
        for parameters, decay in ((kernels, options.weight_decay), (others, 0.0)):
            if parameters:
                groups.append(
                    {"params": parameters, "lr": lr, "peak_lr": lr, "weight_decay": decay, "is_head": is_head}
                )
    return groups


def set_learning_rates(
    optimizer: torch.optim.Optimizer, schedule: Schedule, epochs_done: float, step: float = 0.0
) -> float:
    """Sets every group's learning rate for a step that begins after ``epochs_done`` epochs; gives the head's.

    ``step`` is the part of an epoch that a step is. The rates depend on nothing but the arguments, so a resumed run
    needs no state for them.
    """
    head_lr = 0.0
    for group in optimizer.param_groups:
        start = 0.0 if group["is_head"] else float(schedule.freeze_backbone_epochs)
        group["lr"] = group["peak_lr"] * rate_factor(schedule, epochs_done, start, step)
        if group["is_head"]:
            head_lr = group["lr"]
    return head_lr


def rate_factor(schedule: Schedule, epochs_done: float, start: float, step: float = 0.0) -> float:
    """The learning rate's part of its peak: 0 before ``start``, a linear warm-up, then half a cosine.

    The first step of the warm-up, which would learn nothing, has half of the second one's rate: an epoch can be a
    single step.

    Source: Loshchilov and Hutter 2017, "SGDR", equation 5, without restarts.
    """
    if epochs_done < start:
        return 0.0
    warmup = min(schedule.warmup_epochs, (schedule.epochs - start) / 2)
    cosine = schedule.final_lr + (1 - schedule.final_lr) * 0.5 * (
        1 + math.cos(math.pi * min(1.0, epochs_done / schedule.epochs))
    )
    rising = max(epochs_done - start, step / 2) / warmup if warmup else 1.0
    return min(1.0, rising) * cosine


def set_mode(network: nn.Module, *, head_alone: bool, freeze_bn: bool) -> None:
    """Training mode, with what is frozen frozen: the whole backbone, or the statistics of batch normalisation."""
    network.train()
    backbone = backbone_of(network)
    backbone.requires_grad_(not head_alone)
    if head_alone:
        backbone.eval()
    elif freeze_bn:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
