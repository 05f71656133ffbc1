"""Data sets as people bring them: one builder a habit, with what is in it when it is read right."""

from training_cases import classes, coco, others, voc, yolo
from training_cases.case import CASES, Case

__all__ = ["CASES", "Case", "classes", "coco", "others", "voc", "yolo"]
