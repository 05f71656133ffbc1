"""Lint rules for ONNX graphs, from the four guidelines of the ShuffleNetV2 paper, each violation measured."""

from litevision.lab.lint.measure import TimedViolation, lint
from litevision.lab.lint.rules import Violation, balanced_widths, find_violations

__all__ = ["TimedViolation", "Violation", "balanced_widths", "find_violations", "lint"]
