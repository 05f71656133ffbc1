"""Checkpoints: written whole or not at all, and read without running any code of theirs."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from litevision.errors import FileMissingError, LitevisionError, TrainingError, reason_of
from litevision.files import atomic_write
from litevision.weights.read import require_plain

FORMAT_VERSION = 1
NAME = "last.ckpt"


@dataclass
class Progress:
    """How far a run is; what of it decides the rest is part of every checkpoint.

    Attributes:
        epoch: the running epoch, from 0.
        batch: the next batch of it.
        loss_sum: of the batches of this epoch so far.
        seconds: of this epoch so far, interruptions left out.
        wait_seconds: of these, those that waited for images.
        best_epoch: the epoch, from 1, of the best validation score; 0 before the first.
        best_score: that score: top-1 in percent, or a detector's average precision in [0, 1].
        best_loss: its validation loss.
        epochs: a record for each finished epoch, as in ``results.json``.
        interruptions: how often the run was taken up again.
        first_loss: of the first step, by which later ones are judged; None before it.
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    wait_seconds: float = 0.0
    best_epoch: int = 0
    best_score: float = -1.0
    best_loss: float = float("inf")
    epochs: list[dict[str, Any]] = field(default_factory=list)
    interruptions: int = 0
    first_loss: float | None = None


def write_checkpoint(path: Path, progress: Progress, states: dict[str, Any]) -> None:
    """Writes ``states`` (state dicts by name, and plain values) with the progress.

    Raises:
        TrainingError: it cannot be written; the one before is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial, partial.open("wb") as file:
            torch.save({"format_version": FORMAT_VERSION, "progress": asdict(progress), **states}, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else reason_of(error)
        kept = "the one before is kept" if path.exists() else "there is none before it"
        raise TrainingError(
            f"{path}: the checkpoint cannot be written ({reason}); {kept}. "
            "Make room, then go on with: litevision train --resume " + str(path.parent)
        ) from None


def _require_numbers(progress: Progress) -> None:
    counts = (progress.epoch, progress.batch, progress.best_epoch, progress.interruptions)
    if not all(type(it) is int and it >= 0 for it in counts):
        raise ValueError(f"counts of {counts}")
    if not all(isinstance(it, dict) for it in progress.epochs):
        raise ValueError("epochs without records")
    for value in (progress.loss_sum, progress.seconds, progress.wait_seconds, progress.best_score, progress.best_loss):
        float(value)
    if progress.first_loss is not None:
        float(progress.first_loss)


def read_checkpoint(path: Path) -> tuple[Progress, dict[str, Any]]:
    """The progress, and the rest by name.

    Raises:
        FileMissingError: no checkpoint there.
        TrainingError: damaged, or of another version.
    """
    if not path.is_file():
        raise FileMissingError(f"{path}: no checkpoint; expected the folder of a run that was interrupted")
    try:
        states = torch.load(path, map_location="cpu", weights_only=True)
        version = states.pop("format_version")
        progress = Progress(**states.pop("progress"))
        _require_numbers(progress)
        require_plain(states["network"], path)
    except LitevisionError:
        raise
    except Exception as error:  # a damaged file raises whatever its reader stumbles over
        raise TrainingError(f"{path}: cannot be read as a checkpoint ({type(error).__name__}). Start anew") from error
    if version != FORMAT_VERSION:
        raise TrainingError(f"{path}: a checkpoint of version {version}; this litevision reads {FORMAT_VERSION}")
    return progress, states
