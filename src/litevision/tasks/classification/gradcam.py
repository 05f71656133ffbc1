"""Grad-CAM: which places of an image speak for a class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litevision.errors import InputShapeError, UsageError
from litevision.models.network import Network


def grad_cam(network: Network, batch_f32_nchw: Tensor, classes: Tensor | None = None) -> Tensor:
    """How much each place speaks for a class, [N, H, W] in [0, 1].

    An image's largest value is 1, or 0 where no place speaks for the class.

    The network is run in eval mode; its modes and gradients are left as they were found.

    Args:
        network: a classifier.
        batch_f32_nchw: normalised images.
        classes: the class of each image, int64 [N]; by default what the network answers.

    Raises:
        UsageError: a network without a classifier, or a class that it has not.
        InputShapeError: not one class for each image.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2, on the last map of the backbone.
    """
    num_classes = network.config.num_classes
    if isinstance(network.head, nn.Identity) or num_classes == 0:
        raise UsageError("Grad-CAM needs a classifier: build the network with num_classes and without final_endpoint")
    training = {part: part.training for part in network.modules()}
    # Parts are set one by one afterwards: some may be frozen in eval mode while the others train.
    network.eval()
    try:
        with torch.inference_mode(False):
            with torch.no_grad():
                features = network.forward_features(batch_f32_nchw)
            with torch.enable_grad():
                features = features.detach().requires_grad_()
                logits = network.head(features).flatten(1)
                chosen = logits.argmax(1) if classes is None else _checked(classes, logits)
                # Images do not mix in eval mode, so the gradient of the sum holds that of each.
                (gradient,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), features)
    finally:
        for part, mode in training.items():
            part.training = mode
    with torch.no_grad():
        weights = gradient.float().mean((2, 3), keepdim=True)
        heat = (weights * features.float()).sum(1, keepdim=True).relu()
        heat = F.interpolate(heat, batch_f32_nchw.shape[2:], mode="bilinear", align_corners=False)[:, 0]
        largest = heat.amax((1, 2), keepdim=True)
        return torch.where(largest > 0, heat / largest.clamp_min(torch.finfo(heat.dtype).tiny), 0.0)


def _checked(classes: Tensor, logits: Tensor) -> Tensor:
    count, num_classes = logits.shape
    if classes.shape != (count,):
        raise InputShapeError(f"classes must have shape [{count}], one for each image, got {list(classes.shape)}")
    if ((classes < 0) | (classes >= num_classes)).any():
        raise UsageError(f"classes must lie in 0..{num_classes - 1}, got {classes.tolist()}")
    return classes.to(logits.device)
