"""Folds batch normalisation into the convolution before it."""

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from litevision.models.blocks import ConvNormAct

M = TypeVar("M", bound=nn.Module)


def fold_batch_norm(module: M) -> M:
    """A copy of ``module``, in eval mode, that computes the same without batch normalisation.

    Folded in float64, so that the weights are rounded once.
    """
    folded = copy.deepcopy(module).eval()  # the fusion takes no other mode
    for part in folded.modules():
        if isinstance(part, ConvNormAct) and isinstance(part.norm, nn.BatchNorm2d):
            dtype = part.conv.weight.dtype
            part.conv = fuse_conv_bn_eval(part.conv.double(), part.norm.double()).to(dtype)
            part.norm = nn.Identity()
    return folded.eval()
