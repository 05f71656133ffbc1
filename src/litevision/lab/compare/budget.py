"""Minutes of training as epochs: a schedule must know its end, so the time of an epoch is measured before."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from litevision.errors import UsageError
from litevision.training.callbacks import Callback
from litevision.training.plan import AnyPlan, first_network
from litevision.training.run import train

_WARM_UP_STEPS, _LEAST_STEPS = 3, 5
_MOST_SECONDS, _PART_OF_BUDGET = 30.0, 0.1


@dataclass(frozen=True, slots=True)
class Budget:
    """How long each candidate trains.

    Attributes:
        minutes: of training steps, waiting for images included; scoring the validation images comes on top.
        epochs: these in place of minutes.
    """

    minutes: float
    epochs: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.minutes < float("inf"):
            raise UsageError(f"--minutes {self.minutes:g}; expected a number above 0")
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"--epochs {self.epochs}; expected at least 1")

    def __str__(self) -> str:
        if self.epochs is not None:
            return f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        return f"{self.minutes:g} minute{'' if self.minutes == 1 else 's'} of training"

    def epochs_of(self, name: str, epoch_seconds: float) -> int:
        """Convert the minutes to the nearest number of epochs.

        Raises:
            UsageError: they do not suffice for one.
        """
        epochs = round(60 * self.minutes / epoch_seconds)
        if not epochs:
            needed = epoch_seconds / 60
            raise UsageError(
                f"--minutes {self.minutes:g} is too short for {name}: one epoch takes it about {needed:.2g} minutes "
                f"here; expected {needed:.2g} or more, or fewer --candidates"
            )
        return epochs


def measure_epoch(plan: AnyPlan, folder: Path, budget: Budget) -> float:
    """Measure the seconds of an epoch by its first steps; at most a tenth of the budget is spent on it.

    Raises:
        RunStopped: a signal came.
    """
    watch = _Stopwatch(min(_MOST_SECONDS, _PART_OF_BUDGET * 60 * budget.minutes))
    with TemporaryDirectory(prefix=".timing-", dir=folder) as place, suppress(_Enough):
        train(plan, first_network(plan), Path(place), watch)
    return watch.epoch_seconds


class _Enough(BaseException):
    """Ends a training that is only timed; no error, so it passes by whoever catches those."""


class _Stopwatch(Callback):
    """A `litevision.training.callbacks.Callback` that ends the training once it knows how long an epoch takes."""

    def __init__(self, seconds: float) -> None:
        """Takes the time after which to end; a few steps are made anyway, but no more than one epoch."""
        self.epoch_seconds = 0.0
        self._seconds = seconds

    def on_epoch_start(self, epoch: int, phase: str, batches: int, first: int) -> None:
        self._batches = batches
        self._warm_up = min(_WARM_UP_STEPS, batches - 1)
        self._steps = 0
        self._start = time.perf_counter()

    def on_step(self, images: int, loss: float) -> None:
        self._steps += 1
        now = time.perf_counter()
        if self._steps <= self._warm_up:
            self._start = now
            return
        timed, taken = self._steps - self._warm_up, now - self._start
        if self._steps == self._batches or (timed >= _LEAST_STEPS and taken >= self._seconds):
            self.epoch_seconds = taken / timed * self._batches
            raise _Enough
