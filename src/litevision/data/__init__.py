"""Labelled data: readers, splits and the check for faults. No torch."""

from litevision.data.check import DataReport, check_data
from litevision.data.faults import RULES, Fault, Rule
from litevision.data.read import read_labelled
from litevision.data.records import SPLITS, LabelledPictures, Sample, Split
from litevision.data.scan import quick_scan

__all__ = [
    "RULES",
    "SPLITS",
    "DataReport",
    "Fault",
    "LabelledPictures",
    "Rule",
    "Sample",
    "Split",
    "check_data",
    "quick_scan",
    "read_labelled",
]
