"""A training run as it lies in its folder: the bundle, the scores, the report, and the trained network."""

import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litevision.errors import FileMissingError, TrainingError, reason_of

if TYPE_CHECKING:
    from litevision.models.kinds import AnyNetwork

BUNDLE, RESULTS, CARD, REPORT = "model.onnx", "results.json", "model_card.md", "report.html"
_FIRST_TASK = "classification"  # that of results that say none


class Run:
    """A finished training run, as ``litevision.train`` gives it; its files are read when they are asked for.

    It stands wherever a model is accepted: ``litevision.evaluate``, ``litevision.load_classifier``,
    ``litevision.export``, ``litevision.create.from_run``, and ``weights=`` of the next training.

    Attributes:
        folder: holds everything that the run left.

    Example:
        >>> import litevision
        >>> run = litevision.train("clothes/", epochs=12, name="first")  # doctest: +SKIP
        >>> run.metrics["top1"], run.bundle  # doctest: +SKIP
        (93.5, PosixPath('runs/first/model.onnx'))
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Takes the folder of a finished run."""
        self.folder = Path(folder)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Run":
        """The finished run in ``folder``.

        Raises:
            FileMissingError: the folder holds no finished run.
        """
        run = cls(folder)
        if not (run.folder / RESULTS).is_file():
            raise FileMissingError(
                f"{run.folder}: holds no finished run; expected the folder of one, with a {RESULTS}. A run that was "
                "interrupted goes on with litevision.train(resume=...)"
            )
        return run

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.name

    @property
    def bundle(self) -> Path:
        """The model file: one ``.onnx`` with its labels and preprocessing."""
        return self.folder / BUNDLE

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self.folder / REPORT

    @property
    def card(self) -> Path:
        """The model card, in Markdown."""
        return self.folder / CARD

    @cached_property
    def results(self) -> Mapping[str, Any]:
        """The content of ``results.json``.

        Raises:
            TrainingError: it cannot be read.
        """
        try:
            found: dict[str, Any] = json.loads((self.folder / RESULTS).read_text("utf-8"))
            if not isinstance(found.get("task", _FIRST_TASK), str):
                raise TypeError("its task is no name")
            for scores in found["scores"].values():
                dict(scores or {})
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise TrainingError(
                f"{self.folder / RESULTS}: cannot be read as a run's results ({reason_of(error)})"
            ) from None
        return found

    @property
    def task(self) -> str:
        """The task that was learned: ``classification`` or ``detection``."""
        task: str = self.results.get("task", _FIRST_TASK)
        return task

    @property
    def split(self) -> str:
        """The split that `metrics` were measured on: ``test`` where there are test images, else ``validation``."""
        scores = self.results["scores"]
        return "test" if scores.get("test") else "validation"

    @property
    def metrics(self) -> dict[str, float]:
        """The scores of the model file on `split`: ``top1``, ``macro_f1`` and so on, or ``ap``, ``ap50`` and so on."""
        scores = self.results["scores"].get(self.split) or {}
        return {name: value for name, value in scores.items() if isinstance(value, int | float)}

    @property
    def network(self) -> "AnyNetwork":
        """The trained network, built anew at each access, in evaluation mode.

        Raises:
            WeightsError: the run's checkpoint cannot be used.
        """
        from litevision.weights.load import load_network

        return load_network(self.folder).eval()
