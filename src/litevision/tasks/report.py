"""What a task says of its scores: the main one, the sheet for people, a report's curve, a model card's sections."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


class MainScore(NamedTuple):
    """The figure by which models of a task are compared.

    Attributes:
        name: what it is called.
        key: its name in the scores and in a bundle's score.
        max_drop: how much of it a smaller bundle may lose unless the user says otherwise.
        min_agreement: the share of its answers that must be the larger one's, in [0, 1].
    """

    name: str
    key: str
    max_drop: float
    min_agreement: float

    def of(self, scores: Any) -> float | None:
        """The figure in ``scores``; None where there was nothing to find."""
        value = getattr(scores, self.key)
        return None if value is None else float(value)

    def shown(self, value: float) -> str:
        """The figure with its name: ``top-1 92.47 %``, ``AP 0.643``."""
        name, comma, unit = self.name.partition(", ")
        return f"{name} {value:.2f} {unit}" if comma else f"{name} {value:.3f}"


@dataclass(frozen=True)
class Rows:
    """The content of a CSV file; ``summary`` says what it comes to."""

    header: tuple[str, ...]
    rows: Iterable[Sequence[object]]
    summary: str = ""


@dataclass(frozen=True)
class ScoreSheet:
    """Scores as a person reads them.

    Attributes:
        images: what was scored, in words.
        lines: what stands above the table.
        columns: the table's header, with how each column is set.
        rows: the table's cells.
        footer: what stands below it.
        per_class: the scores of each class.
        predictions: what the model answered to each image.
    """

    images: str
    lines: Sequence[str]
    columns: Mapping[str, Literal["left", "right"]]
    rows: Sequence[Sequence[str]]
    footer: Sequence[str]
    per_class: Rows
    predictions: Rows


@dataclass(frozen=True)
class CardSections:
    """What of a model card differs by task, in Markdown.

    Attributes:
        what_it_is: the model in a sentence.
        limits: what it is for, and what it cannot do.
        data: what it was trained on.
        score: how good it is.
        input_title: the title over ``input``.
        input: the model's inputs and outputs.
        check: what the check at export found.
        command: how litevision's command line uses it.
        code: a Python program that uses it without litevision.
    """

    what_it_is: str
    limits: Sequence[str]
    data: str
    score: str
    input_title: str
    input: str
    check: str
    command: str
    code: str


@dataclass(frozen=True, slots=True)
class ScoreCurve:
    """The plot of the validation score; ``lines`` are keys of the epochs with their names, the main one last."""

    ylabel: str
    lines: Mapping[str, str]
    caption: str


def figure(value: float | None) -> str:
    """A figure in [0, 1], or a dash where there is none."""
    return "-" if value is None else f"{value:.4f}"
