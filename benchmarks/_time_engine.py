"""Times one engine on one bundle in a process of its own, and prints JSON with the milliseconds of a call.

python benchmarks/_time_engine.py BUNDLE ENGINE PRECISION THREADS BATCH SECONDS
"""

import json
import statistics
import sys
import time

import numpy as np

from litevision.runtime import Bundle


def main() -> None:
    """Warms up, then calls for at least as long as asked for, and 3 times."""
    path, engine, precision = sys.argv[1:4]
    threads, batch_size, seconds = int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6])
    bundle = Bundle.open(path, engine=engine, precision=precision, threads=threads)
    size_hw = bundle.metadata.preprocess.size_hw
    batch_u8_nhwc = np.random.default_rng(0).integers(0, 256, (batch_size, *size_hw, 3), np.uint8)
    for _ in range(3):
        bundle.run(batch_u8_nhwc)
    times_ms: list[float] = []
    end = time.perf_counter() + seconds
    while len(times_ms) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        bundle.run(batch_u8_nhwc)
        times_ms.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"ms": statistics.median(times_ms)}))


if __name__ == "__main__":
    main()
