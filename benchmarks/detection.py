"""What finding objects costs beside the backbone alone: one image of 512 x 512, decoding included.

    python benchmarks/detection.py

MobileNetV2 1.0 with litevision's neck and with the tutorial's, and DLASeg, each as a bundle of 3 classes with random
weights in onnxruntime, against MobileNetV2's backbone alone (its last 1x1 convolution and a pool included). Every
contender is timed in a fresh process, one after the other, round by round. Takes about 5 minutes.
"""

from functools import partial
from pathlib import Path

import torch
from _common import Row, conditions, interleaved, parser, python_child, ratios, report, row, workplace

from litevision.exporting.bundle import export_bundle
from litevision.image import Preprocess
from litevision.models import build, configure
from litevision.models.centernet import CenterNet, CenterNetConfig, Neck
from litevision.runtime import Weights
from litevision.weights.facts import NORMALISATIONS

SIDE_PX, LABELS = 512, ("one", "two", "three")
SECONDS = 1.0  # of calls, each time that a contender is measured
BACKBONE = "MobileNetV2 1.0, backbone alone"
DETECTORS: dict[str, tuple[str, str | None, Neck]] = {
    "MobileNetV2 1.0, neck light": ("mobilenet_v2", None, "light"),
    "MobileNetV2 1.0, neck reshape (the tutorial's)": ("mobilenet_v2", "tutorial", "reshape"),
    "DLASeg": ("dla34", None, "dlaup"),
}


def main() -> None:
    """Measures, reports."""
    options = parser(__doc__, rounds=7, weights=False)
    arguments = options.parse_args()
    seconds = SECONDS
    if arguments.quick:
        arguments.rounds, seconds = 1, 0.05
    found = conditions(arguments)
    torch.manual_seed(0)
    with workplace() as place:
        bundles = dict(make_bundles(place))
        script = Path(__file__).with_name("_time_engine.py")
        end = ("onnxruntime", "fp32", arguments.threads, 1, seconds)
        measures = {what: partial(python_child, place, script, path, *end) for what, path in bundles.items()}
        rounds = interleaved(measures, arguments.rounds, warm_up=not arguments.quick)
    times = {what: [result["ms"] for result in results] for what, results in rounds.items()}
    condition = f"one image of {SIDE_PX}x{SIDE_PX}, 3 classes"
    rows: list[Row] = []
    for what, values in times.items():
        rows.append(row("detection", condition, what, "ms", values, engine="onnxruntime"))
        if what != BACKBONE:
            rows.append(row("detection", condition, f"{what} / backbone", "ratio", ratios(values, times[BACKBONE])))
    report(rows, found, arguments, "detection")


def make_bundles(place: Path) -> list[tuple[str, Path]]:
    """The backbone as a classifier of 3 classes, whose head is next to nothing, and each detector."""
    common = {
        "labels": LABELS,
        "normalisation": NORMALISATIONS["imagenet"],
        "weights": Weights(name="random", provenance="torch.manual_seed(0)", licence="none", sha256="0" * 64),
        "training_data": "none",
    }
    backbone = place / "backbone.onnx"
    size_hw = (SIDE_PX, SIDE_PX)
    classifier = build(configure("mobilenet_v2", num_classes=len(LABELS))).eval()
    export_bundle(classifier, backbone, preprocess=Preprocess(size_hw, SIDE_PX, "stretch", "bilinear"), **common)
    found = [(BACKBONE, backbone)]
    for number, (what, (architecture, dialect, neck)) in enumerate(DETECTORS.items()):
        path = place / f"detector{number}.onnx"
        network = CenterNet(CenterNetConfig(configure(architecture, dialect=dialect), len(LABELS), neck)).eval()
        letterbox = Preprocess(size_hw, SIDE_PX, "letterbox", "bilinear")
        export_bundle(network, path, preprocess=letterbox, **common)
        found.append((what, path))
    return found


if __name__ == "__main__":
    main()
