"""The ShuffleNetV2 paper's four guidelines, measured again on this machine."""

from litevision.cost.guidelines.designs import SCALES, Design, find_designs
from litevision.cost.guidelines.findings import Finding, findings
from litevision.cost.guidelines.measure import Row, measure

__all__ = ["SCALES", "Design", "Finding", "Row", "find_designs", "findings", "measure"]
