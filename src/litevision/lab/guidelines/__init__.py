"""The ShuffleNetV2 paper's four guidelines, measured again on this machine."""

from litevision.lab.guidelines.designs import SCALES, Design, find_designs
from litevision.lab.guidelines.findings import Finding, findings
from litevision.lab.guidelines.measure import VariantTiming, measure

__all__ = ["SCALES", "Design", "Finding", "VariantTiming", "find_designs", "findings", "measure"]
