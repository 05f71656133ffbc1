"""Puts the classifier that tools/round_imagenet.py trained into the package: zoo/imagenet-1k.onnx.

    python tools/pack_imagenet.py WEIGHTS SHARED/data --work FOLDER

WEIGHTS and FOLDER are those of the training. Kernels are stored as the whole numbers that they are, of 8 bits, or of 4
bits, two in a byte, with a scale for each output, or for each output and 64 inputs, in float16. Plain operators of
ONNX make float32 of them, which an engine does once, when it loads the file; then it computes as ever. (BitShift and
BitwiseAnd would be two operators fewer, but OpenVINO computes them anew for each image, and takes wrong numbers.)
"""

import argparse
import csv
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from round_imagenet import BLOCK, RECIPE, Answers, bits_of, kernels, rounded_like, tail
from torch.nn import functional
from torch.nn.utils import parametrize

from litevision import __version__, zoo
from litevision.evaluation import Evaluation, fit_calibration, scores
from litevision.exporting.bundle import add_score, export_bundle
from litevision.exporting.graph import fold_batch_norm
from litevision.files import sha256_of
from litevision.hub import load_classifier
from litevision.runtime import Calibration, Score, Weights
from litevision.tasks.classification.card import snippet
from litevision.weights.load import load_network

PLACE = Path(zoo.__file__).with_name("imagenet-1k.onnx")
CARD = Path(__file__).with_name("imagenet_card.md")
MAX_BYTES = 2_500_000
PROVENANCE = (
    "MobileNetV2 1.0: TF-slim's float backbone as in webmachinelearning/webnn-polyfill, head kernel from "
    "google-coral/test_data; rounded to 8 and 4 bits and trained by tools/round_imagenet.py"
)
LICENCES = "CC0 1.0, MIT and Apache-2.0"
IMAGES = (
    "no labels: {crops:,} crops of photos of garments (alexeygrigorev/clothing-dataset-small), blood smears "
    "(Shenggan/BCCD_Dataset) and nine other images (google-coral/test_data, tensorflow/tflite-support, "
    "recurser/exif-orientation-examples), with the answers of the original, which ImageNet-1k trained "
    f"(licence: {LICENCES})"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("data", type=Path, help="the folder with imagenet500, on which the result is measured")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=PLACE)
    options = parser.parse_args()
    original = load_network(str(options.weights))
    facts = original.pretrained
    student = rounded_like(fold_batch_norm(original))
    student.load_state_dict(torch.load(options.work / "best.pt", weights_only=True))
    train, held = (Answers(*it) for it in torch.load(options.work / "answers.pt", weights_only=True))
    calibration = calibrated(student, held, tomllib.loads(RECIPE.read_text("utf-8"))["unsure_below"])
    stored = {}
    for name, layer in kernels(student):
        [rounding] = layer.parametrizations["weight"]
        codes = rounding.codes(layer.parametrizations["weight"].original.detach())
        stored[name] = (codes.numpy(), rounding.scale.numpy(), bits_of(name))
        parametrize.remove_parametrizations(layer, "weight")
    export_bundle(
        student,
        options.out,
        labels=facts.labels,
        preprocess=facts.preprocess,
        normalisation=facts.normalisation,
        weights=Weights("imagenet-1k", PROVENANCE, "Apache-2.0", facts.sha256),
        training_data=IMAGES.format(crops=len(train.features)),
    )
    model = onnx.load(options.out)
    pack(model.graph, stored)
    onnx.checker.check_model(model, full_check=True)
    options.out.write_bytes(model.SerializeToString())
    images = options.data / "imagenet500"
    found = {
        name: measured(path, images)
        for name, path in {
            "original": options.work / "original.onnx",
            "nearest": options.work / "rounded.onnx",
            "shipped": options.out,
        }.items()
    }
    score, evaluation = scores(found["shipped"]), found["shipped"]
    how = f"litevision {__version__} in onnxruntime"
    dataset = "imagenet500, one image of every second class, probably of the training set"
    record = Score(score.top1, score.top5 or 0.0, dataset, score.count, facts.preprocess.size_hw, how)
    about = add_score(options.out, record, {"calibration": calibration})
    size = options.out.stat().st_size
    assert size <= MAX_BYTES, size
    unsure = calibration.confidences(evaluation.probabilities) < calibration.unsure_below
    right = evaluation.probabilities.argmax(1) == evaluation.labels
    values = {
        "megabytes": f"{size / 1e6:.2f} MB",
        "sha256": sha256_of(options.out),
        "training_data": about.training_data,
        "crops": f"{len(train.features):,}",
        "held": f"{len(held.features):,}",
        "agreement": f"{100 * agreement_of(student, held):.1f} %",
        "interval": "{:.1f} % to {:.1f} %".format(*score.top1_interval),
        "ece": f"{score.ece:.3f}",
        "temperature": f"{calibration.temperature:g}",
        "unsure_below": f"{calibration.unsure_below:g}",
        "unsure": f"{int(unsure.sum())} of {len(unsure)} ({unsure.mean():.1%})",
        "unsure_right": f"{right[unsure].mean():.1%}",
        "sure_right": f"{right[~unsure].mean():.1%}",
        "check": f"{about.check.max_abs_diff:.2g}",
        "engine": about.check.engine,
        "start_sha256": facts.sha256,
        "program": snippet(options.out.name, "center"),
        "changed": changed(found["original"], found["shipped"]),
    }
    for name, evaluated in found.items():
        values |= {f"{name}_top1": f"{scores(evaluated).top1:.1f} %", f"{name}_top5": f"{scores(evaluated).top5:.1f} %"}
    text = CARD.read_text("utf-8")
    for name, value in values.items():
        text = text.replace(f"<{name}>", value)
    options.out.with_suffix(".md").write_text(text, "utf-8")
    print(json.dumps({name: value for name, value in values.items() if len(value) < 200}, indent=1))


def calibrated(student: Any, held: Answers, unsure_below: float) -> Calibration:
    """The temperature by images that trained nothing; their labels are drawn from the answers of the original."""
    with torch.inference_mode():
        answered = torch.cat([functional.softmax(tail(student, features), 1) for features, _ in held.batches()])
    truth = torch.multinomial(held.logits.exp(), 1, generator=torch.Generator().manual_seed(0))[:, 0]
    places = tuple(map(Path, map(str, range(len(truth)))))
    drawn = Evaluation("held back", tuple(map(str, range(1000))), places, truth.numpy(), answered.numpy())
    found = fit_calibration(drawn, f"{len(truth)} crops of images that trained nothing, by the answers of the original")
    assert found is not None
    return replace(found, unsure_below=unsure_below)


def agreement_of(student: Any, held: Answers) -> float:
    with torch.inference_mode():
        found = torch.cat([tail(student, features).argmax(1) for features, _ in held.batches()])
    return (found == held.logits.argmax(1)).float().mean().item()


def measured(bundle: Path, folder: Path) -> Evaluation:
    """What a bundle answers to imagenet500, whose rows give the class by its index: two names stand for two each."""
    classifier = load_classifier(bundle, threads=1)
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    paths = tuple(folder / row["path"] for row in rows)
    batches = (classifier.preprocess.batch(paths[at : at + 10]) for at in range(0, len(paths), 10))
    parts = [classifier.probabilities(batch) for batch in batches]
    truth = np.array([int(row["index"]) for row in rows], np.int64)
    return Evaluation("test", classifier.labels, paths, truth, np.concatenate(parts))


def changed(before: Evaluation, after: Evaluation) -> str:
    """How many images only one of the two names right, in words."""
    right, now = (it.probabilities.argmax(1) == it.labels for it in (before, after))
    lost, gained = int((right & ~now).sum()), int((now & ~right).sum())
    return f"{lost} that only the original names right, {gained} that only this does"


def pack(graph: onnx.GraphProto, stored: dict[str, tuple[Any, Any, int]]) -> None:
    """Replaces each kernel by its whole numbers, its scales and the operators that multiply them."""
    kept, nodes = [], []
    for tensor in graph.initializer:
        name = tensor.name.removeprefix("network.").removesuffix(".weight").removesuffix(".conv")
        if name not in stored or not tensor.name.endswith(".weight"):
            kept.append(tensor)
            continue
        added, made = (
            eight_bits(tensor, *stored[name][:2]) if stored[name][2] == 8 else four_bits(tensor, *stored[name][:2])
        )
        kept += added
        nodes += made
    kept += [
        numpy_helper.from_array(np.array(16, np.float32), "sixteen"),
        numpy_helper.from_array(np.array(1 / 16, np.float32), "sixteenth"),
        numpy_helper.from_array(np.array(8, np.float32), "middle"),
    ]
    nodes += graph.node
    del graph.initializer[:], graph.node[:], graph.value_info[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def eight_bits(tensor: Any, codes: Any, scale: Any) -> tuple[list[Any], list[Any]]:
    name, packed, dims = tensor.name, f"packed.{tensor.name}", list(tensor.dims)
    added = [
        numpy_helper.from_array(codes.astype(np.int8), f"{packed}.codes"),
        numpy_helper.from_array(scale.reshape([dims[0]] + [1] * (len(dims) - 1)), f"{packed}.scale"),
    ]
    made = [
        helper.make_node("Cast", [f"{packed}.codes"], [f"{packed}.numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{packed}.numbers", f"{packed}.scale"], [name]),
    ]
    return added, made


def four_bits(tensor: Any, codes: Any, scale: Any) -> tuple[list[Any], list[Any]]:
    name, packed, dims = tensor.name, f"packed.{tensor.name}", list(tensor.dims)
    nibbles = (codes.reshape(dims[0], -1) + 8).astype(np.uint8)
    half = nibbles.shape[1] // 2
    added = [
        numpy_helper.from_array(nibbles[:, :half] | nibbles[:, half:] << 4, f"{packed}.codes"),
        numpy_helper.from_array(scale.astype(np.float16)[:, :, None], f"{packed}.scale"),
        numpy_helper.from_array(np.array([dims[0], -1, BLOCK], np.int64), f"{packed}.blocks"),
        numpy_helper.from_array(np.array(dims, np.int64), f"{packed}.shape"),
    ]
    made = [
        helper.make_node("Cast", [f"{packed}.codes"], [f"{packed}.bytes"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{packed}.bytes", "sixteenth"], [f"{packed}.halves"]),
        helper.make_node("Floor", [f"{packed}.halves"], [f"{packed}.second"]),
        helper.make_node("Mul", [f"{packed}.second", "sixteen"], [f"{packed}.upper"]),
        helper.make_node("Sub", [f"{packed}.bytes", f"{packed}.upper"], [f"{packed}.first"]),
        helper.make_node("Concat", [f"{packed}.first", f"{packed}.second"], [f"{packed}.nibbles"], axis=1),
        helper.make_node("Sub", [f"{packed}.nibbles", "middle"], [f"{packed}.flat"]),
        helper.make_node("Reshape", [f"{packed}.flat", f"{packed}.blocks"], [f"{packed}.numbers"]),
        helper.make_node("Cast", [f"{packed}.scale"], [f"{packed}.factor"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{packed}.numbers", f"{packed}.factor"], [f"{packed}.scaled"]),
        helper.make_node("Reshape", [f"{packed}.scaled", f"{packed}.shape"], [name]),
    ]
    return added, made


if __name__ == "__main__":
    main()
