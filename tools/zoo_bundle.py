"""Puts a finished run into the package: its bundle and its model card.

    python tools/zoo_bundle.py NAME RUN [RUN ...]

The first run's bundle is taken; further runs, of the same recipe with other seeds, give the card its mean and spread.
"""

import json
import shutil
import sys
from pathlib import Path

from litevision.train.report.card import model_card

ZOO = Path(__file__).parents[1] / "src/litevision/zoo"
MAX_BYTES = 10_000_000
_SEEDS = 3


def main(name: str, runs: list[Path]) -> None:
    results = [json.loads((run / "results.json").read_text("utf-8")) for run in runs]
    recipes = [{**found["recipe"], "run": {**found["recipe"]["run"], "seed": 0}} for found in results]
    if any(recipe != recipes[0] for recipe in recipes):
        sys.exit("error: the runs differ in more than their seed")
    bundle = runs[0] / results[0]["bundle"]["path"]
    if bundle.stat().st_size > MAX_BYTES:
        sys.exit(f"error: {bundle} has {bundle.stat().st_size} bytes, over the {MAX_BYTES} that the package may carry")
    shutil.copyfile(bundle, ZOO / f"{name}.onnx")
    results[0]["name"], results[0]["bundle"]["path"] = name, f"{name}.onnx"
    scores = [found["scores"]["test"]["top1"] for found in results] if len(runs) >= _SEEDS else None
    (ZOO / f"{name}.md").write_text(model_card(results[0], scores), "utf-8")
    print(f"wrote {name}.onnx and {name}.md in {ZOO}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], [Path(run) for run in sys.argv[2:]])
