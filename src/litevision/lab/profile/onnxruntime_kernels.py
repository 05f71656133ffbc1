"""The times of onnxruntime's kernels, from its own profiler."""

import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import onnx

from litevision.cost.graph import GraphLedger
from litevision.errors import UsageError
from litevision.lab.profile.fused import nodes_of_kernels
from litevision.lab.profile.recorders import WARM_UPS, Inputs
from litevision.lab.profile.timings import Kernel, Recording
from litevision.runtime.engines import EngineChoice
from litevision.runtime.engines.onnxruntime_engine import import_onnxruntime, session_options

_KERNEL_TIME = "_kernel_time"


class OnnxruntimeRecorder:
    """A session that writes down what each of its kernels takes; a context, for it needs a folder."""

    def __init__(self, data: bytes, choice: EngineChoice, ledger: GraphLedger) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._ledger = ledger
        folder = Path(self._folder.name)
        onnxruntime = import_onnxruntime()
        options = session_options(onnxruntime, choice)
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / "profile")
        self._optimised = folder / "optimised.onnx"
        options.optimized_model_filepath = str(self._optimised)
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._counts: list[bool] = []
        self._whole_ms: list[float] = []

    def __enter__(self) -> "OnnxruntimeRecorder":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def sample(self, inputs: Inputs, runs: int) -> None:
        """Run with ``inputs``, first to warm up and then ``runs`` times."""
        for i in range(-WARM_UPS, runs):
            start = time.perf_counter()
            self._session.run(None, inputs)
            taken_ms = 1e3 * (time.perf_counter() - start)
            self._counts.append(i >= 0)
            if i >= 0:
                self._whole_ms.append(taken_ms)

    def finish(self) -> Recording:
        """End recording and return what was recorded."""
        events = json.loads(Path(self._session.end_profiling()).read_text())
        optimised = onnx.load(self._optimised, load_external_data=False).graph
        nodes: dict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
        for kernel, names in zip(optimised.node, nodes_of_kernels(optimised, self._ledger), strict=True):
            nodes[kernel.name, kernel.op_type].append(names)
        runs = [run for run, counts in zip(_runs(events), self._counts, strict=True) if counts]
        if len({len(run) for run in runs}) > 1:
            raise UsageError("the graph runs other kernels each time (an If or Loop), so its layers have no one time.")
        kernels = []
        for i, event in enumerate(runs[0]):
            name, op = event["name"].removesuffix(_KERNEL_TIME), event["args"]["op_name"]
            found = nodes.get((name, op)) or nodes["", op]  # one without a name is given one when it runs
            samples = tuple(run[i]["dur"] / 1e3 for run in runs)
            kernels.append(Kernel(name or op, op, found.pop(0) if found else (), samples))
        return Recording(tuple(kernels), tuple(self._whole_ms))


def _runs(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The events of the kernels, run by run; a graph's kernels run in the same order each time."""
    runs: list[list[dict[str, Any]]] = [[]]
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith(_KERNEL_TIME):
            runs[-1].append(event)
        elif event["name"] == "model_run":
            runs.append([])
    return runs[:-1]
