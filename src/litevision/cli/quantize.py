"""litevision quantize: a bundle in 8 bits, written where it answers nearly as well as before."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision.cli.fields import all_engine_names, model_names
from litevision.cli.parser import argument, flag, option


@dataclass(frozen=True, kw_only=True)
class QuantizeOptions:
    """Make a bundle with int8 weights and activations, measured against the original before it is written.

    Where the score falls too far or too few answers agree, nothing is written and the exit code is 1.
    """

    examples: ClassVar = (
        "litevision quantize runs/first --data clothes/ -o small.onnx",
        "litevision quantize imagenet.onnx --data images/ --evaluate-on imagenet/ -o small.onnx",
    )
    bundle: str = argument(
        metavar="BUNDLE|RUN|NAME",
        choices=model_names,
        help="A bundle (.onnx), the folder of a finished run, or a model's name.",
    )
    data: Path = option(
        metavar="DATA",
        help="Images to calibrate on: the split train of labelled ones, or a part of any folder.",
    )
    output: Path = option(short="-o", metavar="FILE.onnx", help="File to write; .tflite for LiteRT.", writes="export")
    evaluate_on: Path | None = option(
        None, metavar="DATA", help="Labelled images to judge by; those of --data that do not calibrate unless given."
    )
    split: str | None = option(
        None,
        choices=("train", "validation", "test", "all"),
        help="Split to judge by; the first of test, validation and all that has images unless given.",
    )
    images: int = option(300, help="Images that calibrate, at most.")
    seed: int = option(0, help="Random seed that draws them.")
    engine: str | None = option(
        None,
        choices=all_engine_names,
        help="Engine that will run the bundle; onnxruntime unless given, of a .tflite file litert.",
    )
    max_drop: float | None = option(
        None, help="Most that the score may fall; 1 point of top-1, or 0.01 of AP, unless given."
    )
    min_agreement: float | None = option(
        None, metavar="PART", help="Least share of answers that stay as they were; 0.95, of boxes 0.9, unless given."
    )
    allow_drop: bool = flag(help="Write the bundle whatever it loses; its record says how much.")
    any_cpu: bool = flag(
        help="Round weights to 7 bits, so that CPUs without VNNI cannot overflow; so it is done on such a CPU."
    )
    fast: bool = flag(
        help="Estimate the shift of each layer in place of measuring it: quicker, and up to a point fewer answers stay."
    )
    integers_alone: bool = flag(
        help="Of a classifier as .tflite, also take the normalisation, the last layer and the probabilities in 8 bits, "
        "as microcontrollers need it."
    )
    sidecar: bool = flag(
        help="Also write labels, preprocessing and decoding beside the file, as JSON and as a C header."
    )


def run(options: QuantizeOptions) -> int:
    """Quantise, measure, print and write."""
    from importlib.util import find_spec

    from litevision.cli.tables import print_report
    from litevision.errors import MissingExtraError

    if find_spec("onnx") is None or find_spec("nncf") is None:
        raise MissingExtraError.of("litevision quantize", "int8")
    from litevision.quantizing.quantize import quantize

    result = quantize(
        options.bundle,
        options.data,
        options.output,
        evaluate_on=options.evaluate_on,
        split=options.split,
        images=options.images,
        seed=options.seed,
        engine=options.engine,
        fast_bias_correction=options.fast,
        any_cpu=options.any_cpu or None,
        max_drop=options.max_drop,
        min_agreement=options.min_agreement,
        allow_drop=options.allow_drop,
        integers_alone=options.integers_alone,
        sidecar=options.sidecar,
    )
    print_report(result.sections())
    return 0 if result.path is not None else 1
