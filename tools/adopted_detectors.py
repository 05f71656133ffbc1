"""Published detectors as `litevision adopt` takes them, against a plain script's own way: AP, and milliseconds.

    python tools/adopted_detectors.py DETECTORS DATA [--rounds 7] [--only yolox_nano]

DETECTORS is a folder with the ONNX files of ``MODELS``, DATA one with images/ and labels/ in YOLO's form, whose classes
are COCO's 80. The plain script (Pillow, numpy and onnxruntime) shares no line with litevision's decodings: it feeds
pixels, decodes and suppresses in its own way. Both are scored by faster-coco-eval. Times are of one image, already
resized, to its boxes: the bundle with its decoding and suppression inside, the plain file with numpy's behind it.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from faster_coco_eval import COCO, COCOeval_faster
from PIL import Image, ImageOps

import litevision as lv
from litevision.registry.labels import coco_labels

K = 100
Array = np.ndarray[Any, Any]


def log_softmax_mean(bins: Array) -> Array:
    """The mean of a distribution over 0, 1, ... given as logits on the last axis."""
    powers = np.exp(bins - bins.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)) @ np.arange(bins.shape[-1])


def focal(
    outputs: list[Array], side: int, strides: tuple[int, ...], shift: Callable[[int], float]
) -> tuple[Array, Array]:
    """Scores and distances in turn for all strides: those of NanoDet and PicoDet."""
    boxes, scores = [], []
    for stride, of_class, bins in zip(strides, outputs[: len(strides)], outputs[len(strides) :], strict=True):
        cells = -(-side // stride)
        left, top, right, bottom = log_softmax_mean(bins[0].reshape(-1, 4, 8)).T * stride
        x = np.tile(np.arange(cells), cells) * stride + shift(stride)
        y = np.repeat(np.arange(cells), cells) * stride + shift(stride)
        boxes.append(np.stack([x - left, y - top, x + right, y + bottom], 1))
        scores.append(of_class[0])
    return np.concatenate(boxes), np.concatenate(scores)


def nanodet(outputs: list[Array]) -> tuple[Array, Array]:
    """NanoDet-m at 320."""
    return focal(outputs, 320, (8, 16, 32), lambda stride: (stride - 1) / 2)


def picodet(outputs: list[Array]) -> tuple[Array, Array]:
    """PicoDet-S at 416."""
    return focal(outputs, 416, (8, 16, 32, 64), lambda stride: stride / 2)


def yolox(outputs: list[Array]) -> tuple[Array, Array]:
    """YOLOX-Nano at 416."""
    boxes, scores, start = [], [], 0
    for stride in (8, 16, 32):
        cells = 416 // stride
        part = outputs[0][0, start : start + cells * cells].reshape(cells, cells, 85)
        start += cells * cells
        x, y = part[..., 0] + np.arange(cells), part[..., 1] + np.arange(cells)[:, None]
        half_w, half_h = np.exp(part[..., 2]) / 2, np.exp(part[..., 3]) / 2
        boxes.append(np.stack([x - half_w, y - half_h, x + half_w, y + half_h], -1).reshape(-1, 4) * stride)
        scores.append((part[..., 4:5] * part[..., 5:]).reshape(-1, 80))
    return np.concatenate(boxes), np.concatenate(scores)


def fastestdet(outputs: list[Array]) -> tuple[Array, Array]:
    """FastestDet at 352: of each cell its best class."""
    part = outputs[0][0].transpose(1, 2, 0)
    x, y = np.tanh(part[..., 1]) + np.arange(22), np.tanh(part[..., 2]) + np.arange(22)[:, None]
    half_w, half_h = (1 / (1 + np.exp(-part[..., place])) * 11 for place in (3, 4))
    boxes = np.stack([x - half_w, y - half_h, x + half_w, y + half_h], -1).reshape(-1, 4) * 16
    best = part[..., 5:].argmax(-1)[..., None] == np.arange(80)
    return boxes, (part[..., :1] ** 0.6 * part[..., 5:] ** 0.4 * best).reshape(-1, 80)


def deim(outputs: list[Array]) -> tuple[Array, Array]:
    """DEIMv2 has chosen its boxes: each has one class."""
    labels, boxes, scores = (output[0] for output in outputs)
    return boxes, scores[:, None] * (labels[:, None] == np.arange(80))


class Model(NamedTuple):
    """How a file is fed and decoded; ``fit`` is where the image goes in the input."""

    preset: str
    side: int
    decode: Callable[[list[Array]], tuple[Array, Array]]
    fit: str
    bgr: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    iou: float | None
    least: float


BGR_MEAN, BGR_STD, ZERO, ONE, BYTE = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395), (0,) * 3, (1,) * 3, (255,) * 3
MODELS = {
    "deimv2_femto": Model("deimv2", 416, deim, "stretch", False, ZERO, BYTE, None, 0),
    "picodet_s_416": Model("picodet", 416, picodet, "stretch", True, BGR_MEAN, BGR_STD, 0.6, 0.025),
    "yolox_nano": Model("yolox", 416, yolox, "top-left", True, ZERO, ONE, 0.45, 0.01),
    "nanodet_m_320": Model("nanodet", 320, nanodet, "center", True, BGR_MEAN, BGR_STD, 0.6, 0.05),
    "FastestDet": Model("fastestdet", 352, fastestdet, "stretch", True, ZERO, BYTE, 0.45, 0.01),
}


def resize(photo: Image.Image, model: Model) -> tuple[Array, tuple[float, float, float, float]]:
    """The input of a file as uint8 RGB, and what takes its px back: x offset, y offset, x scale, y scale."""
    side = model.side
    if model.fit == "stretch":
        return np.asarray(photo.resize((side, side), Image.Resampling.BILINEAR)), (
            0,
            0,
            photo.width / side,
            photo.height / side,
        )
    ratio = min(side / photo.width, side / photo.height)
    width, height = round(photo.width * ratio), round(photo.height * ratio)
    x, y = ((side - width) // 2, (side - height) // 2) if model.fit == "center" else (0, 0)
    canvas = np.full((side, side, 3), 0 if model.fit == "center" else 114, np.uint8)
    canvas[y : y + height, x : x + width] = np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR))
    return canvas, (x, y, photo.width / width, photo.height / height)


def suppress(boxes: Array, scores: Array, model: Model) -> tuple[Array, Array, Array]:
    """The K best boxes, scores and classes, after non-maximum suppression of each class."""
    found = []
    for label in range(scores.shape[1]):
        order = np.flatnonzero(scores[:, label] > model.least)
        order = order[np.argsort(-scores[order, label], kind="stable")]
        while len(order):
            first, order = order[0], order[1:]
            found.append((first, label))
            if model.iou is not None and len(order):
                x1, y1, x2, y2 = boxes[order].T
                a1, b1, a2, b2 = boxes[first]
                shared = np.clip(np.minimum(x2, a2) - np.maximum(x1, a1), 0, None)
                shared = shared * np.clip(np.minimum(y2, b2) - np.maximum(y1, b1), 0, None)
                union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - shared
                order = order[shared / union <= model.iou]
    cells, labels = np.array(found, int).reshape(-1, 2).T
    best = np.argsort(-scores[cells, labels], kind="stable")[:K]
    return boxes[cells[best]], scores[cells[best], labels[best]], labels[best]


class Plain:
    """A file as it is, in onnxruntime on one thread."""

    def __init__(self, path: Path, model: Model) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.model = model

    def __call__(self, image_u8_hwc: Array) -> tuple[Array, Array, Array]:
        model = self.model
        pixels = image_u8_hwc[..., ::-1] if model.bgr else image_u8_hwc
        pixels = (pixels.astype(np.float32) - np.float32(model.mean)) / np.float32(model.std)
        first, *others = (it.name for it in self.session.get_inputs())
        sizes = {name: np.array([[model.side, model.side]]) for name in others}
        outputs = self.session.run(None, {first: np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]), **sizes})
        return suppress(*model.decode(outputs), model)


def truth(data: Path) -> dict[str, Any]:
    """The boxes of YOLO's label files, as COCO writes them."""
    images, boxes = [], []
    for place, path in enumerate(sorted((data / "images").glob("*.jpg"))):
        with Image.open(path) as photo:
            width, height = ImageOps.exif_transpose(photo).size
        images.append({"id": place, "file_name": path.name, "width": width, "height": height})
        label_file = data / "labels" / f"{path.stem}.txt"
        for line in label_file.read_text().splitlines() if label_file.exists() else ():
            label, x, y, w, h = (float(it) for it in line.split())
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            of_image = {"id": len(boxes) + 1, "image_id": place, "category_id": int(label)}
            boxes.append({**of_image, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
    categories = [{"id": place, "name": name} for place, name in enumerate(coco_labels())]
    return {"images": images, "annotations": boxes, "categories": categories, "info": {}}


def plain_score(plain: Plain, data: Path, expected: dict[str, Any]) -> tuple[float, float]:
    """AP and AP50 of the plain script."""
    results = []
    for it in expected["images"]:
        photo = ImageOps.exif_transpose(Image.open(data / "images" / it["file_name"])).convert("RGB")
        pixels, (x, y, scale_x, scale_y) = resize(photo, plain.model)
        boxes, scores, labels = plain(pixels)
        boxes = (boxes - [x, y, x, y]) * [scale_x, scale_y, scale_x, scale_y]
        boxes = np.clip(boxes, 0, [photo.width, photo.height] * 2)
        boxes[:, 2:] -= boxes[:, :2]
        rows = zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True)
        results += [{"image_id": it["id"], "category_id": c, "bbox": box, "score": s} for box, s, c in rows]
    known = COCO(expected)
    evaluated = COCOeval_faster(known, known.loadRes(results), "bbox")
    evaluated.run()
    return float(evaluated.stats[0]), float(evaluated.stats[1])


def times_ms(contenders: dict[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, list[float]]:
    """The median of each round's calls; contenders take turns, so that other work meets all of them alike."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, call in contenders.items():
            taken = []
            for _ in range(calls):
                start = time.perf_counter()
                call()
                taken.append(1e3 * (time.perf_counter() - start))
            found[name].append(statistics.median(taken))
    return {name: taken[1:] for name, taken in found.items()}


def main() -> None:
    """Adopts, scores and times each file."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("detectors", type=Path)
    options.add_argument("data", type=Path)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--calls", type=int, default=10)
    options.add_argument("--only", nargs="*", choices=MODELS, default=[*MODELS])
    arguments = options.parse_args()
    contenders: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        for part in ("images", "labels"):
            shutil.copytree(arguments.data / part, data / part)
        Path(data, "data.yaml").write_text(
            "train: images\nval: images\nnames:\n" + "".join(f"- {it}\n" for it in coco_labels())
        )
        expected = truth(data)
        print(f"{len(expected['images'])} images, {len(expected['annotations'])} boxes")
        print(f"{'file':16} {'plain AP':>9} {'AP50':>6} {'adopted AP':>11} {'AP50':>6} {'difference':>11}")
        for name in arguments.only:
            model, file, bundle = MODELS[name], arguments.detectors / f"{name}.onnx", Path(folder, f"{name}.onnx")
            lv.adopt(file, bundle, preset=model.preset)
            plain, adopted = Plain(file, model), lv.load_detector(bundle, threads=1)
            ap, ap50 = plain_score(plain, data, expected)
            scores = lv.evaluate(bundle, data, split="all")
            print(
                f"{name:16} {ap:9.4f} {ap50:6.3f} {scores.ap:11.4f} {scores.ap50:6.3f} {scores.ap - ap:11.4f}",
                flush=True,
            )
            with Image.open(data / "images" / expected["images"][0]["file_name"]) as photo:
                pixels = resize(photo.convert("RGB"), model)[0]
            contenders[f"{name} plain"] = lambda plain=plain, pixels=pixels: plain(pixels)
            contenders[f"{name} adopted"] = lambda adopted=adopted, pixels=pixels: adopted.bundle.run(pixels[None])
        if arguments.rounds:
            for what, taken in times_ms(contenders, arguments.rounds, arguments.calls).items():
                print(f"{what:24} {statistics.median(taken):7.2f} ms ({min(taken):.2f} to {max(taken):.2f})")


if __name__ == "__main__":
    main()
