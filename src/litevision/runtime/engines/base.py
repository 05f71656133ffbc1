"""The interface of engines: numpy arrays in and out, and nothing of the library behind them."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, LitevisionError, reason_of

_NO_MEMORY = re.compile(r"allocate memory|bad[ _]alloc|out of memory", re.IGNORECASE)

Precision = Literal["fp32", "bf16"]

Outputs = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine computes a bundle, and how.

    Attributes:
        name: the engine, a key of `litevision.runtime.engines.ENGINES`.
        precision: of the sums inside; inputs, outputs and the weights in the file stay as they are.
        threads: how many threads compute one call of ``run``.
        streams: how many calls are to run at once, each from a thread of its own.
        device: what computes it: "cpu", "cuda" and so on; "auto" until the engine is opened.
    """

    name: str = "onnxruntime"
    precision: Precision = "fp32"
    threads: int = 1
    streams: int = 1
    device: str = "cpu"

    @property
    def title(self) -> str:
        """The engine, its precision and any device but the CPU, as messages and tables name them."""
        return f"{self.name} {self.precision}" + ("" if self.device in ("cpu", "auto") else f" on {self.device}")

    def __str__(self) -> str:
        return f"{self.title}, {self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of a graph.

    Attributes:
        name: what it is called.
        dtype: as ONNX spells it: ``uint8``, ``float`` for float32.
        shape: the lengths, None where any goes.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.name!r}, tensor({self.dtype}) of [{', '.join('N' if n is None else str(n) for n in self.shape)}]"


class Engine(Protocol):
    """A graph that is loaded and ready; `run` may be called from several threads at once."""

    @property
    def choice(self) -> EngineChoice:
        """What was asked for."""

    @property
    def version(self) -> str:
        """The engine's name and version."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What the graph takes."""

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What the graph gives."""

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs:
        """Run the graph on a batch, and return every output by name, in arrays that belong to the caller.

        Args:
            batch_u8_nhwc: ``uint8[N, H, W, 3]`` for the graph's only input.

        Raises:
            BundleError: the graph fails while it runs.
        """

    def run_named(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        """Run a graph of any inputs, given by name, and return every output by name; raises as `run`."""


@contextmanager
def load_errors(name: str, version: str, reason: Callable[[BaseException], str] = reason_of) -> Iterator[None]:
    """Turn what an engine raises while it loads the file ``name``, and tells what is in it, into a `BundleError`."""
    try:
        yield
    except LitevisionError:
        raise
    except Exception as error:  # the engines' own share no other base class
        raise BundleError(f"{name}: {version} cannot load it ({reason(error)}).") from error


@contextmanager
def compute_errors(name: str, version: str, shape: tuple[int, ...] = ()) -> Iterator[None]:
    """Turn what an engine raises while it computes the file ``name`` for inputs of ``shape`` into a `BundleError`."""
    try:
        yield
    except LitevisionError:
        raise
    except Exception as error:  # the engines' own share no other base class
        reason = " ".join(str(error).split())
        if isinstance(error, MemoryError) or _NO_MEMORY.search(reason):
            reason = f"not enough memory{f' for an input of {shape}' if shape else ''}; {reason}"
        raise BundleError(
            f"{name}: {version} cannot compute it ({reason[:300]}). Make it again with 'litevision export', or with "
            "what exported it."
        ) from error


def run_each(engine: Engine, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs | None:
    """Run a graph whose batch is fixed at 1 on each image by itself; None where it takes the batch at once."""
    if batch_u8_nhwc.shape[:1] in ((), (1,)) or engine.inputs[0].shape[:1] != (1,):
        return None
    answers = [engine.run(image_u8_hwc[None]) for image_u8_hwc in batch_u8_nhwc]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
