"""Whether predicted milliseconds are those that a network takes: 30 networks and sizes that calibrated nothing.

    python benchmarks/latency.py

In every round and engine, the networks that are made up to calibrate with and the 30, exported with random weights, are
timed in turns; then the rates that explain the former predict the latter. A network's time is what a fifth of its calls
stay below: what else the machine does adds to a time. Takes about 10 minutes.
"""

import statistics
import sys

import onnx
import torch
from _common import Row, conditions, parser, report, row

from litevision.cost.ledger import ledger
from litevision.errors import LitevisionError
from litevision.exporting.graph import to_onnx
from litevision.lab.latency import Op, ledger_workload
from litevision.lab.latency.calibration import SECONDS, fit, image_call, observations, synthetic_calls
from litevision.lab.profile import measure_peaks
from litevision.models import build, configure
from litevision.runtime.engines import EngineChoice, candidates
from litevision.runtime.engines.timing import interleaved
from litevision.weights.facts import NORMALISATIONS

# name, dialect, width, size in px
NETWORKS: tuple[tuple[str, str | None, float, int], ...] = (
    ("mobilenet_v1", None, 1.0, 224),
    ("mobilenet_v1", None, 0.75, 192),
    ("mobilenet_v1", "keras", 0.5, 160),
    ("mobilenet_v1", "slim", 0.25, 128),
    ("mobilenet_v1", None, 0.6, 288),
    ("mobilenet_v2", None, 1.0, 224),
    ("mobilenet_v2", "keras", 1.4, 224),
    ("mobilenet_v2", "keras", 1.3, 192),
    ("mobilenet_v2", None, 0.75, 160),
    ("mobilenet_v2", "slim", 0.5, 128),
    ("mobilenet_v2", "timm", 0.35, 96),
    ("mobilenetv2_110d", None, 1.0, 224),
    ("mobilenetv2_120d", None, 1.0, 176),
    ("mobilenet_v2", "tutorial", 1.0, 320),
    ("mobilenet_v3_large", None, 1.0, 224),
    ("mobilenet_v3_large", "keras", 0.75, 224),
    ("mobilenet_v3_large", "tutorial", 1.0, 192),
    ("mobilenet_v3_large", "timm", 0.5, 160),
    ("mobilenet_v3_large", None, 1.0, 288),
    ("mobilenet_v3_small", None, 1.0, 224),
    ("mobilenet_v3_small", "timm", 0.75, 192),
    ("mobilenet_v3_small", "keras", 1.0, 128),
    ("mobilenet_v3_large_minimalistic", None, 1.0, 224),
    ("mobilenet_v3_small_minimalistic", "keras", 1.0, 160),
    ("shufflenet_v2_x0_5", None, 1.0, 224),
    ("shufflenet_v2_x1_0", None, 1.0, 224),
    ("shufflenet_v2_x1_0", "tutorial", 1.0, 160),
    ("shufflenet_v2_x1_5", None, 1.0, 192),
    ("shufflenet_v2_x2_0", None, 1.0, 224),
    ("dla34", None, 1.0, 224),
)


def main() -> None:
    """Measures, reports."""
    arguments = parser(__doc__, rounds=3, weights=False).parse_args()
    networks, seconds = NETWORKS, SECONDS
    if arguments.quick:
        arguments.rounds, networks, seconds = 1, NETWORKS[9:11], 0.02
    found = conditions(arguments)
    torch.manual_seed(0)
    models, workload, names = [], [], []
    for name, dialect, width, side in networks:
        network = build(configure(name, dialect=dialect, width_mult=width)).eval()
        models.append(to_onnx(network, NORMALISATIONS["imagenet"], (side, side)))
        workload.append(ledger_workload(ledger(network, (side, side))))
        names.append(f"{name} ({dialect or 'default'}), width {width:g}, {side} px")
        print(f"exported {names[-1]}", file=sys.stderr)
    rows: list[Row] = []
    for choice in candidates(threads=arguments.threads):
        rows += measured(choice, models, workload, names, arguments.rounds, seconds)
    report(rows, found, arguments, "latency")


def measured(
    choice: EngineChoice,
    models: list[onnx.ModelProto],
    workload: list[list[Op]],
    names: list[str],
    rounds: int,
    seconds: float,
) -> list[Row]:
    """What was predicted and measured in an engine; nothing where this processor lacks its precision."""
    try:
        calls = [image_call(model, choice) for model in models]
    except LitevisionError as error:
        print(f"left out: {error}", file=sys.stderr)
        return []
    made_up, made_up_by = synthetic_calls(choice)
    predicted, taken = [], []
    for number in range(rounds):
        peaks = measure_peaks(choice)
        observed = observations([*made_up, *workload], interleaved([*made_up_by, *calls], seconds))
        model = fit(observed[: len(made_up)], peaks)
        predicted.append([model.predict(op) for op in workload])
        taken.append([each.ms for each in observed[len(made_up) :]])
        print(f"{choice.title}: round {number + 1} of {rounds}", file=sys.stderr)
    errors = [
        [abs(mine / theirs - 1) for mine, theirs in zip(*each, strict=True)]
        for each in zip(predicted, taken, strict=True)
    ]
    about = f"{len(models)} networks and sizes that calibrated nothing"
    rows = [
        row("latency", about, what, "share", [middle(each) for each in errors], engine=choice.title)
        for what, middle in (("error in the middle", statistics.median), ("error at worst", max))
    ]
    for place, name in enumerate(names):
        for what, values in (("measured", taken), ("predicted", predicted)):
            rows.append(row("latency", name, what, "ms", [each[place] for each in values], engine=choice.title))
        ratios = [mine[place] / theirs[place] for mine, theirs in zip(predicted, taken, strict=True)]
        rows.append(row("latency", name, "predicted / measured", "ratio", ratios, engine=choice.title))
    return rows


if __name__ == "__main__":
    main()
