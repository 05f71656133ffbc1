"""What an engine makes of a graph: the kernels that run, and what was fused into them."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from litevision.runtime.engines import EngineChoice
from litevision.runtime.engines.onnxruntime_engine import import_onnxruntime, session_options
from litevision.runtime.engines.openvino_engine import OpenvinoEngine

REORDER = "reorder"
"""A kernel of the engine's own, between its layouts of a map."""
PLAIN_CONV = "plain Conv"
"""A convolution that onnxruntime computes on maps as they are, not in blocks of channels that fill a vector unit."""

_OPENVINO = {"Convolution": "Conv", "Reorder": REORDER}
_NO_WORK = frozenset({"Const", "Input", "Output"})


@dataclass(frozen=True, slots=True)
class Kernel:
    """One step that the engine runs.

    Attributes:
        op: ``Conv``, `PLAIN_CONV`, `REORDER`, the ONNX operator, or the engine's own word.
        output: the graph's tensor that it writes; None where it is of the engine's making.
    """

    op: str
    output: str | None


def kernels(model: onnx.ModelProto, choice: EngineChoice) -> tuple[Kernel, ...]:
    """List the kernels that an engine runs for ``model``, in order.

    Args:
        model: its shapes are fixed, so that openvino compiles it as it does for one image.
    """
    found = _in_openvino(model, choice) if choice.name == "openvino" else _in_onnxruntime(model, choice)
    return tuple(found)


def fused(model: onnx.ModelProto, ran: tuple[Kernel, ...]) -> Counter[str]:
    """Count the nodes, by operator, that are in no kernel of their own; convolutions always have one."""
    others = Counter(node.op_type for node in model.graph.node if node.op_type != "Conv")
    return others - Counter(kernel.op for kernel in ran)


def _in_onnxruntime(model: onnx.ModelProto, choice: EngineChoice) -> Iterator[Kernel]:
    """Those of the graph that onnxruntime writes down after all its optimisations."""
    onnxruntime = import_onnxruntime()
    options = session_options(onnxruntime, choice)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "optimised.onnx")
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        optimised = onnx.load(path)
    outputs = {output for node in model.graph.node for output in node.output}
    for node in optimised.graph.node:
        op = REORDER if node.op_type.startswith("Reorder") else node.op_type.removeprefix("Fused")
        if op == "Conv" and not node.domain.endswith("nchwc"):
            op = PLAIN_CONV
        yield Kernel(op, next((output for output in node.output if output in outputs), None))


def _in_openvino(model: onnx.ModelProto, choice: EngineChoice) -> Iterator[Kernel]:
    compiled = OpenvinoEngine(model.SerializeToString(), choice, name="the graph").compile(single=True)
    # openvino calls a step after its node, the last one after its output.
    nodes = {name: node for node in model.graph.node for name in (*node.output, node.name) if name}
    for step in compiled.get_runtime_model().get_ordered_ops():
        facts = step.get_rt_info()
        kind = facts["layerType"].value
        if kind in _NO_WORK:
            continue
        names = facts["originalLayersNames"].value.split(",")
        last = next((nodes[name] for name in reversed(names) if name in nodes), None)
        if last is None and kind == "Reshape":
            continue  # of a weight, which stays where it is
        op = kind if last is None or kind == "Convolution" else last.op_type
        yield Kernel(_OPENVINO.get(op, op), last.output[0] if last is not None else None)
