"""LiteRT files of bundles: raw pixels in, the bundle's answers out, with labels for those who read the file."""

from pathlib import Path

import numpy as np
import onnx

from litevision import __version__
from litevision.errors import ExportError, UsageError
from litevision.exporting.formats import HALF_TOLERANCE, INT8_TOLERANCE, FinishedBundle, Variant
from litevision.exporting.graph_parts import read_model
from litevision.exporting.litert.lowering import Lowering, Storage
from litevision.exporting.litert.model_writer import Tensor
from litevision.exporting.litert.operators import PIXELS, lower_nodes
from litevision.exporting.litert.suppression import suppressed
from litevision.exporting.litert.task_metadata import DETECTION, task_metadata, with_files
from litevision.exporting.suppression import suppression_of, without_suppression
from litevision.exporting.surgery import fixed_to_one_image
from litevision.runtime import BundleMetadata
from litevision.runtime.engines import engine_choice
from litevision.runtime.engines.litert_engine import LitertEngine

TOLERANCE = 1e-4
"""Largest difference of a probability that float32 arithmetic in another order explains."""
INPUT = "images"
_METADATA = "TFLITE_METADATA"
_BY_ROWS = [1, 0, 3, 2]
"""(left, top, right, bottom) as (top, left, bottom, right), and back."""


def write_litert(bundle: FinishedBundle, unfinished: Path, variant: Variant) -> float:
    """Writes the bundle's graph as a .tflite file; arguments as for ``ExportFormat.write``.

    Raises:
        UsageError: weights in 8 bits are asked for, and in float16 too, or of a bundle in 8 bits.
        ExportError: as for ``to_litert``.
    """
    if variant.dynamic_int8 and (variant.half or bundle.metadata.quantization is not None):
        what = "half is another precision" if variant.half else "this bundle is in 8 bits already"
        raise UsageError(f"dynamic int8 is for float32 weights, and {what}; give one of them")
    model = read_model(bundle.path.read_bytes())
    storage: Storage = "int8" if variant.dynamic_int8 else "float16" if variant.half else "float32"
    unfinished.write_bytes(to_litert(model, bundle.metadata, storage))
    return {"int8": INT8_TOLERANCE, "float16": HALF_TOLERANCE, "float32": TOLERANCE}[storage]


def open_litert(path: Path) -> LitertEngine:
    """Opens such a file."""
    return LitertEngine(path.read_bytes(), engine_choice("litert", threads=1), name=str(path))


def to_litert(
    model: onnx.ModelProto, metadata: BundleMetadata, storage: Storage, *, integers_alone: bool = False
) -> bytes:
    """Returns the LiteRT file of a bundle's graph.

    It takes ``images``, uint8 [1, H, W, 3]. A classifier gives ``probabilities``, float32 [1, classes], or int8 with
    integers alone. A detector gives what TFLite's detectors give: ``location``, float32 [1, K, 4], (top, left, bottom,
    right) in [0, 1] of the input; ``category`` and ``score``, float32 [1, K]; ``number of detections``, float32 [1].

    Args:
        model: the graph, with its constants folded.
        metadata: what the bundle says about itself; goes into the file.
        storage: of the weights.
        integers_alone: nothing of a quantised graph, whose answers are quantised too, is computed in float.

    Raises:
        MissingExtraError: ai-edge-litert is not installed.
        ExportError: the graph holds what LiteRT has no operator for.
    """
    suppression = suppression_of(model)
    g, images, answers = lower(without_suppression(model), storage, integers_alone=integers_alone)
    if suppression is not None:
        answers = suppressed(g, answers, suppression, metadata.preprocess.size_hw)
    elif metadata.finds_boxes:
        answers = _as_detections(g, answers, metadata.preprocess.size_hw)
    notes = {_METADATA: task_metadata(metadata)}
    written = g.writer.finish({INPUT: images}, answers, notes, f"litevision {__version__}")
    return with_files(written, metadata)


def lower(
    model: onnx.ModelProto, storage: Storage = "float32", *, integers_alone: bool = False
) -> tuple[Lowering, Tensor, dict[str, Tensor]]:
    """Lowers a graph that takes raw pixels; gives the model so far, the pixels, and the graph's outputs by name.

    Raises:
        MissingExtraError, ExportError: as for ``to_litert``.
    """
    g = Lowering(fixed_to_one_image(model), storage, integers_alone=integers_alone)
    [given] = g.graph.input
    images = g.writer.tensor(g.shape(given.name), "uint8", PIXELS)
    g.put(given.name, images)
    lower_nodes(g)
    if not g.integers_alone:
        return g, images, {one.name: g.plain(one.name).tensor for one in g.graph.output}
    if in_float := g.writer.operators_in("float32"):
        raise ExportError(f"{' and '.join(in_float)} would compute in float; integers alone are not for this network")
    return g, images, {one.name: g.raw(one.name, range(len(g.shape(one.name)))).tensor for one in g.graph.output}


def _as_detections(g: Lowering, answers: dict[str, Tensor], size_hw: tuple[int, int]) -> dict[str, Tensor]:
    """The outputs that readers of TFLite's detectors expect."""
    writer, (height, width) = g.writer, size_hw
    boxes, scores = answers["boxes"], answers["scores"]
    by_rows = writer.op("GATHER", [boxes, writer.constant(np.array(_BY_ROWS, np.int32))], boxes.shape, axis=2)
    sides = writer.constant(np.array([1 / height, 1 / width, 1 / height, 1 / width], np.float32))
    least = writer.constant(np.array(-1, np.float32))
    is_there = writer.op("CAST", [writer.op("GREATER", [scores, least], scores.shape, "bool")], scores.shape)
    count = writer.op("SUM", [is_there, writer.constant(np.array([1], np.int32))], (1,), keepDims=False)
    classes = writer.op("CAST", [answers["classes"]], scores.shape)
    return dict(zip(DETECTION, (writer.op("MUL", [by_rows, sides], boxes.shape), classes, scores, count), strict=True))
