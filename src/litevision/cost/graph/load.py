"""Read an ONNX file, and of the files beside it only what shapes are made of."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import onnx.checker
import onnx.inliner
from onnx import TensorProto

from litevision.cost.graph.tensors import Tensor, all_tensors
from litevision.errors import BundleError, FileMissingError, UnsafeFileError, reason_of
from litevision.runtime.bundle import read_bundle
from litevision.runtime.onnx_header import read_header

_SMALL_BYTES = 4096
_MOST_NODES = 200_000  # the largest exported networks have some 10,000


def load_graph(path: Path) -> onnx.ModelProto:
    """Load the model in a file; weights that lie in other files stay there.

    Raises:
        FileMissingError: no such file, or one that should lie beside it is not there.
        BundleError: not ONNX, or broken.
        UnsafeFileError: it keeps tensors in files outside its folder.
    """
    data = read_bundle(path)
    try:
        read_header(data)
        model = onnx.load_model_from_string(data)
        _refuse_bytes(model)
    except Exception as error:  # protobuf's DecodeError is no public name
        raise BundleError(
            f"{path}: not an ONNX file ({reason_of(error)}). Expected one that an exporter wrote."
        ) from None
    for tensor in all_tensors((node for function in model.functions for node in function.node), [model.graph]):
        if tensor.data_location == TensorProto.EXTERNAL:
            _take_external(tensor, path)
        else:
            _check(tensor, path)
    return model


def _refuse_bytes(model: onnx.ModelProto) -> None:
    """Raises a ValueError for names that are no UTF-8, which protobuf gives as bytes."""
    graph = model.graph
    for text in (it.name for it in (*graph.input, *graph.output, *graph.value_info, *graph.initializer)):
        _require_text(text)
    for holder in (graph, *model.functions):
        for node in _with_inner(holder.node):
            for text in (node.op_type, node.domain, node.name, *node.input, *node.output):
                _require_text(text)


def _require_text(name: object) -> None:
    if not isinstance(name, str):
        raise ValueError(f"the name {name!r} is no UTF-8")


def with_functions_inlined(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Inline the functions that ``model`` defines itself.

    Raises:
        BundleError: functions that cannot be; ``name`` is the file's.
    """
    if not model.functions:
        return model
    try:
        if _inlined_nodes(model) > _MOST_NODES:
            raise ValueError(f"they stand for more than {_MOST_NODES:,} nodes")
        return onnx.inliner.inline_local_functions(model)
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise BundleError(
            f"{name}: its functions cannot be put in place ({reason_of(error)}). Export it anew."
        ) from None


def _inlined_nodes(model: onnx.ModelProto) -> int:
    """How many nodes the graph will have, counted without making any: functions of functions multiply.

    Raises:
        ValueError: a function calls itself.
    """
    bodies = {(it.domain, it.name, it.overload): it.node for it in model.functions}
    sizes: dict[tuple[str, str, str], int] = {}

    def calls(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[str, str, str]]:
        for node in _with_inner(nodes):
            yield node.domain, node.op_type, node.overload

    pending = list(bodies)
    under_way: set[tuple[str, str, str]] = set()
    while pending:
        key = pending[-1]
        called = {it for it in calls(bodies[key]) if it in bodies and it not in sizes}
        if called & under_way or key in called:
            raise ValueError("Cycle detected: they call themselves")
        if called and key not in sizes:
            under_way.add(key)
            pending += called
            continue
        sizes[pending.pop()] = min(sum(sizes.get(it, 1) for it in calls(bodies[key])), _MOST_NODES + 1)
        under_way.discard(key)
    return sum(sizes.get(it, 1) for it in calls(model.graph.node))


def _with_inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes, and those of the graphs inside them."""
    pending = [nodes]
    while pending:
        for node in pending.pop():
            yield node
            pending += [graph.node for it in node.attribute for graph in (it.g, *it.graphs) if graph.node]


def _take_external(tensor: TensorProto, path: Path) -> None:
    """Refuses what does not lie in the folder of ``path``, and reads it where it is small."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location, size = entries.get("location", ""), _size(tensor, path)
    folder = path.parent.resolve()
    file = (folder / location.replace("\0", "")).resolve()
    if not location or not file.is_relative_to(folder):
        # CVE-2022-25882 and five since: a path inside a foreign file may point anywhere on this machine.
        raise UnsafeFileError(
            f"{path}: keeps {tensor.name!r} at {location!r}, outside its own folder, which is not read. "
            "Save the model as one file."
        )
    if not file.is_file():
        raise FileMissingError(f"{path}: keeps {tensor.name!r} in {location!r}, which is not there. Put it beside.")
    offset, length = (int(entries[key]) if entries.get(key, "").isdecimal() else None for key in ("offset", "length"))
    if length not in (None, size) or (offset or 0) + size > file.stat().st_size:
        raise BundleError(
            f"{path}: {tensor.name!r} needs {size} bytes of {location!r} from {offset or 0} on, but that file is cut "
            "short or another model's. Copy both again."
        )
    if size <= _SMALL_BYTES:
        with file.open("rb") as data:
            data.seek(offset or 0)
            tensor.raw_data = data.read(size)
        tensor.data_location = TensorProto.DEFAULT


def _check(tensor: TensorProto, path: Path) -> None:
    """Refuses a tensor that does not hold what its shape promises."""
    size = _size(tensor, path)
    if tensor.HasField("raw_data") and len(tensor.raw_data) != size:
        raise BundleError(
            f"{path}: {tensor.name!r} holds {len(tensor.raw_data)} bytes and its shape needs {size}: the file is "
            "broken. Copy or export it again."
        )


def _size(tensor: TensorProto, path: Path) -> int:
    """Bytes of a tensor with a fixed shape."""
    if any(side < 0 for side in tensor.dims):
        raise BundleError(f"{path}: {tensor.name!r} has the shape {tuple(tensor.dims)}: the file is broken.")
    size = Tensor(tuple(tensor.dims), tensor.data_type).bytes
    if size is None and tensor.data_type != TensorProto.STRING:
        raise BundleError(
            f"{path}: {tensor.name!r} is of type {tensor.data_type}, which is not known. Is it made for a newer onnx?"
        )
    return size or 0
