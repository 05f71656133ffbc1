"""The record of an exported file, as JSON: all that an app needs to use it where metadata cannot be read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litevision.files import json_text, sha256_of
from litevision.runtime import BundleMetadata, Engine
from litevision.runtime.engines.adapted import MAPS, TOP_K, AdaptedEngine, mean_and_norm
from litevision.runtime.engines.base import TensorInfo
from litevision.runtime.model_folder import RECORD_FORMAT

_MEANING = {
    "probabilities": "of each class, in the order of the labels",
    "boxes": "x1, y1, x2, y2 in px of the input",
    "scores": "of each box, falling; 0 where there are no more",
    "classes": "of each box, its place among the labels",
    "heatmap": "logits of each class in each cell",
    "size": "width and height of a box in cells",
    "offset": "of a box's centre from its cell's left and top, in cells",
}


def record_json(engine: Engine, metadata: BundleMetadata, format_name: str, files: Sequence[Path]) -> str:
    """Writes the record of a file that ``engine`` has opened.

    Args:
        engine: with the inputs and outputs that the file has.
        metadata: the bundle's, with the outcome of this file's check.
        format_name: a key of ``FORMATS``.
        files: the file, or those of the folder.
    """
    native = engine.inner if isinstance(engine, AdaptedEngine) else engine
    record = {
        "format": RECORD_FORMAT,
        "file": {"format": format_name, "sha256": {file.name: sha256_of(file) for file in files}},
        "inputs": [_input(it, metadata) for it in native.inputs],
        "outputs": [{**_tensor(it), "meaning": _MEANING.get(it.name, "")} for it in native.outputs],
        "decoding": _decoding(native, metadata),
        "model": json.loads(metadata.to_json()),
    }
    return json_text(record, indent=1) + "\n"


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
