"""What the weights of a network begin with: each library's own way of drawing them."""

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import init

from litevision.models.dialect import Initialisation

_SLIM_STD = 0.09


def initialise(module: nn.Module, kind: Initialisation = "kaiming", *, pointwise: Collection[nn.Module] = ()) -> None:
    """Fills ``module`` for training from scratch; ``Dialect.initialisation`` says what each kind is.

    On the meta device there is nothing to fill, and torch's own random functions would first import its compiler.

    Args:
        pointwise: the linear layers that are 1x1 convolutions in timm, where ``fan_out`` comes from.
    """
    if kind == "torch" or any(parameter.is_meta for parameter in module.parameters()):
        return  # torch fills each layer when it makes it
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            _fill(part.weight, kind, part.groups, is_conv=True)
        elif isinstance(part, nn.Linear):
            _fill(part.weight, kind, 1, is_conv=kind == "fan_out" and part in pointwise)
        elif isinstance(part, nn.BatchNorm2d):
            init.ones_(part.weight)
        else:
            continue
        bias: Any = part.bias
        if isinstance(bias, Tensor):
            with torch.no_grad():
                bias.zero_()


def _fill(weight: Tensor, kind: Initialisation, groups: int, *, is_conv: bool) -> None:
    """Fills [out, in / groups, k, k], or [out, in].

    Sources: torchvision ``mobilenetv2.py``; timm ``_init_weight_goog``; Keras ``VarianceScaling``, which takes a
    depthwise kernel as [k, k, C, 1], C inputs and 1 output; slim ``mobilenet_v1_arg_scope``.
    """
    out, cells = weight.shape[0], weight[0, 0].numel()
    if kind == "truncated":
        init.trunc_normal_(weight, std=_SLIM_STD, a=-2 * _SLIM_STD, b=2 * _SLIM_STD)
    elif kind == "glorot":
        limit = math.sqrt(6 / (cells * (weight.shape[1] * groups + out / groups)))
        init.uniform_(weight, -limit, limit)
    elif kind == "fan_out" and not is_conv:
        init.uniform_(weight, -1 / math.sqrt(out), 1 / math.sqrt(out))
    elif is_conv:
        init.normal_(weight, std=math.sqrt(2 / (cells * (out / groups if kind == "fan_out" else out))))
    else:
        init.normal_(weight, std=0.01)
