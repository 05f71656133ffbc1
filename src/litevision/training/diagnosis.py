"""Trainings that went wrong, and what of the cause can be seen: losses that explode, weights that never moved."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from litevision.errors import LitevisionError, TrainingError
from litevision.tables import pluralise
from litevision.training.batch_norm import batch_norms
from litevision.training.checkpoint import Progress
from litevision.training.plan import AnyPlan, first_network
from litevision.training.recipe import Recipe

if TYPE_CHECKING:
    from litevision.training.loop import Validated

_STEP, _EPOCH, _VALIDATION, _END = 1e6, 100.0, 1000.0, 10.0
"""How many times the first step's loss, or 1 where that is less, a loss may be."""
_LEAST_MOVED = 1e-4
_FEW_STEPS = 100
_MUCH_LESS, _LEAST_GAIN = 0.7, 0.1
"""Which part of a loss, and how far below it, is so much less that statistics are at fault."""


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


def statistics_in_words(
    recipe: Recipe, network: nn.Module, progress: Progress, validate: Callable[[nn.Module], "Validated"]
) -> str:
    """What is wrong with the statistics of batch normalisation that a run ends with; empty where they fit the weights.

    They fit where validation images are answered about as well by them as by the statistics of these images themselves.

    Args:
        recipe: of the run.
        network: the weights that are kept.
        progress: what was done.
        validate: the validation score of a network.
    """
    norms = batch_norms(probe := copy.deepcopy(network).eval())
    if recipe.optimizer.freeze_bn or recipe.schedule.freeze_backbone_epochs >= len(progress.epochs) or not norms:
        return ""  # they stay as they came
    for norm in norms.values():
        norm.train()
        norm.momentum = 0.0
    try:
        own = validate(probe)
    except ValueError:  # a last batch of one image, and maps of one cell
        return ""
    loss = progress.best_loss
    if own.score <= progress.best_score or own.loss > _MUCH_LESS * loss or loss - own.loss < _LEAST_GAIN:
        return ""
    return (
        f"the statistics of batch normalisation do not fit the weights: the validation loss is {loss:.3f}, and "
        f"{own.loss:.3f} with the statistics of these images themselves. Give more epochs or smaller batches, so that "
        "they can follow"
    )


def warnings_of(
    plan: AnyPlan, network: nn.Module, progress: Progress, learned_nothing: str, statistics: str = ""
) -> list[str]:
    """What a user must know of a finished run before using its model, a sentence each; nothing where all is well.

    Args:
        plan: what was planned.
        network: the weights that are kept.
        progress: what was done.
        learned_nothing: what the task found in the answers to the validation images; empty for nothing.
        statistics: what `statistics_in_words` found.
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
        return [f"{statistics}."] if statistics else []
    if statistics:
        return [f"the model learned nothing that validation shows: {learned_nothing}. {_sentence(statistics)}."]
    cause = _cause(plan, first, losses[-1], _steps(plan, len(losses)))
    return [f"the model learned nothing that validation shows: {learned_nothing}. {cause}."]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


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
        return f"It had {pluralise(steps, 'step')} alone: give more epochs, or a smaller batch"
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
