"""Hooks into a training: subclass `Callback` and pass it to ``litevision.train``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Callback:
    """Is called as a training goes on; override what you need, each method does nothing by itself.

    Of several processes each one calls its own.

    Example:
        >>> from litevision.training.callbacks import Callback
        >>> class History(Callback):
        ...     def __init__(self):
        ...         self.losses = []
        ...
        ...     def on_epoch_end(self, record):
        ...         self.losses.append(record["train_loss"])
    """

    def on_train_start(self, estimate: Callable[[], float | None]) -> None:
        """The training is about to begin, or to go on.

        Args:
            estimate: times a few steps, and gives the seconds that the training will take; None where they failed.
        """

    def on_epoch_start(self, epoch: int, phase: str, batches: int, first: int) -> None:
        """An epoch begins.

        Args:
            epoch: its number, from 1.
            phase: "head" while the backbone is frozen, else "all".
            batches: how many it has.
            first: the first of them that is trained, from 0; above 0 where a run is resumed within an epoch.
        """

    def on_step(self, images: int, loss: float) -> None:
        """A step is done.

        Args:
            images: how many it was over.
            loss: the mean loss of the epoch so far.
        """

    def on_epoch_end(self, record: Mapping[str, Any]) -> None:
        """An epoch is done.

        Args:
            record: its entry in ``results.json``: ``epoch``, ``lr``, ``train_loss``, ``validation_loss``, the
                validation score and speeds.
        """


class CallbackList(Callback):
    """Calls several callbacks, one after the other."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = tuple(callbacks)

    def on_train_start(self, estimate: Callable[[], float | None]) -> None:
        """Passes it on."""
        for callback in self._callbacks:
            callback.on_train_start(estimate)

    def on_epoch_start(self, epoch: int, phase: str, batches: int, first: int) -> None:
        """Passes it on."""
        for callback in self._callbacks:
            callback.on_epoch_start(epoch, phase, batches, first)

    def on_step(self, images: int, loss: float) -> None:
        """Passes it on."""
        for callback in self._callbacks:
            callback.on_step(images, loss)

    def on_epoch_end(self, record: Mapping[str, Any]) -> None:
        """Passes it on."""
        for callback in self._callbacks:
            callback.on_epoch_end(record)
