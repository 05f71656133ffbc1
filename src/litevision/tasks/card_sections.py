"""What of a model card and a report differs by task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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
