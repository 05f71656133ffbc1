"""The four guidelines of the ShuffleNetV2 paper, measured again on this machine."""

from litevision.lab.guidelines.designs import SCALES, Design, find_designs
from litevision.lab.guidelines.findings import Finding, findings
from litevision.lab.guidelines.measure import VariantTiming, measure
from litevision.lab.guidelines.report import GuidelinesReport, guidelines

__all__ = [
    "SCALES",
    "Design",
    "Finding",
    "GuidelinesReport",
    "VariantTiming",
    "find_designs",
    "findings",
    "guidelines",
    "measure",
]
