"""How each origin names and lays out its tensors: one module per origin, a mapping per family, total on both sides."""

from litevision.weights.convert.apply import Applied, apply, extract
from litevision.weights.convert.layout import Layout, Tensors

__all__ = ["Applied", "Layout", "Tensors", "apply", "extract"]
