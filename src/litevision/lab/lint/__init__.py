"""Lint rules for ONNX graphs, from the four guidelines of the ShuffleNetV2 paper, each violation measured."""

from litevision.lab.lint.measure import lint

__all__ = ["lint"]
