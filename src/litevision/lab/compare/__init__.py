"""The published comparison of CenterNets, on a user's own images and machine."""

from litevision.lab.compare.report import Comparison, compare

__all__ = ["Comparison", "compare"]
