"""Recognise labels of boxes in forms that are not read, so that they are named and never taken for something else."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from litevision.data.formats.label_files import head_of
from litevision.data.listing import is_image

_HEAD_BYTES = 64 * 1024
_LOOKED_AT = 20  # files of a folder


class _Form(NamedTuple):
    """One form: its name in words, and regular expressions for a file's name and its beginning."""

    name: str
    file: re.Pattern[str]
    head: re.Pattern[bytes] | None


def _form(name: str, file: str, head: str | None = None) -> _Form:
    return _Form(name, re.compile(file, re.IGNORECASE), re.compile(head.encode(), re.DOTALL) if head else None)


_LINE = r"[^\n]*\n"
_FLOAT = r"-?\d+(\.\d+)?"
_FORMS = (
    _form("Supervisely's JSON", r"\.json$", r'"classTitle"'),
    _form("VoTT's JSON", r"\.(json|vott)$", r'"assets"\s*:\s*\{|"visitedFrameNames"|"sourceConnection"'),
    _form("Labelbox's JSON", r"\.(nd)?json$", r'"data_row"|"Labeled Data"'),
    _form("V7 Darwin's JSON", r"\.json$", r'"bounding_box"'),
    _form("Datumaro's JSON", r"\.json$", r'"dm_format_version"|"items"\s*:\s*\[.*"label_id"'),
    _form("SageMaker's manifest", r"\.(manifest|jsonl)$", r'"source-ref"'),
    _form("JSON of another form", r"\.json$", r'"(bounding_boxes|bboxes?|boxes)"\s*:'),
    _form("BDD100K's JSON", r"\.json$", r'"box2d"'),
    _form("COCO's JSON without annotations", r"\.json$", r'"images"\s*:\s*\[.*"file_name"'),
    _form("CVAT's XML of a video", r"\.xml$", r"<track\s"),
    _form("a table of another form", r"\.(csv|tsv)$", r"(?i)\A[^\n]*(bbox|bounding_?box|polygon|xmin|x_min)"),
    _form("DOTA's turned boxes", r"\.txt$", rf"\A(imagesource{_LINE}gsd{_LINE})?({_FLOAT}[ ,]){{8}}[A-Za-z][\w-]* \d"),
    _form("KITTI's text", r"\.txt$", rf"\A[A-Za-z_]+( {_FLOAT}){{14}}\s"),
    _form("MOT's text", r"(^|/)(gt|det)\.txt$", rf"\A\d+,-?\d+,({_FLOAT},){{4}}"),
    _form("TFRecord", r"\.(tfrecords?|record)$"),
    _form("MATLAB's file", r"\.mat$"),
)


def unread_labels(folder: Path, names: Iterable[str]) -> tuple[Path, str] | None:
    """The first file of a folder that looks like labels of boxes in a form that is not read, and that form."""
    looked_at = 0
    for name in names:
        if is_image(name):
            continue
        forms = [form for form in _FORMS if form.file.search(name)]
        if not forms:
            continue
        looked_at += 1
        if looked_at > _LOOKED_AT:
            break
        path = folder / name
        head = head_of(path, _HEAD_BYTES)
        found = next((form.name for form in forms if head and (form.head is None or form.head.search(head))), None)
        if found:
            return path, found
    return None
