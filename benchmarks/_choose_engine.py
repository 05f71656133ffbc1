"""Lets litevision choose an engine, in a process of its own, and prints its choice as JSON.

python benchmarks/_choose_engine.py BUNDLE THREADS BATCH
"""

import json
import sys
from pathlib import Path

from litevision.runtime.engines.auto import choose

decision = choose(Path(sys.argv[1]), int(sys.argv[3]), threads=int(sys.argv[2]), streams=1)
print(json.dumps({"title": decision.choice.title, "reason": decision.reason}))
