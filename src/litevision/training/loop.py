"""The training loop, on Lightning Fabric: resumable after any step, and bit for bit the same afterwards."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from litevision.errors import TrainingError
from litevision.training.batch_norm import batch_norms, lag_behind, measure_statistics
from litevision.training.batches import Batch, EpochOrder, Images, SampleKey, derived_seed, load_batches
from litevision.training.callbacks import Callback
from litevision.training.checkpoint import Progress, write_checkpoint
from litevision.training.diagnosis import require_sound_step, require_sound_training, require_sound_validation
from litevision.training.estimate import image_seconds, remaining_seconds
from litevision.training.frozen import Split, in_precision, losses
from litevision.training.optimise import backbone_of, make_optimizer, set_learning_rates, set_mode
from litevision.training.process import RunStopped, StopRequest
from litevision.training.recipe import Recipe
from litevision.training.remote_run import RunCopy

BEST = "best.ckpt"


class Validated(Protocol):
    """What became of the validation images."""

    @property
    def loss(self) -> float:
        """Their mean loss."""

    @property
    def score(self) -> float:
        """What more is better of."""

    def record(self) -> dict[str, float]:
        """The figures for the epoch's record."""


class Objective(Protocol):
    """What a loop needs to know of the task: the loss of a batch, and the validation score."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The mean loss of a batch, a scalar."""
        ...

    def split(self, network: nn.Module) -> Split | None:
        """The frozen backbone of a network apart from its head; None where features cannot be kept."""
        ...

    def validate(self, network: nn.Module) -> Validated:
        """The validation score of a network in evaluation mode."""
        ...


class Loop:
    """One run's state and the loop over it."""

    def __init__(
        self,
        fabric: Fabric,
        network: nn.Module,
        objective: Objective,
        recipe: Recipe,
        order: EpochOrder,
        images: Images,
        folder: Path,
        copy: RunCopy | None = None,
    ) -> None:
        """Takes the network to train, which it moves to the device, the folder for its checkpoints, and their copy."""
        if not len(order):
            raise TrainingError(f"{len(images)} training images do not fill one batch; add images")
        self.progress = Progress()
        self._objective, self._recipe, self._order, self._images, self._folder = (
            objective,
            recipe,
            order,
            images,
            folder,
        )
        self._fabric, self._copy = fabric, copy
        if recipe.run.channels_last:
            network = network.to(memory_format=torch.channels_last)
        self._network = network.to(fabric.device)
        self._average = self._make_average() if recipe.run.ema_decay else None
        if recipe.run.compile:
            network.compile()
        self._optimizer = make_optimizer(network, recipe.optimizer)
        split = objective.split(network) if fabric.world_size == 1 else None
        self._split = None if split is None else in_precision(split, fabric.autocast)
        self._model: Any = None  # the network as the phase needs it
        self._stepper: Any = fabric.setup_optimizers(self._optimizer)
        self._written_at = time.monotonic()

    def run(self, callback: Callback, stop: StopRequest) -> None:
        """Trains to the end, from wherever the progress stands.

        Raises:
            RunStopped: a signal came; the checkpoint is written.
            TrainingError: a loss that is no number or exploded, or a checkpoint that cannot be written.
        """
        schedule = self._recipe.schedule
        while self.progress.epoch < schedule.epochs and not self._patience_is_over():
            head_alone = self.progress.epoch < schedule.freeze_backbone_epochs
            phase = "head" if head_alone else "all"
            callback.on_epoch_start(self.progress.epoch + 1, phase, self._steps, self.progress.batch)
            set_mode(self._network, head_alone=head_alone, freeze_bn=self._recipe.optimizer.freeze_bn)
            if self._model is None or self.progress.epoch == schedule.freeze_backbone_epochs:
                # Anew where the backbone thaws: several processes exchange gradients of what is not frozen now.
                self._model = self._fabric.setup_module(self._network)
            head_lr = self._epoch(callback, stop)
            self._end_epoch(callback, phase, head_lr)
            self._keep(stop)

    def load(self, progress: Progress, states: Mapping[str, Any]) -> None:
        """Takes up what a checkpoint holds."""
        self.progress = progress
        self.progress.interruptions += 1
        try:
            self._network.load_state_dict(states["network"])
            self._optimizer.load_state_dict(states["optimizer"])
            if self._average is not None:
                self._average.load_state_dict(states["average"])
        except Exception as error:  # torch raises half a dozen kinds for states of another form
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise TrainingError(f"{self._folder}: its checkpoint is not of this run ({reason}). Start anew") from error

    def scored_network(self) -> nn.Module:
        """The network that is scored: the moving average, where there is one."""
        if self._average is None:
            return self._network
        averaged: nn.Module = self._average.module
        return averaged

    def expected_seconds(self, validation_images: int) -> float | None:
        """The seconds that the rest of the training will take, by a few timed steps; None where these failed."""
        order, recipe = self._order, self._recipe
        seconds = image_seconds(self._network, self._objective, self._images, order, recipe, self._fabric)
        return seconds and remaining_seconds(seconds, recipe, order, validation_images, self.progress)

    @property
    def stopped_early(self) -> bool:
        """Whether it ended for want of better scores."""
        return self.progress.epoch < self._recipe.schedule.epochs and self._patience_is_over()

    def _epoch(self, callback: Callback, stop: StopRequest) -> float:
        """The batches of the running epoch that are left; gives the last learning rate of the head."""
        progress = self.progress
        head_lr = self._set_rates()  # for an epoch that was interrupted behind its last batch
        mark = time.perf_counter()
        with closing(self._losses()) as losses_left:
            for loss in losses_left:
                waited = time.perf_counter() - mark
                head_lr = self._set_rates()
                progress.loss_sum += self._step(loss)
                progress.batch += 1
                callback.on_step(self._order.images_per_step, progress.loss_sum / progress.batch)
                progress.seconds += time.perf_counter() - mark
                progress.wait_seconds += waited
                self._keep(stop)
                mark = time.perf_counter()  # writing a checkpoint is no waiting for images
        return head_lr

    @property
    def _steps(self) -> int:
        """Steps of the running epoch: with a frozen backbone, those of all passes over its images."""
        return self._passes * len(self._order)

    @property
    def _passes(self) -> int:
        schedule = self._recipe.schedule
        is_frozen = self._split is not None and self.progress.epoch < schedule.freeze_backbone_epochs
        return schedule.frozen_passes if is_frozen else 1

    def _losses(self) -> Generator[Callable[[], Tensor], None, None]:
        """The loss of each step of the running epoch that is left, to be called when the step is taken."""
        progress, passes = self.progress, self._passes
        if self._split is not None and passes > 1:
            with closing(self._load(self._order.batches(progress.epoch))) as batches:
                seed = (self._recipe.run.seed, progress.epoch)
                yield from losses(self._split, batches, seed, passes, progress.batch)
            return
        with closing(self._load(self._order.batches(progress.epoch, progress.batch))) as batches:
            yield from (partial(self._objective.loss, self._model, batch) for batch in batches)

    def _load(self, places: list[list[SampleKey]]) -> Generator[Batch, None, None]:
        """The images of some batches at the size of the running epoch, on the device."""
        images = self._images.at_size(self._recipe.train_size_in(self.progress.epoch))
        device = self._fabric.device
        with closing(load_batches(images, places, workers_for(self._recipe.run.workers))) as batches:
            for pixels, truth in batches:
                yield pixels.to(device), truth.to(device)

    def _set_rates(self) -> float:
        progress, steps = self.progress, self._steps
        batch = min(progress.batch, steps - 1)  # behind the last batch its rates are still in force
        done = progress.epoch + batch / steps
        return set_learning_rates(self._optimizer, self._recipe.schedule, done, 1 / steps)

    def _step(self, compute_loss: Callable[[], Tensor]) -> float:
        passed, batch = divmod(self.progress.batch, len(self._order))
        step = self.progress.epoch * len(self._order) + batch
        # Dropout and mixup draw from here; a resumed run draws the same.
        again = (passed,) if passed else ()
        torch.manual_seed(derived_seed(self._recipe.run.seed, step, self._fabric.global_rank, *again))
        self._stepper.zero_grad()
        loss = compute_loss()
        self._fabric.backward(loss)
        if self._recipe.optimizer.clip_norm:
            self._fabric.clip_gradients(
                self._model, self._stepper, max_norm=self._recipe.optimizer.clip_norm, error_if_nonfinite=False
            )
        self._stepper.step()
        if self._average is not None:
            self._average.update_parameters(self._network)
        mean: Any = self._fabric.all_reduce(loss.detach(), reduce_op="mean")
        value = float(mean)
        require_sound_step(value, self.progress, self._recipe)
        if self.progress.first_loss is None:
            self.progress.first_loss = value
        return value

    def _keep(self, stop: StopRequest) -> None:
        """Writes a checkpoint when it is time, or when the run is to stop."""
        progress = self.progress
        due = progress.batch > 0 and time.monotonic() - self._written_at >= 60 * self._recipe.run.checkpoint_minutes
        # All processes must decide alike, whoever's clock or signal it is.
        wishes = torch.tensor([float(stop.signum or 0), float(due)], device=self._fabric.device)
        signum, writing = torch.as_tensor(self._fabric.all_reduce(wishes, reduce_op="max")).tolist()
        if writing or (signum and progress.batch):
            self.write()
        if signum:
            where = f"epoch {progress.epoch + 1}, batch {progress.batch} of {self._steps}"
            raise RunStopped(int(signum), where if progress.batch else f"the end of epoch {progress.epoch}")

    def _end_epoch(self, callback: Callback, phase: str, head_lr: float) -> None:
        progress = self.progress
        require_sound_training(progress, self._recipe)
        self._measure_statistics()
        validation = self._validate()
        require_sound_validation(validation.loss, progress, self._recipe)
        record = {
            "epoch": progress.epoch + 1,
            "phase": phase,
            "lr": head_lr,
            "train_loss": progress.loss_sum / max(1, progress.batch),
            **validation.record(),
            "seconds": progress.seconds,
            "images_per_s": progress.batch * self._order.images_per_step / max(1e-9, progress.seconds),
            "data_wait_share": progress.wait_seconds / max(1e-9, progress.seconds),
        }
        progress.epochs.append(record)
        better = (validation.score, -validation.loss) > (progress.best_score, -progress.best_loss)
        if better or not self._recipe.schedule.chooses:
            progress.best_epoch = progress.epoch + 1
            progress.best_score, progress.best_loss = validation.score, validation.loss
            if self._fabric.is_global_zero:
                best = {"network": self.scored_network().state_dict()}
                write_checkpoint(self._folder / BEST, progress, best)
        progress.epoch += 1
        progress.batch, progress.loss_sum, progress.seconds, progress.wait_seconds = 0, 0.0, 0.0, 0.0
        self.write()
        callback.on_epoch_end(record)

    def _measure_statistics(self) -> None:
        """Measures those of batch normalisation anew where the training is too short for them to follow its batches.

        It takes the first batches of this epoch once more, and in short epochs of the next ones, so that it is the
        same however often the run was interrupted. Layers that are frozen keep what came with the weights.
        """
        if not self._fabric.is_global_zero:  # which alone scores
            return
        progress, steps = self.progress, len(self._order)
        thawed = max(0, progress.epoch + 1 - self._recipe.schedule.freeze_backbone_epochs)
        of_backbone = set(backbone_of(self._network).modules())
        updates = {
            name: (thawed if module in of_backbone else progress.epoch + 1) * steps
            for name, module in batch_norms(self._network).items()
            if module.training
        }
        if not lag_behind(self._network, updates):
            return
        with closing(self._load(self._order.batches_to_measure(progress.epoch))) as batches:
            seeds = self._recipe.run.seed, progress.epoch
            measure_statistics(self.scored_network(), updates, batches, self._objective.loss, seeds)

    def _validate(self) -> Validated:
        # One process scores for all: only its batch normalisation's statistics are in the checkpoint.
        found: Validated | None = None
        if self._fabric.is_global_zero:
            network = self.scored_network()
            was_training = [(module, module.training) for module in network.modules()]
            found = self._objective.validate(network.eval())
            for module, training in was_training:
                module.training = training
        shared: Validated = self._fabric.broadcast(found)  # type: ignore[assignment]  # never None: the first process's
        return shared

    def write(self) -> None:
        """Writes the checkpoint that a resumed run takes up."""
        self._written_at = time.monotonic()
        if self._fabric.is_global_zero:
            states = {"network": self._network.state_dict(), "optimizer": self._optimizer.state_dict()}
            if self._average is not None:
                states["average"] = self._average.state_dict()
            write_checkpoint(self._folder / "last.ckpt", self.progress, states)
            if self._copy is not None:
                self._copy.update()
        self._fabric.barrier()

    def _patience_is_over(self) -> bool:
        patience = self._recipe.schedule.patience
        return bool(patience) and self.progress.epoch - self.progress.best_epoch >= patience

    def _make_average(self) -> AveragedModel:
        decay = self._recipe.run.ema_decay

        def update(averages: Any, values: Any, updates: Tensor | int) -> None:
            # A short run would hardly leave its start behind: the decay grows as TensorFlow's does with num_updates.
            now = min(decay, (1 + int(updates)) / (10 + int(updates)))
            get_ema_multi_avg_fn(now)(averages, values, updates)

        average = AveragedModel(self._network, multi_avg_fn=update, use_buffers=True)
        return average.requires_grad_(False)


def workers_for(wanted: int) -> int:
    """The processes that read images: as many as ``wanted``; -1 for one per two usable CPUs."""
    from litevision.runtime.cpus import available_cpus

    return max(1, available_cpus() // 2) if wanted < 0 else wanted
