"""How long one photo takes from a cold process: the litevision command against the scripts in _cold/.

    python benchmarks/cold.py --weights FILE

Timed is the whole life of a process, from its start to its end, with files in the page cache: imports, model, photo,
answer. Round by round, one after the other. Exits with 1 where the answers differ. Takes about 3 minutes.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path

from _common import child, conditions, interleaved, parser, ratios, report, row, workplace
from _images import ELEPHANT

SCRIPTS = Path(__file__).with_name("_cold")
OURS = "litevision classify"


def main() -> None:
    """Measures, checks, reports."""
    options = parser(__doc__, rounds=15, threads=False)
    options.add_argument("--photo", type=Path, default=ELEPHANT, help="what to classify (examples/elephant.jpg)")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.rounds = 1
    found = conditions(arguments)
    from _models import make_bundle, make_timm_weights

    with workplace() as place:
        make_bundle(place, arguments.weights, [arguments.photo])
        make_timm_weights(place)
        bundle, photo = place / "bundle.onnx", arguments.photo
        command = Path(sys.executable).with_name("litevision")
        commands = {
            OURS: (command, "classify", photo, "--model", bundle, "--json"),
            "bare onnxruntime script": (sys.executable, SCRIPTS / "bare.py", bundle, photo),
            "torchvision script": (sys.executable, SCRIPTS / "with_torchvision.py", place / "torchvision.pth", photo),
            "timm script": (sys.executable, SCRIPTS / "with_timm.py", place / "timm.pth", photo),
        }
        measures = {name: partial(timed_ms, place, words) for name, words in commands.items()}
        rounds = interleaved(measures, arguments.rounds, warm_up=not arguments.quick)
    best = {name: best_class(results[-1][1]) for name, results in rounds.items()}
    if len(set(best.values())) > 1:
        sys.exit(f"error: the answers differ: {best}")
    times = {name: [ms for ms, _ in results] for name, results in rounds.items()}
    condition = f"one photo, {photo.stat().st_size / 1e3:.0f} kB, from process start to end"
    rows = [row("cold", condition, name, "ms", values) for name, values in times.items()]
    rows += [
        row("cold", condition, f"{name} / {OURS}", "ratio", ratios(values, times[OURS]))
        for name, values in times.items()
        if name != OURS
    ]
    report(rows, found, arguments, "cold")


def timed_ms(place: Path, words: tuple[str | Path, ...]) -> tuple[float, str]:
    """How long the command takes, and what it prints."""
    start = time.perf_counter()
    printed = child(place, words)
    return 1e3 * (time.perf_counter() - start), printed


def best_class(printed: str) -> int:
    """The index of the likeliest class, from our JSON or a script's line."""
    if printed.startswith("{"):
        return int(json.loads(printed)["results"][0]["predictions"][0]["index"])
    return int(printed.split()[0])


if __name__ == "__main__":
    main()
