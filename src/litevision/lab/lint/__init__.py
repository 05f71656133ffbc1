"""Lint rules for ONNX graphs, from the four guidelines of the ShuffleNetV2 paper, each violation measured."""

from litevision.lab.lint.measure import LintReport, TimedViolation, lint, time_violations
from litevision.lab.lint.rules import Findings, Unjudged, Violation, balanced_widths, find_violations

__all__ = [
    "Findings",
    "LintReport",
    "TimedViolation",
    "Unjudged",
    "Violation",
    "balanced_widths",
    "find_violations",
    "lint",
    "time_violations",
]
