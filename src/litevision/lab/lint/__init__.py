"""Lint rules for ONNX graphs, from the four guidelines of the ShuffleNetV2 paper, each violation measured."""

from litevision.lab.lint.measure import Complaint, lint
from litevision.lab.lint.rules import Suspect, balanced_widths, suspects

__all__ = ["Complaint", "Suspect", "balanced_widths", "lint", "suspects"]
