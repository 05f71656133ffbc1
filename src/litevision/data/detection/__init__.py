"""Labelled boxes: Pascal VOC, COCO and YOLO, told apart by themselves, in one form. No torch."""

from litevision.data.detection.find import is_detection
from litevision.data.detection.read import read_boxes
from litevision.data.detection.records import DetectionSample, LabelledBoxes

__all__ = ["DetectionSample", "LabelledBoxes", "is_detection", "read_boxes"]
