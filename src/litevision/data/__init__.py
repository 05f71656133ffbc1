"""Labelled data: readers of every label format, splits and the check for issues. No torch.

The table of formats and what the help says of it need no numpy and no Pillow, so names are imported at first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litevision.data.check import DataReport, check_data
    from litevision.data.coco_ids import CocoIds
    from litevision.data.dataset import SPLITS, DetectionSample, LabelledBoxes, LabelledImages, Sample, Split
    from litevision.data.formats import FORMATS, Format
    from litevision.data.formats.find import task_of
    from litevision.data.issues import RULES, Issue, Rule
    from litevision.data.reader import quick_scan, read, read_boxes, read_images, read_readable_images

__all__ = [
    "FORMATS",
    "RULES",
    "SPLITS",
    "CocoIds",
    "DataReport",
    "DetectionSample",
    "Format",
    "Issue",
    "LabelledBoxes",
    "LabelledImages",
    "Rule",
    "Sample",
    "Split",
    "check_data",
    "quick_scan",
    "read",
    "read_boxes",
    "read_images",
    "read_readable_images",
    "task_of",
]

_HOMES = {
    "check": ("DataReport", "check_data"),
    "coco_ids": ("CocoIds",),
    "dataset": ("SPLITS", "DetectionSample", "LabelledBoxes", "LabelledImages", "Sample", "Split"),
    "formats": ("FORMATS", "Format"),
    "formats.find": ("task_of",),
    "issues": ("RULES", "Issue", "Rule"),
    "reader": ("quick_scan", "read", "read_boxes", "read_images", "read_readable_images"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
