"""The report of a check: every issue, as text and as JSON."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from litevision.data.dataset import SPLITS, LabelledBoxes, LabelledImages
from litevision.data.issues import RULES, Issue, Severity
from litevision.data.listing import relative_name
from litevision.tables import display_width, escape, pad, pluralise

_SHOWN_EACH = 5


@dataclass(frozen=True, slots=True)
class DataReport:
    """Every issue of a data set; ``print`` shows it.

    Attributes:
        data: the images that can be used, as train would read them.
        quick: whether headers alone were read.
        issues: sorted by rule, errors first, then by path.
    """

    data: LabelledImages | LabelledBoxes
    quick: bool
    issues: tuple[Issue, ...]

    @property
    def ok(self) -> bool:
        """Whether train can start: there is no error; there may be warnings and notes."""
        return not self.severity("error")

    @property
    def counts(self) -> dict[str, int]:
        """How often each rule is broken, in the order of the rules, without those that are not."""
        found = Counter(issue.rule for issue in self.issues)
        return {rule.name: found[rule.name] for rule in RULES if found[rule.name]}

    def severity(self, severity: Severity) -> int:
        """The number of issues of a severity."""
        return sum(issue.severity == severity for issue in self.issues)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "path": str(self.data.root),
            "task": self.data.task,
            "images": len(self.data.samples),
            "classes": list(self.data.classes),
            "splits": {split: list(self.data.counts(split)) for split in SPLITS},
            "made_splits": self.data.made_splits,
            "quick": self.quick,
            "ok": self.ok,
            "counts": self.counts,
            "passed_over": self.data.passed_over.to_dict(),
            "issues": [
                {
                    "rule": issue.rule,
                    "severity": issue.severity,
                    "path": None if issue.path is None else str(issue.path),
                    "line": issue.line,
                    "detail": issue.detail,
                    "advice": issue.advice,
                }
                for issue in self.issues
            ],
        }

    def to_json(self) -> str:
        """Everything, as one JSON document."""
        return json.dumps(self.to_dict(), indent=1)

    def __str__(self) -> str:
        return self.text()

    def text(self, *, every: bool = False, hint: str = "text(every=True)") -> str:
        """The report for people: the classes and splits, the rules that are broken, and where.

        Args:
            every: name every file of a rule, not the first five.
            hint: what shows every file, said where some are left out.
        """
        return "\n".join(self._lines(every, hint))

    def _lines(self, every: bool, hint: str) -> Iterator[str]:
        yield self._title() + "\n"
        yield from _table(("class", *SPLITS, "all"), self._class_rows(), right=range(1, 5))
        if self.issues:
            rules = [rule for rule in RULES if rule.name in self.counts]
            rows = [(rule.name, rule.severity, f"{self.counts[rule.name]:,}", rule.advice) for rule in rules]
            yield ""
            yield from _table(("rule", "severity", "count", "what to do"), rows, right=(2,))
        for name in self.counts:
            issues = [issue for issue in self.issues if issue.rule == name]
            shown = issues if every else issues[:_SHOWN_EACH]
            yield f"\n{name}"
            yield from (f"  {escape(self._line(issue))}" for issue in shown)
            if len(shown) < len(issues):
                yield f"  and {len(issues) - len(shown):,} more; {hint} shows them"
        if self.data.passed_over:
            yield f"\n{self.data.passed_over}"
        severities: tuple[Severity, ...] = ("error", "warning", "note")
        counted = ", ".join(pluralise(self.severity(severity), severity) for severity in severities)
        yield "\n" + (counted if self.issues else "no issues")

    def _title(self) -> str:
        made = "; splits made here" if self.data.made_splits else ""
        return f"{escape(str(self.data.root))}: {self.data.summary()}{made}"

    def _class_rows(self) -> list[tuple[str, ...]]:
        counts = [self.data.counts(split) for split in SPLITS]
        rows = [(escape(name), each) for name, each in zip(self.data.classes, zip(*counts, strict=True), strict=True)]
        rows += self.data.totals().items()
        return [(name, *(f"{count:,}" for count in (*each, sum(each)))) for name, each in rows]

    def _line(self, issue: Issue) -> str:
        if issue.path is None:
            return issue.detail
        line = f", line {issue.line}" if issue.line else ""
        return f"{relative_name(self.data.root, issue.path)}{line}: {issue.detail}"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> Iterator[str]:
    """Aligned columns; ``right`` are those of numbers."""
    widths = [max(map(display_width, cells)) for cells in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = [
            pad(cell, width, "right" if place in right else "left")
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
