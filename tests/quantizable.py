"""A small network with real layers, and images that it knows, to be quantised."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
from onnx import numpy_helper

from bundles import plain_metadata
from images import encoded
from litevision.runtime import METADATA_KEY

COLOURS = ("red", "green", "blue")
GRAPH = """<ir_version: 7, opset_import: ["" : 13]> g (uint8[n, 16, 16, 3] images) => (float[n, 3] probabilities)
<float scale = {0.0039}, float two = {2}> {
    moved = Transpose <perm = [0, 3, 1, 2]> (images)
    pixels = Cast <to = 1> (moved)
    x = Mul (pixels, scale)
    w1 = Mul (half, two)
    a = Conv (x, w1, b1)
    r = Relu (a)
    d = Conv <group = 12, pads = [1, 1, 1, 1]> (r, w2, b2)
    t = Relu (d)
    p = GlobalAveragePool (t)
    f = Flatten (p)
    l = Gemm (f, w3, b3)
    probabilities = Softmax (l)
}"""


def colour_bundle(path: Path) -> Path:
    """A network whose weights say which of three colours an image has; its first weights are computed in the graph."""
    draw = np.random.default_rng(0)
    mix = np.repeat(np.eye(3), 4, 0) + draw.normal(0, 0.05, (12, 3))
    tensors = {
        "half": mix[:, :, None, None] / 2,
        "b1": np.zeros(12),
        "w2": np.full((12, 1, 3, 3), 1 / 9) + draw.normal(0, 0.01, (12, 1, 3, 3)),
        "b2": np.zeros(12),
        "w3": np.repeat(np.eye(3), 4, 0) * 4,
        "b3": np.zeros(3),
    }
    made = onnx.parser.parse_model(GRAPH)
    made.graph.initializer.extend(numpy_helper.from_array(it.astype(np.float32), name) for name, it in tensors.items())
    plain = plain_metadata(COLOURS, (16, 16))
    onnx.helper.set_model_props(made, {METADATA_KEY: json.dumps(plain)})
    onnx.checker.check_model(made, full_check=True)
    path.write_bytes(made.SerializeToString())
    return path


def coloured(label: int, seed: int) -> npt.NDArray[np.uint8]:
    image = np.random.default_rng(seed).integers(0, 120, (20, 20, 3), np.uint8)
    image[:, :, label] += 60
    return image


def write_place(folder: Path) -> Path:
    """Fills a folder with a bundle, and labelled images to calibrate on and to judge by."""
    colour_bundle(folder / "float.onnx")
    for split, count in (("train", 6), ("test", 8)):
        for label, name in enumerate(COLOURS):
            (folder / "data" / split / name).mkdir(parents=True)
            for i in range(count):
                seed = 1000 * (split == "test") + 100 * label + i
                (folder / "data" / split / name / f"{i}.png").write_bytes(encoded(coloured(label, seed)))
    return folder
