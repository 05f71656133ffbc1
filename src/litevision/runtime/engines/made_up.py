"""Numbers for the inputs of any graph, so that it can be timed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import UsageError
from litevision.runtime.engines.base import TensorInfo

_DTYPES: dict[str, Any] = {
    "float": np.float32,
    "float16": np.float16,
    "double": np.float64,
    "bool": np.bool_,
    **{name: np.dtype(name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
}


def made_up_inputs(
    inputs: Sequence[TensorInfo], shapes: Mapping[str, tuple[int, ...] | None], path: Path
) -> dict[str, npt.NDArray[Any]]:
    """Make numbers up for every input: noise for pixels and other real numbers, ones for counts and indices.

    Args:
        inputs: of the engine.
        shapes: of them by name; None where the file leaves one open.

    Raises:
        UsageError: an open shape, a type that cannot be made up, or no input.
    """
    random = np.random.default_rng(0)
    made: dict[str, npt.NDArray[Any]] = {}
    for each in inputs:
        shape, dtype = shapes.get(each.name), _DTYPES.get(each.dtype)
        if dtype is None:
            known = ", ".join(_DTYPES)
            raise UsageError(f"{path}: {each} cannot be made up. Known types: {known}.")
        if shape is None:
            sides = "x".join("1" if length is None else str(length) for length in each.shape)
            size = "Give it with --size" if len(each.shape) == 4 else "Give its shape"
            raise UsageError(
                f"{path}: leaves the size of {each} open. {size}{', or' if len(each.shape) == 4 else ' with'} "
                f"--shape {each.name}={sides}."
            )
        if dtype == np.uint8:
            made[each.name] = random.integers(0, 256, shape, np.uint8)
        elif np.issubdtype(dtype, np.floating):
            made[each.name] = np.asarray(random.random(shape) * 2 - 1).astype(dtype)
        else:
            made[each.name] = np.ones(shape, dtype)
    if not made:
        raise UsageError(f"{path}: takes no input, so nothing is measured. Expected a graph with inputs.")
    return made
