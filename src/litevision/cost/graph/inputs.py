"""The inputs of a graph, with the axes that the file leaves open closed."""

from collections.abc import Sequence

from onnx import GraphProto, TensorShapeProto, ValueInfoProto

from litevision.errors import UsageError

_CHANNELS = (1, 3, 4)

Dim = TensorShapeProto.Dimension


def graph_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """What a caller has to give; old files list the weights too."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def bind(
    inputs: Sequence[ValueInfoProto], batch: int, size_hw: tuple[int, int] | None
) -> tuple[list[ValueInfoProto], dict[str, int]]:
    """``inputs`` with their open axes closed, and the numbers that the axes' names now stand for.

    The first axis of each input is the batch. An input with four axes is of images: height and width are its last
    two, or those in between where the last has 1, 3 or 4 channels and the second has not.

    Raises:
        UsageError: the file fixes an axis at another number; but a batch of 1 gives way.
    """
    names: dict[str, int] = {}
    bound = []
    for value in inputs:
        twin = ValueInfoProto()
        twin.CopyFrom(value)
        bound.append(twin)
        dims = twin.type.tensor_type.shape.dim
        if dims and not (_side_of(dims[0]) and batch == 1):
            _close(dims[0], batch, names, f"the batch of {value.name!r}")
        if size_hw is not None:
            for dim, side, axis in zip(_image_axes(twin), size_hw, ("height", "width"), strict=False):
                _close(dim, side, names, f"the {axis} of {value.name!r}")
    for twin in bound:
        for dim in twin.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_value = names[dim.dim_param]
    return bound, names


def _side_of(dim: Dim) -> int | None:
    """The length of an axis; None where it is open, which some write as 0 or -1."""
    return dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None


def _image_axes(value: ValueInfoProto) -> list[Dim]:
    """Height and width of an input with four axes; nothing of another."""
    dims = value.type.tensor_type.shape.dim
    if len(dims) != 4:
        return []
    is_channels_last = dims[3].dim_value in _CHANNELS and dims[1].dim_value not in _CHANNELS
    return [dims[1], dims[2]] if is_channels_last else [dims[2], dims[3]]


def _close(dim: Dim, side: int, names: dict[str, int], what: str) -> None:
    fixed = _side_of(dim) or names.get(dim.dim_param)
    if fixed and fixed != side:
        raise UsageError(f"{what} is {fixed} in the file, asked for {side}. Leave it out, or export the network so.")
    if dim.dim_param:
        names[dim.dim_param] = side
    dim.dim_value = side
