"""Puts a finished run into the package: its bundle and its model card.

    python tools/zoo_bundle.py NAME RUN [--seeds RUN RUN ...]

The runs after --seeds, of one recipe and different seeds, give the card a mean and its spread.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from litevision.training.report.card import model_card

ZOO = Path(__file__).parents[1] / "src/litevision/zoo"
MAX_BYTES = 10_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    parser.add_argument("--seeds", type=Path, nargs="+", default=[], metavar="RUN")
    arguments = parser.parse_args()
    name, results = arguments.name, results_of(arguments.run)
    bundle = arguments.run / results["bundle"]["path"]
    if bundle.stat().st_size > MAX_BYTES:
        sys.exit(f"error: {bundle} has {bundle.stat().st_size} bytes, over the {MAX_BYTES} that the package may carry")
    scores = scores_of_seeds([results_of(run) for run in arguments.seeds])
    shutil.copyfile(bundle, ZOO / f"{name}.onnx")
    results["name"], results["bundle"]["path"] = name, f"{name}.onnx"
    card = model_card(results, scores)
    (ZOO / f"{name}.md").write_text(card, "utf-8")
    print(f"wrote {name}.onnx and {name}.md in {ZOO}")


def results_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "results.json").read_text("utf-8"))
    return found


def scores_of_seeds(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each one's scores on the test images."""
    recipes = [{**found["recipe"], "run": {**found["recipe"]["run"], "seed": 0}} for found in runs]
    if any(recipe != recipes[0] for recipe in recipes):
        sys.exit("error: the runs after --seeds differ in more than their seed")
    if len({found["seed"] for found in runs}) < len(runs):
        sys.exit("error: two of the runs after --seeds have one seed")
    return [found["scores"]["test"] for found in runs]


if __name__ == "__main__":
    main()
