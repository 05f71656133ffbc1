"""Labelled data: readers, splits and the check for faults. No torch."""

from litevision.data.check import DataReport, check_data
from litevision.data.detection import DetectionSample, LabelledBoxes, is_detection, read_boxes
from litevision.data.issues import RULES, Issue, Rule
from litevision.data.read import read_labelled
from litevision.data.records import SPLITS, LabelledImages, Sample, Split
from litevision.data.scan import quick_scan

__all__ = [
    "RULES",
    "SPLITS",
    "DataReport",
    "DetectionSample",
    "Issue",
    "LabelledBoxes",
    "LabelledImages",
    "Rule",
    "Sample",
    "Split",
    "check_data",
    "is_detection",
    "quick_scan",
    "read_boxes",
    "read_labelled",
]
