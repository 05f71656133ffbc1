"""What a check found."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from litevision.data.detection.records import LabelledBoxes
from litevision.data.issues import RULES, Issue
from litevision.data.records import SPLITS, LabelledImages


@dataclass(frozen=True, slots=True)
class DataReport:
    """Every fault of a data set.

    Attributes:
        data: the images, those with faults too; of labelled boxes those alone that can be used.
        quick: whether headers alone were read.
        faults: sorted by rule, errors first, then by path.
    """

    data: LabelledImages | LabelledBoxes
    quick: bool
    faults: tuple[Issue, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How often each rule is broken, in the order of the rules, without those that are kept."""
        found = Counter(fault.rule for fault in self.faults)
        return {rule.name: found[rule.name] for rule in RULES if found[rule.name]}

    def severity(self, severity: str) -> int:
        """How many faults are of a severity."""
        return sum(fault.severity == severity for fault in self.faults)

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings and notes may be there."""
        return not self.severity("error")

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "path": str(self.data.root),
            "task": "detection" if isinstance(self.data, LabelledBoxes) else "classification",
            "images": len(self.data.samples),
            "classes": list(self.data.classes),
            "splits": {split: list(self.data.counts(split)) for split in SPLITS},
            "made_splits": self.data.made_splits,
            "quick": self.quick,
            "ok": self.ok,
            "counts": self.counts,
            "faults": [
                {
                    "rule": fault.rule,
                    "severity": fault.severity,
                    "path": None if fault.path is None else str(fault.path),
                    "line": fault.line,
                    "detail": fault.detail,
                    "advice": fault.advice,
                }
                for fault in self.faults
            ],
        }

    def to_json(self) -> str:
        """Everything, as one JSON document."""
        return json.dumps(self.to_dict(), indent=1)
