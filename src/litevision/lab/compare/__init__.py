"""The published comparison of CenterNets, on a user's own images and machine."""

from litevision.lab.compare.report import DEFAULTS, Comparison, compare

__all__ = ["DEFAULTS", "Comparison", "compare"]
