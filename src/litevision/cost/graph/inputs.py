"""The inputs of a graph: which they are, and their open axes closed."""

from collections.abc import Mapping, Sequence

from onnx import GraphProto, TensorShapeProto, ValueInfoProto

from litevision.errors import UnknownNameError, UsageError

InputShapes = Mapping[str, Sequence[int]]
"""Shapes of inputs by name; the name "" stands for the only input."""

_CHANNELS = (1, 3, 4)

Dim = TensorShapeProto.Dimension


def graph_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """List what a caller has to give; old files list the weights too."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def bind(
    inputs: Sequence[ValueInfoProto], batch: int, size_hw: tuple[int, int] | None, shapes: InputShapes
) -> tuple[list[ValueInfoProto], dict[str, int]]:
    """Close the open axes of ``inputs``; also return the numbers that the axes' names now stand for.

    The first axis of each input is the batch. An input with four axes is of images: height and width are its last
    two, or those in between where the last has 1, 3 or 4 channels and the second has not. What ``shapes`` says of an
    input goes before both.

    Raises:
        UsageError: the file fixes an axis at another number, but a batch of 1 gives way; or no such input.
    """
    shapes = _named(shapes, inputs)
    names: dict[str, int] = {}
    bound = []
    for value in inputs:
        twin = ValueInfoProto()
        twin.CopyFrom(value)
        bound.append(twin)
        if value.name in shapes:
            _set(twin, shapes[value.name], names)
    for twin in bound:
        if twin.name in shapes:
            continue
        dims = twin.type.tensor_type.shape.dim
        if dims and not ((_side_of(dims[0]) or dims[0].dim_param in names) and batch == 1):
            _close(dims[0], batch, names, f"the batch of {twin.name!r}")
        if size_hw is not None:
            for dim, side, axis in zip(_image_axes(twin), size_hw, ("height", "width"), strict=False):
                _close(dim, side, names, f"the {axis} of {twin.name!r}")
    for twin in bound:
        for dim in twin.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_value = names[dim.dim_param]
    return bound, names


def is_image(value: ValueInfoProto) -> bool:
    """Whether an input has four axes, as a batch of images has, and leaves height or width open."""
    return any(_side_of(dim) is None for dim in _image_axes(value))


def _named(shapes: InputShapes, inputs: Sequence[ValueInfoProto]) -> InputShapes:
    """``shapes`` with the name of the only input where it was left out."""
    known = [value.name for value in inputs]
    if "" in shapes:
        if len(known) != 1:
            raise UsageError(f"the file has {len(known)} inputs ({', '.join(known)}): give shapes as NAME=1x3x224x224")
        shapes = {**{name: shape for name, shape in shapes.items() if name}, known[0]: shapes[""]}
    for name, shape in shapes.items():
        if name not in known:
            raise UnknownNameError.of("input", name, known)
        if any(length < 0 for length in shape):
            raise UsageError(f"the shape {'x'.join(map(str, shape))} of {name!r} has a side below 0")
    return shapes


def _set(value: ValueInfoProto, shape: Sequence[int], names: dict[str, int]) -> None:
    """Closes all axes of ``value``, or gives it as many as ``shape`` has where it says nothing of them."""
    if not value.type.HasField("tensor_type"):
        raise UsageError(f"{value.name!r} is no tensor, and has no shape. Leave it out.")
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        for length in shape:
            tensor.shape.dim.add(dim_value=length)
        return
    if len(tensor.shape.dim) != len(shape):
        raise UsageError(
            f"{value.name!r} has {len(tensor.shape.dim)} axes in the file, got {'x'.join(map(str, shape)) or 'none'}."
        )
    for i, (dim, length) in enumerate(zip(tensor.shape.dim, shape, strict=True)):
        _close(dim, length, names, f"axis {i} of {value.name!r}")


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
