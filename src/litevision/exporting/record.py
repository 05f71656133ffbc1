"""The record of an exported file, as JSON and as a C header: all that an app needs where metadata cannot be read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litevision.files import atomic_write, json_text, sha256_of
from litevision.outputs import HEADER_KIND, HEADER_MARK, RECORD_KIND, check_output
from litevision.runtime import BundleMetadata, Engine
from litevision.runtime.detector import DEFAULT_SCORE_THRESHOLD
from litevision.runtime.engines.adapted import CELLS, MAPS, TOP_K, AdaptedEngine, mean_and_norm
from litevision.runtime.engines.base import TensorInfo
from litevision.runtime.model_folder import RECORD_FORMAT

HEADER = "model.h"
"""The C header in a folder."""

_MEANING = {
    "probabilities": "of each class, in the order of the labels",
    "boxes": "x1, y1, x2, y2 in px of the input",
    "scores": "of each box, falling; 0 where there are no more",
    "classes": "of each box, its place among the labels",
    "heatmap": "logits of each class in each cell",
    "size": "width and height of a box in cells",
    "offset": "of a box's centre from its cell's left and top, in cells",
    "cell_boxes": "of each cell: x1, y1, x2, y2 in px of the input",
    "cell_scores": "of each class in each cell",
}


def record_of(engine: Engine, metadata: BundleMetadata, format_name: str, files: Sequence[Path]) -> dict[str, Any]:
    """Makes the record of a file that ``engine`` has opened.

    Args:
        engine: with the inputs and outputs that the file has.
        metadata: the bundle's, with the outcome of this file's check.
        format_name: a key of ``FORMATS``.
        files: the file, or those of the folder.
    """
    native = engine.inner if isinstance(engine, AdaptedEngine) else engine
    return {
        "format": RECORD_FORMAT,
        "file": {"format": format_name, "sha256": {file.name: sha256_of(file) for file in files}},
        "inputs": [_input(it, metadata) for it in native.inputs],
        "outputs": [{**_tensor(it), "meaning": _MEANING.get(it.name, "")} for it in native.outputs],
        "decoding": _decoding(native, metadata),
        "model": json.loads(metadata.to_json()),
    }


def check_sidecars(path: Path) -> None:
    """Refuses to write sidecars over what is somebody's; errors as of ``check_output``."""
    check_output(path.with_suffix(".json"), RECORD_KIND)
    check_output(path.with_suffix(".h"), HEADER_KIND)


def write_sidecars(path: Path, record: dict[str, Any], metadata: BundleMetadata) -> None:
    """Writes the record of the file at ``path`` beside it, as JSON and as a header."""
    for suffix, text in ((".json", record_json(record)), (".h", record_header(record, metadata))):
        with atomic_write(path.with_suffix(suffix)) as partial:
            partial.write_text(text, "utf-8")


def record_json(record: dict[str, Any]) -> str:
    """Writes a record as JSON."""
    return json_text(record, indent=1) + "\n"


def record_header(record: dict[str, Any], metadata: BundleMetadata) -> str:
    """Writes what a C or C++ program must know of a record as a header: no memory but for labels and thresholds.

    Args:
        record: as ``record_of`` makes it.
        metadata: the bundle's, which the record holds as JSON.
    """
    preprocess, [given] = metadata.preprocess, record["inputs"]
    height, width = preprocess.size_hw
    least = list(metadata.score_thresholds or [DEFAULT_SCORE_THRESHOLD] * len(metadata.labels))
    lists = {name.upper(): given[name] for name in ("mean", "norm") if name in given}
    lists |= {"THRESHOLDS": least} if metadata.finds_boxes else {}
    numbers = {
        "HEIGHT": height,
        "WIDTH": width,
        "RESIZE": preprocess.resize_px,
        "CROP": f"MODEL_{preprocess.crop.upper()}",
        "INTERPOLATION": f"MODEL_{preprocess.interpolation.upper()}",
        "PADDING": preprocess.padding,
        "ALIGN_TOP_LEFT": int(preprocess.align == "top-left"),
        "FINDS_BOXES": int(metadata.finds_boxes),
        "CLASSES": len(metadata.labels),
    }
    if (decoding := record["decoding"]) is not None and decoding["kind"] == "nms":
        numbers |= {
            "NMS_IOU": f"{decoding['iou_threshold']!r}f",
            "NMS_SCORE": f"{decoding['score_threshold']!r}f",
            "NMS_MOST": decoding["top_k"],
        }
    lines = [
        f"{HEADER_MARK} of {', '.join(record['file']['sha256'])}. Input: {given['dtype']}, {given['layout']}, "
        f"{given['channels']}; {given['meaning']}. */",
        "#ifndef LITEVISION_MODEL_H",
        "#define LITEVISION_MODEL_H",
        "enum { MODEL_CENTER, MODEL_STRETCH, MODEL_LETTERBOX };",
        "enum { MODEL_BILINEAR, MODEL_BICUBIC };",
        *(f"#define MODEL_{name} {value}" for name, value in numbers.items()),
        *(f"static const float MODEL_{name}[] = {_c_floats(values)};" for name, values in lists.items()),
        "static const char *const MODEL_LABELS[] = {",
        *(f"    {_c_text(label)}," for label in metadata.labels),
        "};",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _c_floats(values: Sequence[float]) -> str:
    return "{" + ", ".join(f"{float(value)!r}f" for value in values) + "}"


def _c_text(text: str) -> str:
    """A literal of C: bytes of UTF-8, those beyond ASCII in octal, so that no compiler reads them otherwise."""
    told = ((chr(byte), byte) for byte in text.encode())
    return (
        '"' + "".join(one if " " <= one < "\x7f" and one not in '"\\?' else f"\\{byte:03o}" for one, byte in told) + '"'
    )


def _tensor(it: TensorInfo) -> dict[str, Any]:
    return {"name": it.name, "dtype": "float32" if it.dtype == "float" else it.dtype, "shape": list(it.shape)}


def _input(it: TensorInfo, metadata: BundleMetadata) -> dict[str, Any]:
    last = it.shape[-1] in (1, 3)
    channels = it.shape[-1] if last else it.shape[1]
    facts = {**_tensor(it), "layout": "NHWC" if last else "NCHW", "channels": "RGB" if channels == 3 else "grey"}
    if it.dtype == "uint8":
        return {**facts, "meaning": "pixels from 0 to 255; the graph normalises them"}
    mean, norm = (each[:channels].tolist() for each in mean_and_norm(metadata.normalisation))
    return {**facts, "mean": mean, "norm": norm, "meaning": "(pixel from 0 to 255 - mean) * norm"}


def _decoding(native: Engine, metadata: BundleMetadata) -> dict[str, Any] | None:
    shapes = {it.name: it.shape for it in native.outputs}
    if set(CELLS) <= set(shapes) and metadata.suppression is not None:
        suppression = metadata.suppression
        return {
            "kind": "nms",
            "iou_threshold": suppression.iou_threshold,
            "score_threshold": suppression.score_threshold,
            "top_k": min(suppression.max_detections, metadata.top_k or TOP_K),
            "steps": [
                "keep every score above score_threshold, with the box of its cell; a cell may have several classes",
                "of each class, from the highest score down: drop the boxes that overlap one that was kept by an IoU "
                "above iou_threshold",
                "take the top_k highest of all classes",
            ],
        }
    if not set(MAPS) <= set(shapes):
        return None
    height = shapes["heatmap"][2]
    stride = metadata.preprocess.size_hw[0] // height if height else None
    return {
        "kind": "centernet",
        "stride": stride,
        "top_k": metadata.top_k or TOP_K,
        "steps": [
            "keep the cells of the heatmap that are as high as the highest in the 3x3 cells around them, in each class",
            "take the top_k highest of all classes; the score is the sigmoid of the heatmap there",
            "centre = (column + offset[0], row + offset[1]); half = max(size, 0) / 2",
            "box = stride * (centre - half, centre + half), in px of the input",
        ],
    }
