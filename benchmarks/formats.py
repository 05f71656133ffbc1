"""Every format of `litevision export`, for every family: megabytes, milliseconds, and how far answers are the bundle's.

    python benchmarks/formats.py --weights weights --data images --labels labels.csv

Each network is exported to a bundle, and that to every format and precision. Each file is run on the images in its own
runtime, in a fresh process, and then all files of a network are timed in turns, on one thread. ``--weights`` is a
folder with the published files that ``FILES`` names, ``--runs`` one with own runs named like networks, which see the
images of ``--runs-data``; other networks have random weights, whose answers are compared too, and have no score.
``--labels`` are lines ``path,index``. What is written to ``--output`` is not measured again by the next run, whatever
has changed since. Takes about 30 minutes.
"""

import csv
import random
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import RESULTS, Row, conditions, parser, python_child, report, row, workplace

from litevision import create, export
from litevision.errors import LitevisionError
from litevision.exporting.graph_parts import read_model
from litevision.image import Preprocess, find_images
from litevision.quantizing.gate import save
from litevision.quantizing.graph import float_nodes
from litevision.quantizing.nncf_quantizer import quantise_best
from litevision.runtime import Bundle
from litevision.zoo import BUNDLES

SECONDS, CALIBRATING, SIDE_PX, QUICK_PX = 0.5, 100, 224, 64
SCRIPT = Path(__file__).with_name("_run_format.py")
NETWORKS = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "shufflenet_v2_x1_0",
    "mobilenet_v4_conv_small",
    "centernet",
    "blood-cells",
    "nanodet_m",
)
FILES = {
    "mobilenet_v1": "mobilenet_v1_025_in1k_keras_legacy.h5",
    "mobilenet_v2": "mobilenet_v2_in1k_torchvision.pth",
    "nanodet_m": "nanodet_m_320.onnx",
}
INT8 = "int8, calibrated"
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "ONNX, float32": ("it.onnx", {}),
    "ONNX, float16": ("half.onnx", {"half": True}),
    f"ONNX, {INT8}": ("int8.onnx", {}),
    "OpenVINO, float32": ("it_openvino", {}),
    "OpenVINO, float16": ("half_openvino", {"half": True}),
    "LiteRT, float32": ("it.tflite", {}),
    "LiteRT, float16": ("half.tflite", {"half": True}),
    "LiteRT, dynamic int8": ("dynamic.tflite", {"dynamic_int8": True}),
    f"LiteRT, {INT8}": ("int8.tflite", {}),
    "ncnn, float32": ("it.ncnn", {}),
    "ncnn, float16": ("half.ncnn", {"half": True}),
}


def main() -> None:
    """Measures, reports."""
    options = parser(__doc__, rounds=None, threads=False, weights=False)
    options.add_argument("--weights", type=Path, metavar="FOLDER", help="of the published weights (all random)")
    options.add_argument("--data", type=Path, metavar="FOLDER", help="with images (noise)")
    options.add_argument("--cells", type=Path, metavar="FOLDER", help="with images of blood cells (as --data)")
    options.add_argument("--runs", type=Path, metavar="FOLDER", help="of finished runs of other networks (random)")
    options.add_argument("--runs-data", type=Path, metavar="FOLDER", help="with images for these (as --data)")
    options.add_argument("--labels", type=Path, metavar="FILE.csv", help="lines path,index of ImageNet's classes")
    options.add_argument("--images", type=int, default=200, help="how many are compared (%(default)s)")
    options.add_argument("--only", nargs="+", choices=NETWORKS, default=NETWORKS, help="networks")
    options.add_argument("--without-int8", action="store_true", help="leave out what has to be calibrated")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.images, arguments.only = 4, NETWORKS[:1]
    torch.manual_seed(0)
    found = replace(conditions(Namespace(threads=1)), weights="weights as each table says")
    output = arguments.output or RESULTS / "formats.csv"
    rows = [] if arguments.quick or not output.is_file() else list(_there(output))
    for name in arguments.only:
        with workplace() as place:
            done = {(each.condition, each.what) for each in rows}
            try:
                rows += measured(name, place, arguments, done)
            except LitevisionError as error:
                print(f"{name} is left out: {error}")
        if rows:
            report(rows, found, arguments, "formats")  # after each network: a stop costs one


def _there(output: Path) -> Iterator[Row]:
    """The rows that an earlier run has written."""
    with output.open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            kinds = {each.name: each.type for each in fields(Row)}
            yield Row(**{name: kinds[name](line[name]) if callable(kinds[name]) else line[name] for name in kinds})


@dataclass(frozen=True)
class Answers:
    """What a file gives: probabilities or scores of each image, and its likeliest class."""

    values: np.ndarray
    best: np.ndarray
    engine: str


def measured(name: str, place: Path, arguments: Namespace, done: set[tuple[str, str]]) -> Iterator[Row]:
    """The rows of one network that are not done."""
    bundle, title, is_real = make_bundle(name, place, arguments)
    if any(condition.startswith(title) for condition, _ in done):
        return
    preprocess = Bundle.open(bundle).metadata.preprocess
    paths = images_for(name, arguments)
    held = paths[: arguments.images]
    noise = np.random.default_rng(0).integers(0, 256, (arguments.images, *preprocess.size_hw, 3), np.uint8)
    np.save(place / "images.npy", preprocess.batch(held) if held else noise)
    count = len(held) or len(noise)
    condition = f"{title}, {count} images"
    files = dict(make_files(bundle, place, paths[arguments.images :], arguments))
    expected = answers_of(bundle, place)
    finds_boxes = Bundle.open(bundle).metadata.finds_boxes
    truth = labels_of(held, arguments.labels) if is_real and not finds_boxes else None
    taken = python_child(
        place, SCRIPT, "times", 0.01 if arguments.quick else SECONDS, place / "images.npy", *files.values()
    )
    for form, file in files.items():
        found = answers_of(file, place)
        size_mb = sum(each.stat().st_size for each in ([file] if file.is_file() else file.iterdir())) / 1e6
        figures = {
            "size, MB": [size_mb],
            "ms": taken[str(file)],
            "largest difference": [float(np.abs(found.values - expected.values).max())],
            "same best answer, %": [100 * float((found.best == expected.best).mean())],
        }
        if truth is not None:
            figures["right, %"] = [100 * float((found.best == truth).mean())]
        for unit, values in figures.items():
            yield row("formats", condition, form, unit, values, engine=found.engine)


def images_for(name: str, arguments: Namespace) -> list[Path]:
    """The images that a network sees: those that it knows where it has real weights, else any; in a drawn order."""
    own = arguments.runs_data if run_of(name, arguments) else None
    if name in ("centernet", "blood-cells"):
        own = arguments.cells
    folder = own or arguments.data
    if folder is None:
        return []
    paths = sorted(find_images(folder, recursive=True))
    if own is not None:
        random.Random(0).shuffle(paths)  # which lie in the folders of their classes
    return paths


def run_of(name: str, arguments: Namespace) -> Path | None:
    """The bundle of an own run of a network."""
    path = None if arguments.runs is None else arguments.runs / name / "model.onnx"
    return path if path is not None and path.is_file() else None


def make_bundle(name: str, place: Path, arguments: Namespace) -> tuple[Path, str, bool]:
    """The bundle of a network, what it is called, and whether its weights are real."""
    path = place / "it.onnx"
    if name in BUNDLES:
        export(name, path)
        return path, f"{Bundle.open(path).metadata.architecture.name} ({name})", True
    if (own := run_of(name, arguments)) is not None:
        export(own, path)
        found = Bundle.open(path).metadata
        side = "x".join(map(str, found.preprocess.size_hw))
        images = found.training_data.partition(":")[0]
        return path, f"{name} {found.architecture.width_mult:g} at {side}, trained on {images}", False
    file = None if arguments.weights is None or name not in FILES else arguments.weights / FILES[name]
    if file is not None and file.is_file():
        export(file, path)
        width = Bundle.open(path).metadata.architecture.width_mult
        return path, f"{name} {width:g}", True
    network = create(name)
    images = [] if arguments.data is None else sorted(find_images(arguments.data))[:32]
    _spread(network, images, arguments.quick)
    labels = [f"class {place}" for place in range(network.config.num_classes)]
    export(network, path, normalisation="imagenet", labels=labels, size=QUICK_PX if arguments.quick else SIDE_PX)
    return path, f"{name}, random weights", False


def _spread(network: Any, images: list[Path], is_quick: bool) -> None:
    """Gives random weights the statistics of images, so that their answers differ from image to image."""
    side = QUICK_PX if is_quick else SIDE_PX
    batch = torch.rand(32, 3, side, side)
    if images:
        plain = Preprocess((side, side), side).batch(images)
        batch = torch.from_numpy(plain).permute(0, 3, 1, 2) / 255
    norms = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for each in norms:
        each.reset_running_stats()
        each.momentum = None
    with torch.no_grad():
        network.train()((batch - 0.45) / 0.225)
    network.eval()


def make_files(bundle: Path, place: Path, calibrators: list[Path], arguments: Namespace) -> Iterator[tuple[str, Path]]:
    """Every format that the bundle can be written in, with what it is called; what is refused is said."""
    made = None
    for form, (file, options) in FORMS.items():
        path = place / file
        try:
            if form.endswith(INT8):
                if arguments.without_int8 or arguments.quick:
                    continue
                made = made or _in_eight_bits(bundle, calibrators[:CALIBRATING])
                save(made, Bundle.open(bundle).metadata, path)
            elif path != bundle:
                export(bundle, path, **options)
        except LitevisionError as error:
            print(f"left out: {form}: {error}")
            continue
        yield form, path


def _in_eight_bits(bundle: Path, calibrators: list[Path]) -> Any:
    graph = read_model(bundle.read_bytes())
    images = Bundle.open(bundle).metadata.preprocess.batch(calibrators)
    in_float = float_nodes(graph)
    return quantise_best(graph, images, in_float=in_float, fast_bias_correction=False, seven_bits=False, seed=0).model


def answers_of(file: Path, place: Path) -> Answers:
    """What a file gives for the images, in a fresh process."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        output = Path(folder, "answers.npz")
        said = python_child(place, SCRIPT, "answers", file, place / "images.npy", output)
        given: Mapping[str, np.ndarray] = dict(np.load(output))
    if "scores" in given:
        return Answers(given["scores"][:, :1], given["classes"][:, 0], said["engine"])
    return Answers(given["probabilities"], given["probabilities"].argmax(1), said["engine"])


def labels_of(paths: list[Path], labels: Path | None) -> np.ndarray | None:
    """The class of each image."""
    if labels is None:
        return None
    with labels.open(encoding="utf-8", newline="") as stream:
        known = {Path(line["path"]).name: int(line["index"]) for line in csv.DictReader(stream)}
    return np.array([known[Path(path).name] for path in paths])


if __name__ == "__main__":
    main()
