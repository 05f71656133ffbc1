"""The rules that labelled data is checked by, and the issues: the places where they are broken."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that `check_data` looks for; ``rules.toml`` beside this file lists them.

    Attributes:
        name: in kebab-case.
        severity: an "error" keeps train from starting, a "warning" is left out of it or may spoil its score, a "note"
            is dealt with.
        what: what is found.
        advice: what to do about it.
        of_boxes: concerns labelled boxes alone.
        left_out: what breaks it is neither learned nor scored.
    """

    name: str
    severity: Severity
    what: str
    advice: str
    of_boxes: bool = False
    left_out: bool = False


RULES = tuple(
    Rule(name, **rule)
    for name, rule in tomllib.loads(Path(__file__).with_name("rules.toml").read_text("utf-8")).items()
)

_BY_NAME = {rule.name: rule for rule in RULES}
_PLACE = {rule.name: place for place, rule in enumerate(RULES)}


@dataclass(frozen=True, slots=True)
class Issue:
    """One rule broken at one place.

    Attributes:
        rule: the rule's name.
        path: the file or folder; None where it concerns none in particular.
        severity: the rule's.
        detail: what was found there.
        advice: the rule's.
        line: the line of a label file, from 1.
    """

    rule: str
    path: Path | None
    severity: Severity
    detail: str
    advice: str
    line: int | None = None

    @classmethod
    def of(cls, rule: str, path: Path | None, detail: str, line: int | None = None) -> "Issue":
        """An issue with the severity and the advice of its rule; ``detail`` becomes one line."""
        found = _BY_NAME[rule]
        return cls(rule, path, found.severity, " ".join(detail.splitlines()), found.advice, line)

    @property
    def is_left_out(self) -> bool:
        """Whether what it is about is neither learned nor scored."""
        return _BY_NAME[self.rule].left_out

    @property
    def order(self) -> tuple[int, str, int, str]:
        """Sorts issues as their rules stand in `RULES`, then by path and line."""
        return _PLACE[self.rule], str(self.path or ""), self.line or 0, self.detail
