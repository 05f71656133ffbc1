"""The times of openvino's kernels, from its own counters."""

import time
from typing import Any

from litevision.cost.graph import GraphLedger, NodeCost
from litevision.lab.profile.recorders import WARM_UPS, Inputs
from litevision.lab.profile.timings import Kernel, Recording
from litevision.runtime.engines import EngineChoice
from litevision.runtime.engines.openvino_engine import OpenvinoEngine

_PRODUCTS = frozenset({"Convolution", "GroupConvolution", "Deconvolution", "FullyConnected", "MatMul"})
# A counter holds the sum of whole microseconds, each cut off, and tells its mean over all runs, cut off again.
# Source: openvino's src/plugins/intel_cpu/src/perf_count.h.
_CUT_US = 0.5


class OpenvinoRecorder:
    """A graph that is compiled anew for each turn: a counter cannot be set back, and is the coarser the more it ran."""

    def __init__(self, data: bytes, choice: EngineChoice, ledger: GraphLedger) -> None:
        self._engine = OpenvinoEngine(data, choice, name="the graph")
        self._ledger = ledger
        self._names = {output: node for node in ledger.rows for output in node.outputs}
        self._names |= {node.name: node for node in ledger.rows}
        self._kernels: list[Kernel] = []  # in the order in which they ran, as are the numbers of each turn
        self._turns: list[list[float]] = []
        self._whole_ms: list[float] = []

    def __enter__(self) -> "OpenvinoRecorder":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sample(self, inputs: Inputs, runs: int) -> None:
        """Run with ``inputs``, first to warm up and then ``runs`` times."""
        is_single = len(inputs) == 1 and next(iter(inputs.values())).shape[:1] == (1,)
        compiled = self._engine.compile(single=is_single, profiled=True)
        request = compiled.create_infer_request()
        for _ in range(WARM_UPS):
            request.infer(inputs, share_inputs=True)
        before = _read(request, WARM_UPS)
        taken_s = 0.0
        for _ in range(runs):
            start = time.perf_counter()
            list(request.infer(inputs, share_inputs=True).values())  # as the engine hands them over
            taken_s += time.perf_counter() - start
        after = _read(request, WARM_UPS + runs)
        self._whole_ms.append(1e3 * taken_s / runs)
        self._turns.append([(total - earlier) / runs for total, earlier in zip(after, before, strict=True)])
        if not self._kernels:
            known = {kernel.name: kernel for kernel in self._described(compiled.get_runtime_model())}
            names = [counter.node_name for counter in request.profiling_info]
            self._kernels = [known.get(name, Kernel(name, "", (), ())) for name in names]

    def finish(self) -> Recording:
        """End recording and return what was recorded."""
        timed = zip(self._kernels, zip(*self._turns, strict=True), strict=True)
        # A kernel of less than a microsecond counts as not run, as does one that only names memory anew.
        kernels = (
            Kernel(kernel.name, kernel.op, kernel.nodes, ms)
            for kernel, ms in timed
            if any(ms) or any(self._names[node].macs for node in kernel.nodes)
        )
        return Recording(tuple(kernels), tuple(self._whole_ms))

    def _described(self, model: Any) -> list[Kernel]:
        """The kernels with the nodes that they compute."""
        found: list[tuple[int, str, str, list[str], list[str]]] = []
        for operation in model.get_ordered_ops():
            info = {key: value.astype(str) for key, value in operation.get_rt_info().items()}
            nodes = list(filter(None, map(self._node, info["originalLayersNames"].split(","))))
            sides = list(map(str, operation.get_output_partial_shape(0)))[1:] if operation.get_output_size() else []
            found.append((int(info["execOrder"]), operation.get_friendly_name(), info["layerType"], nodes, sides))
        found.sort(key=lambda each: each[0])
        self._claim_unnamed([(nodes, sides) for *_, op, nodes, sides in found if op in _PRODUCTS])
        return [Kernel(name, op, tuple(dict.fromkeys(nodes)), ()) for _, name, op, nodes, _ in found]

    def _claim_unnamed(self, kernels: list[tuple[list[str], list[str]]]) -> None:
        """Adds to ``kernels``, each with its nodes and the sides of its map, those that have lost their names.

        openvino calls a convolution that took in the normalisation after it by a number. It is taken for the first one
        left, in the file's order, that writes such a map; a normalisation goes with the convolution before it.
        """
        claimed = {name for nodes, _ in kernels for name in nodes}
        left = [node for node in self._ledger.rows if node.macs and node.name not in claimed]
        for nodes, sides in kernels:
            if any(self._names[name].macs for name in nodes):
                continue
            match = next((node for node in left if _sides(node) == sides), None)
            if match:
                left.remove(match)
                nodes.insert(0, match.name)
        owners = {name: nodes for nodes, _ in kernels for name in nodes}
        for node in self._ledger.rows:
            if node.kind == "batch_norm" and node.name not in owners:
                owner = next((owners[name] for name in node.inputs if name in owners), None)
                if owner is not None:
                    owner.append(node.name)

    def _node(self, name: str) -> str | None:
        """The node of the file that openvino calls ``name``, or takes a part of."""
        if name in self._names:
            return self._names[name].name
        node = self._names.get(name.partition("/")[0].removesuffix("_original"))
        if node is None or not name.endswith("_original"):
            return node.name if node else None
        # A transpose and the conversion after it have changed places, and names.
        before = (self._names.get(read) for read in node.inputs)
        return next((found.name for found in before if found and found.op_type == "Transpose"), node.name)


def _sides(node: NodeCost) -> list[str] | None:
    """Of what ``node`` writes, without the batch."""
    shape = node.out_shapes[0] if node.out_shapes else None
    return None if shape is None else list(map(str, shape[1:]))


def _read(request: Any, runs: int) -> list[float]:
    """Milliseconds that each kernel took in all ``runs`` together; 0 for what did not run."""
    return [
        runs * (counter.real_time.total_seconds() * 1e6 + 2 * _CUT_US) / 1e3
        if counter.status == counter.Status.EXECUTED
        else 0.0
        for counter in request.profiling_info
    ]
