"""Which network to take: the published ones by what they score, how long they will take here and how large they are."""

from litevision.lab.choose.report import choose

__all__ = ["choose"]
