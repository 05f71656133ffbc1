"""How long a training will take: from a few timed steps, and what each epoch costs against them."""

import copy
import time
from typing import Any

from lightning_fabric import Fabric
from torch import nn

from litevision.errors import ImageError
from litevision.training.batches import EpochOrder, Images
from litevision.training.checkpoint import Progress
from litevision.training.optimise import set_mode
from litevision.training.recipe import Recipe

TIMED_STEPS = 2
_TIMED_IMAGES = 8  # in each
_FORWARD = 1 / 3  # of a step; the way back through a layer is two more of its size
_WITH_NECK = 2 / 3  # where neck and heads, which cost about as much as a backbone, learn on a frozen one


def epoch_cost(recipe: Recipe, epoch: int) -> float:
    """What an epoch, counted from 0, costs against one of full-size images in which all parts learn."""
    (height, width), (full_height, full_width) = recipe.train_size_in(epoch), recipe.train_size_hw
    area = height * width / (full_height * full_width)
    frozen = _FORWARD if recipe.keeps_features else _WITH_NECK
    return area * (frozen if epoch < recipe.schedule.freeze_backbone_epochs else 1.0)


def image_seconds(
    network: nn.Module, objective: Any, images: Images, order: EpochOrder, recipe: Recipe, fabric: Fabric
) -> float | None:
    """The seconds that a full-size image takes in a step, measured on a copy of ``network``.

    Making the image is part of it, decoding it for the first time is not. None where an image cannot be read.
    """
    keys = order.batches(0)[0][:_TIMED_IMAGES]
    probe = copy.deepcopy(network)
    set_mode(probe, head_alone=False, freeze_bn=recipe.optimizer.freeze_bn or len(keys) == 1)
    start = 0.0
    for step in range(1 + TIMED_STEPS):
        if step == 1:  # the first one decodes the images and warms up
            start = time.perf_counter()
        items = [images[key] for key in keys]
        if any(isinstance(item, ImageError) for item in items):
            return None
        pixels, truth = images.collate(items)
        with fabric.autocast():
            loss = objective.loss(probe, (pixels.to(fabric.device), truth.to(fabric.device)))
        loss.backward()
        float(loss.detach())  # waits for the device
    return (time.perf_counter() - start) / (TIMED_STEPS * len(keys))


def remaining_seconds(
    per_image: float, recipe: Recipe, order: EpochOrder, validation_images: int, progress: Progress
) -> float:
    """The seconds that the epochs after ``progress`` take, validation included, each device as fast as this one."""
    left = range(progress.epoch, recipe.schedule.epochs)
    trained = len(order) * order.images_per_step / recipe.run.devices
    costs = sum(epoch_cost(recipe, epoch) for epoch in left)
    return per_image * (costs * trained + _FORWARD * validation_images * len(left))
