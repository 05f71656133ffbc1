"""How well published detectors score on labelled images when they are run as they came, for comparison with bundles.

    python tools/score_originals.py IMAGES nanodet_m_320.onnx nanodet_plus_m_416.ncnn.param [--bundles m.onnx p.onnx]

IMAGES is a labelled set of COCO's classes, as `litevision evaluate` takes it. Each file is run in its own engine on
pixels of the size that its network was trained with; heads are decoded, and boxes suppressed, with numpy alone. The
evaluation is that of `litevision evaluate`, with which the bundles given are scored too. ncnn: pip install ncnn.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from litevision import load_detector
from litevision.data import read_boxes
from litevision.detections import Detections, box_iou, clip_boxes
from litevision.evaluation.coco import detection_scores
from litevision.evaluation.detection import DetectionEvaluation, evaluate_detector
from litevision.image import Preprocess

Array = npt.NDArray[Any]
MEAN_BGR, STD_BGR = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
IOU, SCORE, MOST = 0.6, 0.05, 100


def main() -> None:
    """Scores every file."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("images", type=Path)
    options.add_argument("originals", type=Path, nargs="+")
    options.add_argument("--bundles", type=Path, nargs="*", default=[])
    options.add_argument("--crop", choices=("letterbox", "stretch"), default="letterbox")
    given = options.parse_args()
    data = read_boxes(given.images)
    for path in given.originals:
        size = 320 if "320" in path.name else 416
        preprocess = Preprocess((size, size), size, given.crop, pad_value=0)
        run = original(path)
        found = tuple(in_image(run(preprocess(it.path)), preprocess, it.size_hw, data.classes) for it in data.samples)
        report(path, DetectionEvaluation("all", data.classes, tuple(data.samples), found))
    for path in given.bundles:
        report(path, evaluate_detector(load_detector(path), data.samples, data.classes, split="all"))


def report(path: Path, evaluation: DetectionEvaluation) -> None:
    """Prints the scores of one file."""
    scores = detection_scores(evaluation)
    print(f"{path.name}: AP {scores.ap:.4f}  AP50 {scores.ap50:.4f}  {scores.boxes:,} boxes", flush=True)


def in_image(found: tuple[Array, Array, Array], preprocess: Preprocess, size_hw: tuple[int, int], classes: Any) -> Any:
    """Boxes of the input as those of the image."""
    boxes, scores, labels = found
    boxes = clip_boxes(preprocess.geometry(size_hw).invert_boxes(boxes), size_hw)
    return Detections(boxes, scores, labels, classes, size_hw)


def original(path: Path) -> Callable[[Array], tuple[Array, Array, Array]]:
    """What runs the file at ``path`` on uint8 RGB [H, W, 3]: boxes in px of it, scores and classes."""
    outputs = _ncnn(path) if path.suffix == ".param" else _onnx(path)

    def run(image_u8_hwc: Array) -> tuple[Array, Array, Array]:
        pixels = (image_u8_hwc[..., ::-1] - np.array(MEAN_BGR)) / np.array(STD_BGR)
        scores, edges, is_plus = outputs(np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32))
        return suppressed(dense_boxes(edges, image_u8_hwc.shape[:2], is_plus=is_plus), scores)

    return run


def dense_boxes(edges: Array, size_hw: tuple[int, ...], *, is_plus: bool) -> Array:
    """The box of every cell, of logits [M, 32]."""
    height, width = size_hw
    points = []
    for stride in (8, 16, 32, 64) if is_plus else (8, 16, 32):
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = np.mgrid[:rows, :columns].reshape(2, -1) * stride + (0 if is_plus else (stride - 1) / 2)
        points.append(np.stack([x, y, np.full_like(x, stride)], 1))
    x, y, strides = np.concatenate(points).T
    odds = np.exp(edges.reshape(-1, 4, 8).astype(np.float64))
    left, top, right, bottom = ((odds / odds.sum(-1, keepdims=True)) @ np.arange(8) * strides[:, None]).T
    boxes = np.stack([x - left, y - top, x + right, y + bottom], 1)
    return np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)


def suppressed(boxes: Array, scores: Array) -> tuple[Array, Array, Array]:
    """Class by class, what no better box overlaps: the best of them first."""
    kept: list[tuple[float, int, int]] = []
    for label, its_scores in enumerate(scores.T):
        cells = np.flatnonzero(its_scores > SCORE)
        cells = cells[np.argsort(-its_scores[cells], kind="stable")]
        overlaps = box_iou(boxes[cells], boxes[cells]) > IOU
        is_left = np.ones(len(cells), bool)
        for i, cell in enumerate(cells):
            if is_left[i]:
                kept.append((float(its_scores[cell]), label, int(cell)))
                is_left[i + 1 :] &= ~overlaps[i, i + 1 :]
    kept.sort(key=lambda it: -it[0])
    best, labels, cells = (np.array(part) for part in zip(*kept[:MOST], strict=True)) if kept else (np.zeros(0),) * 3
    return boxes[cells.astype(int)], best.astype(np.float32), labels.astype(np.int64)


def _onnx(path: Path) -> Callable[[Array], tuple[Array, Array, bool]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    names = [output.name for output in session.get_outputs()]

    def outputs(pixels: Array) -> tuple[Array, Array, bool]:
        found = dict(zip(names, session.run(None, {given.name: pixels[None]}), strict=True))
        if len(found) == 1:
            [rows] = found.values()
            return rows[0, :, :-32], rows[0, :, -32:], True
        scores, edges = (np.concatenate([found[f"{kind}_pred_stride_{s}"][0] for s in (8, 16, 32)]) for kind in _KINDS)
        return scores, edges, False

    return outputs


_KINDS = ("cls", "dis")


def _ncnn(path: Path) -> Callable[[Array], tuple[Array, Array, bool]]:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{name}", False)
    net.load_param(str(path))
    net.load_model(str(path.with_suffix(".bin")))

    def outputs(pixels: Array) -> tuple[Array, Array, bool]:
        extractor = net.create_extractor()
        held = ncnn.Mat(pixels)  # keeps no reference to ``pixels``, which must outlive the run
        extractor.input("data", held)
        rows = np.array(extractor.extract("output")[1])
        return rows[:, :-32], rows[:, -32:], True

    return outputs


if __name__ == "__main__":
    main()
