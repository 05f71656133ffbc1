"""ncnn's own format, ``model.param`` and ``model.bin`` in a folder, converted by pnnx."""

import importlib.util
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from litevision.errors import ExportError, MissingExtraError, reason_of
from litevision.exporting.formats import HALF_TOLERANCE, FinishedBundle
from litevision.exporting.portable import make_portable
from litevision.exporting.suppression import without_suppression
from litevision.exporting.surgery import fix_batch, give_maps, prune, read_graph, shape_of, take_floats
from litevision.runtime.engines.ncnn_engine import BIN, PARAM

_TIMEOUT_S = 600
_TOLERANCE = 1e-4


def write_ncnn(bundle: FinishedBundle, unfinished: Path, *, half: bool = False) -> float:
    """Writes the bundle's graph, for normalised float images one at a time, with weights in float32 or float16.

    A CenterNet's maps are left to be decoded, and of other detectors the boxes of all cells to be suppressed. Arguments
    as for ``ExportFormat.write``.

    Raises:
        MissingExtraError: pnnx is not installed.
        ExportError: pnnx cannot convert the graph.
    """
    if bundle.metadata.quantization is not None:
        raise ExportError("ncnn takes no bundle in 8 bits; give the one that it was made of")
    pnnx = _find_pnnx()
    model = read_graph(bundle.path)
    take_floats(model)
    if bundle.metadata.suppression is not None:
        model = without_suppression(model)
    elif bundle.metadata.finds_boxes:
        give_maps(model)
    fix_batch(model, 1)
    make_portable(model)
    _shuffle_by_transposing(model)
    _sum_by_product(model)
    [taken] = model.graph.input
    sides = ",".join(str(side.dim_value) for side in taken.type.tensor_type.shape.dim)
    with tempfile.TemporaryDirectory() as work:  # it writes ten files beside its input, and rewrites some inputs
        onnx.save(model, Path(work, "model.onnx"))
        try:
            done = subprocess.run(
                [pnnx, "model.onnx", f"inputshape=[{sides}]", f"fp16={int(half)}"],
                cwd=work,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExportError(f"pnnx cannot be run ({reason_of(error)})") from None
        param, numbers = Path(work, "model.ncnn.param"), Path(work, "model.ncnn.bin")
        if done.returncode or not param.is_file() or not numbers.is_file():
            said = (done.stderr or done.stdout).strip().splitlines() or ["it says nothing"]
            raise ExportError(f"pnnx cannot convert the graph ({said[-1][:200]})")
        names = {"in0": taken.name, **{f"out{place}": it.name for place, it in enumerate(model.graph.output)}}
        (unfinished / PARAM).write_text(_renamed(param.read_text("utf-8"), names), "utf-8")
        (unfinished / BIN).write_bytes(numbers.read_bytes())
    return HALF_TOLERANCE if half else _TOLERANCE


def _shuffle_by_transposing(model: onnx.ModelProto) -> None:
    """Writes each shuffle of two halves' channels as what pnnx knows for ncnn's ShuffleChannel.

    A bundle interleaves them by a concatenation along a new axis, which other engines compute sooner: ShuffleNetV2 1.0
    on one thread took 11.8 ms in onnxruntime and 9.6 in OpenVINO, and 12.6 and 13.1 with transposes; in ncnn it is the
    other way round, 14.0 ms and 13.0.
    """
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        joined = made_by.get(node.input[0]) if node.op_type == "Reshape" else None
        parts = [made_by[name] for name in joined.input if name in made_by] if joined else []
        halves = [part.input[0] for part in parts if part.op_type == "Unsqueeze" and _is_third_axis_new(graph, part)]
        shape = [side for side in shape_of(graph, node.output[0]) if isinstance(side, int)]
        if len(halves) != 2 or len(parts) != 2 or len(shape) != 4:
            nodes.append(node)
            continue
        name, (count, channels, height, width) = node.output[0], shape
        sides = {f"{name}/apart": [count, 2, channels // 2, height, width], f"{name}/shape": shape}
        graph.initializer.extend(numpy_helper.from_array(np.array(to, np.int64), key) for key, to in sides.items())
        apart, whole = sides
        nodes += [
            helper.make_node("Concat", halves, [f"{name}/1"], axis=1),
            helper.make_node("Reshape", [f"{name}/1", apart], [f"{name}/2"]),
            helper.make_node("Transpose", [f"{name}/2"], [f"{name}/3"], perm=[0, 2, 1, 3, 4]),
            helper.make_node("Reshape", [f"{name}/3", whole], [name]),
        ]
    _put_nodes(graph, nodes)


def _sum_by_product(model: onnx.ModelProto) -> None:
    """Writes each sum of the last axis, weighted by constants, as a product of matrices.

    pnnx loses the axes of such a sum where they are an input of the operator, as they are from opset 13 on.
    """
    graph = model.graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        product = made_by.get(node.input[0]) if node.op_type == "ReduceSum" and len(node.input) == 2 else None
        axes = constants.get(node.input[1]) if product is not None else None
        shape = shape_of(graph, node.output[0])
        if product is None or product.op_type != "Mul" or axes is None:
            nodes.append(node)
            continue
        rank = len(shape_of(graph, node.input[0]))
        given, weights = product.input[0], constants.get(product.input[1])
        if weights is None or weights.ndim != 1 or axes.ravel().tolist() not in ([-1], [rank - 1]):
            nodes.append(node)
            continue
        name = node.output[0]
        matrix = numpy_helper.from_array(np.ascontiguousarray(weights[:, None]), f"{name}/weights")
        graph.initializer.extend([matrix, numpy_helper.from_array(np.array(shape, np.int64), f"{name}/shape")])
        nodes += [
            helper.make_node("MatMul", [given, matrix.name], [f"{name}/column"]),
            helper.make_node("Reshape", [f"{name}/column", f"{name}/shape"], [name]),
        ]
    _put_nodes(graph, nodes)


def _put_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Makes ``nodes`` the graph's, without those that no output needs."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    prune(graph)


def _is_third_axis_new(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    before, after = shape_of(graph, node.input[0]), shape_of(graph, node.output[0])
    return len(before) == 4 and after == [*before[:2], 1, *before[2:]]


def _renamed(param: str, names: dict[str, str]) -> str:
    """The text of a ``.param`` file whose blobs have the graph's names."""
    lines = [" ".join(names.get(word, word) for word in line.split()) for line in param.splitlines()]
    return "\n".join(lines) + "\n"


def _find_pnnx() -> str:
    spec = importlib.util.find_spec("pnnx")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError.of("export to ncnn", "ncnn")
    folder = Path(spec.submodule_search_locations[0])
    return str(next((path for path in (folder / "pnnx", folder / "pnnx.exe") if path.is_file()), folder / "pnnx"))
