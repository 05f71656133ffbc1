"""Trainings that went wrong, and what of the cause can be seen: losses that explode, weights that never moved."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from litevision.errors import LitevisionError, TrainingError
from litevision.training.checkpoint import Progress
from litevision.training.plan import AnyPlan, first_network
from litevision.training.recipe import Recipe

_STEP, _EPOCH, _VALIDATION, _END = 1e6, 100.0, 1000.0, 10.0
"""How many times the first step's loss, or 1 where that is less, a loss may be."""
_LEAST_MOVED = 1e-4
_FEW_STEPS = 100


def require_sound_step(loss: float, progress: Progress, recipe: Recipe) -> None:
    """Raises `TrainingError` for a batch's loss that is no number, or that exploded."""
    if _is_sound(loss, progress, _STEP):
        return
    where = f"in epoch {progress.epoch + 1}, batch {progress.batch + 1}"
    if progress.first_loss is None:
        raise TrainingError(
            f"the loss is {loss} {where}, before any step: the starting weights give no usable numbers"
            f"{_precision(recipe)}. Start from other model.weights, or check the images with 'litevision check-data'"
        )
    raise TrainingError(f"the loss is {loss:.3g} {where}: {_diverged(progress, recipe)}")


def require_sound_training(progress: Progress, recipe: Recipe) -> None:
    """Raises `TrainingError` where the mean loss of the epoch that ends exploded."""
    loss = progress.loss_sum / max(1, progress.batch)
    if not _is_sound(loss, progress, _EPOCH):
        raise TrainingError(
            f"the training loss is {loss:.3g} in epoch {progress.epoch + 1}, after {progress.first_loss:.3g} at the "
            f"first step: {_diverged(progress, recipe)}"
        )


def require_sound_validation(loss: float, progress: Progress, recipe: Recipe) -> None:
    """Raises `TrainingError` for a validation loss that is no number, or that exploded."""
    if not _is_sound(loss, progress, _VALIDATION):
        raise TrainingError(
            f"the validation loss is {loss:.3g} after epoch {progress.epoch + 1}: {_diverged(progress, recipe)}"
        )


def require_converged(progress: Progress, recipe: Recipe) -> None:
    """Raises `TrainingError` for a run whose training loss ends far above that of its first step."""
    last = progress.epochs[-1]["train_loss"] if progress.epochs else 0.0
    if not _is_sound(last, progress, _END):
        raise TrainingError(
            f"the training loss is {last:.3g} in the last epoch, after {progress.first_loss:.3g} at the first step: "
            f"{_diverged(progress, recipe)}"
        )


def warnings_of(plan: AnyPlan, network: nn.Module, progress: Progress, learned_nothing: str) -> list[str]:
    """What a user must know of a finished run before using its model, a sentence each; nothing where all is well.

    Args:
        plan: what was planned.
        network: the weights that are kept.
        progress: what was done.
        learned_nothing: what the task found in the answers to the validation images; empty for nothing.
    """
    losses = [epoch["train_loss"] for epoch in progress.epochs]
    if not losses:
        return [f"the model learned nothing that validation shows: {learned_nothing}."] if learned_nothing else []
    first = losses[0] if progress.first_loss is None else progress.first_loss
    if learned_nothing or 0.8 * first < losses[-1] < 1.2 * first:
        moved = _moved(plan, network)
        if moved is not None and moved < _LEAST_MOVED:
            lr = plan.recipe.optimizer.lr
            return [f"the weights never moved ({moved:.1g} of their size): raise optimizer.lr, which is {lr:g}."]
    if not learned_nothing:
        return []
    cause = _cause(plan, first, losses[-1], _steps(plan, len(losses)))
    return [f"the model learned nothing that validation shows: {learned_nothing}. {cause}."]


def _is_sound(loss: float, progress: Progress, times: float) -> bool:
    most = math.inf if progress.first_loss is None else times * max(1.0, progress.first_loss)
    return math.isfinite(loss) and loss <= most


def _diverged(progress: Progress, recipe: Recipe) -> str:
    kept = f" Epoch {progress.best_epoch} was the best so far, and best.ckpt keeps it." if progress.best_epoch else ""
    return (
        f"the training diverged, and no model file was made. Try a lower optimizer.lr than {recipe.optimizer.lr:g}"
        f"{_precision(recipe)}.{kept}"
    )


def _precision(recipe: Recipe) -> str:
    return ', or run.precision = "fp32"' if recipe.run.precision == "bf16" else ""


def _cause(plan: AnyPlan, first: float, last: float, steps: int) -> str:
    recipe = plan.recipe
    schedule, optimizer = recipe.schedule, recipe.optimizer
    if last > 1.2 * first:
        return (
            f"The training loss rose from {first:.3g} to {last:.3g}: lower optimizer.lr, which is {optimizer.lr:g}"
            f"{_precision(recipe)}"
        )
    if plan.start is None and (optimizer.freeze_bn or schedule.freeze_backbone_epochs):
        key = "optimizer.freeze_bn" if optimizer.freeze_bn else "schedule.freeze_backbone_epochs"
        return (
            f"{key} keeps the statistics of batch normalisation, which no image was measured with in a network from "
            "scratch: leave it out"
        )
    if last < 0.8 * first:
        return (
            f"The training loss fell from {first:.3g} to {last:.3g}, so what was learned does not hold for the "
            "validation images: look at them and their labels with 'litevision check-data', or add images"
        )
    if steps < _FEW_STEPS:
        return f"It had {steps} step{'' if steps == 1 else 's'} alone: give more epochs, or a smaller batch"
    return (
        f"The training loss stayed at {last:.3g}: give more epochs or another optimizer.lr than {optimizer.lr:g}, and "
        "look at the images with 'litevision check-data'"
    )


def _steps(plan: AnyPlan, epochs: int) -> int:
    schedule, devices = plan.recipe.schedule, plan.recipe.run.devices
    images = len(plan.data.of(*schedule.splits))
    return int(epochs * max(1, images // (schedule.batch_size * devices)))


def _moved(plan: AnyPlan, network: nn.Module) -> float | None:
    """How far the weights are from those at the start, as a part of their size; None where these are gone."""
    try:
        before: Mapping[str, Tensor] = dict(first_network(plan).named_parameters())
    except LitevisionError:
        return None
    pairs: list[Any] = [(now.detach(), before[name].detach()) for name, now in network.named_parameters()]
    size = sum(float(old.double().square().sum()) for _, old in pairs)
    distance = sum(float((now.double() - old.double()).square().sum()) for now, old in pairs)
    return math.sqrt(distance / max(size, 1e-30))
