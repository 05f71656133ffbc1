"""One file of a format in a fresh process: its answers to images, or its time beside other files. Prints JSON."""

import json
import sys
from pathlib import Path

import numpy as np

from litevision.runtime import Bundle
from litevision.runtime.engines.timing import interleaved


def answer(file: Path, images: Path, output: Path) -> dict[str, str]:
    """Writes what the file answers to each image, as NPZ."""
    bundle = Bundle.open(file, threads=1)
    batch_u8_nhwc = np.load(images)
    answers = [bundle.run(batch_u8_nhwc[place : place + 1]) for place in range(len(batch_u8_nhwc))]
    np.savez(output, **{name: np.concatenate([each[name] for each in answers]) for name in answers[0]})
    return {"engine": bundle.engine.version}


def times(seconds: float, images: Path, files: list[Path]) -> dict[str, list[float]]:
    """Milliseconds of one image in each file, call after call, in turns."""
    bundles = [Bundle.open(file, threads=1) for file in files]
    batch_u8_nhwc = np.load(images)[:1]
    taken = interleaved([lambda bundle=bundle: bundle.run(batch_u8_nhwc) for bundle in bundles], seconds)
    return {str(file): [1e3 * each for each in values] for file, values in zip(files, taken, strict=True)}


if __name__ == "__main__":
    what, first, second, *rest = sys.argv[1:]
    made = answer(Path(first), Path(second), Path(rest[0])) if what == "answers" else None
    print(json.dumps(made or times(float(first), Path(second), [Path(each) for each in rest])))
