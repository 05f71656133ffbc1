"""What 8 bits cost: `litevision quantize` against quicker and plainer ways, on the same images, in the same engine.

    python benchmarks/quantization.py --data photos runs/first runs/second clothing

Each bundle is calibrated on images of the split ``train`` and judged on those of ``test``: by full bias correction, as
``quantize`` does it; by the quantiser's fast correction; by onnxruntime's own quantiser, per channel, as its
documentation has it; and, as a planted fault, on images in which pixels are from 0 to 1. Beside the scores stands
whether the gate takes each. Exits with 1 where it takes the planted one. Takes about 5 minutes a bundle.
"""

import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from _common import Row, conditions, parser, report, row

from litevision.exporting.graph_parts import copied, read_model
from litevision.hub import find_bundle
from litevision.quantizing.gate import Gate, Trial, faults_of
from litevision.quantizing.graph import float_nodes
from litevision.quantizing.images import choose_images
from litevision.quantizing.nncf_quantizer import quantise_best
from litevision.runtime import Bundle
from litevision.runtime.cpus import available_cpus
from litevision.tasks import task_of

EXAMPLES = Path(__file__).parents[1] / "examples"  # without labels, for a quick run
FLOAT, FULL, FAST, NAIVE, PLANTED = (
    "float32",
    "litevision quantize, before any layer goes back into float",
    "fast bias correction",
    "onnxruntime, per channel",
    "planted: pixels from 0 to 1 calibrate",
)


def main() -> None:
    """Measures, reports."""
    options = parser(__doc__, rounds=None, threads=False, weights=False)
    options.add_argument("bundles", nargs="*", default=["clothing"], metavar="NAME|FILE|RUN", help="(%(default)s)")
    options.add_argument("--data", type=Path, metavar="FOLDER", help="labelled, with the bundles' classes")
    options.add_argument("--images", type=int, default=300, help="that calibrate (%(default)s)")
    arguments = options.parse_args()
    if arguments.data is None and not arguments.quick:
        options.error("--data is needed: images with the bundles' labels")
    arguments.data = arguments.data or EXAMPLES
    if arguments.quick:
        arguments.images = 8
    found = replace(conditions(Namespace(threads=1)), weights="of the bundles")
    rows = [each for name in arguments.bundles for each in measured(name, arguments)]
    report(rows, found, arguments, "quantization")


def measured(name: str, arguments: Namespace) -> Iterator[Row]:
    """The rows of one bundle."""
    path = find_bundle(name)
    bundle = Bundle.open(path, threads=1, streams=available_cpus())
    metadata, task = bundle.metadata, task_of(bundle.metadata)
    calibration, judge = choose_images(
        task, metadata.labels, arguments.data, evaluate_on=None, split=None, count=arguments.images, seed=0
    )
    images, graph = calibration.load(metadata.preprocess), read_model(path.read_bytes())
    ways: dict[str, Callable[[], onnx.ModelProto]] = {
        FULL: lambda: in_eight_bits(graph, images),
        FAST: lambda: in_eight_bits(graph, images, fast=True),
        NAIVE: lambda: by_onnxruntime(graph, images),
        PLANTED: lambda: in_eight_bits(graph, images // 255),
    }
    gate = Gate(bundle, task, judge)
    network = metadata.architecture
    size = "x".join(map(str, metadata.preprocess.size_hw))
    condition = f"{network.name} {network.width_mult:g} at {size}, {len(images)} images calibrate, {gate.count} judge"
    main_score, shown = task.main_score, {FLOAT: gate.before}
    limits = main_score.max_drop, main_score.min_agreement
    with tempfile.TemporaryDirectory() as folder:
        for way, make in ways.items():
            print(f"{name}: {way}", file=sys.stderr)
            shown[way] = gate.measure(make(), (), Path(folder))
    for way, trial in shown.items():
        yield from figures_of(way, trial, condition, main_score.name, gate.original.engine.version)
        if way != FLOAT:
            is_taken = not faults_of(gate.before, trial, task, *limits)
            yield row("quantization", condition, way, "taken by the gate", [float(is_taken)])
            if is_taken and way == PLANTED and not arguments.quick:
                sys.exit(f"error: the gate takes {name} with a planted fault")


def figures_of(way: str, trial: Trial, condition: str, score: str, engine: str) -> Iterator[Row]:
    """What was measured of one graph."""
    figures = {
        score: trial.score,
        "answers that stay, %": 100 * trial.agreement.share,
        "size, MB": trial.num_bytes / 1e6,
        "ms": trial.ms,
    }
    for unit, value in figures.items():
        if value is not None:
            yield row("quantization", condition, way, unit, [value], engine=engine)


def in_eight_bits(graph: onnx.ModelProto, images: np.ndarray, *, fast: bool = False) -> onnx.ModelProto:
    """The graph as ``quantize`` makes it."""
    in_float = float_nodes(graph)
    return quantise_best(graph, images, in_float=in_float, fast_bias_correction=fast, seven_bits=False, seed=0).model


def by_onnxruntime(graph: onnx.ModelProto, images: np.ndarray) -> onnx.ModelProto:
    """The graph by onnxruntime's static quantisation: all that it takes, least and greatest values, no correction."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped
        def __init__(self) -> None:
            self._left = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self._left, None)
            return None if image is None else {"images": image[None]}

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "int8.onnx")
        quantize_static(  # which changes the model that it is given
            copied(graph),
            path,
            Reader(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(path)


if __name__ == "__main__":
    main()
