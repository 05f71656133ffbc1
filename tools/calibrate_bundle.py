"""Fits when a classifier that comes with the package is unsure, and writes it into its bundle and its card.

    python tools/calibrate_bundle.py clothing SHARED/data/clothing --foreign SHARED/data/imagenet500/images

The images of the validation split decide; those of the test split and the foreign ones are only counted. The scores
that the bundle gives stay what they are, to the last bit.
"""

import argparse
import re
from pathlib import Path

import numpy as np

from litevision import find_images
from litevision.data import read_images
from litevision.evaluation import evaluate_bundle, fit_calibration, select_split
from litevision.exporting.bundle import add_score
from litevision.files import sha256_of
from litevision.hub import load_classifier
from litevision.tasks.classification.card import calibration_in_words
from litevision.zoo import BUNDLES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=BUNDLES)
    parser.add_argument("data", type=Path)
    parser.add_argument("--foreign", type=Path, required=True, help="a folder of images of other things")
    options = parser.parse_args()
    path, classifier = BUNDLES[options.name], load_classifier(options.name, threads=1)
    data = read_images(options.data)
    found = {}
    for name in ("validation", "test"):
        split, samples = select_split(data, name)
        found[name] = evaluate_bundle(classifier, samples, data.classes, split=split)
    dataset = f"{options.data.name}, validation split"
    calibration = fit_calibration(found["validation"], f"{len(found['validation'].labels):,} images of {dataset}")
    assert calibration is not None
    every = classifier.predict_batch(find_images(options.foreign), top=len(classifier.labels))
    foreign = np.stack([it.scores for it in every])
    shares = {
        "of its own test images": (calibration.confidences(found["test"].probabilities) < calibration.unsure_below),
        "of images of other things": calibration.confidences(foreign) < calibration.unsure_below,
    }
    score = classifier.bundle.metadata.score
    assert score is not None
    before = sha256_of(path)
    add_score(path, score, {"calibration": calibration})
    counted = ", ".join(f"{int(it.sum()):,} of {len(it):,} ({it.mean():.1%}) {what}" for what, it in shares.items())
    card = path.with_suffix(".md")
    text = card.read_text("utf-8").replace(before, sha256_of(path))
    text = re.sub(r"\n\n## When it is unsure\n.*?(?=\n\n## )", "", text, flags=re.DOTALL)
    section = f"## When it is unsure\n\n{calibration_in_words(calibration)} Unsure are {counted}."
    card.write_text(text.replace("\n\n## Input\n", f"\n\n{section}\n\n## Input\n"), "utf-8")
    print(calibration, counted, sep="\n")


if __name__ == "__main__":
    main()
