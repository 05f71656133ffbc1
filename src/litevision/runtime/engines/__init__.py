"""The engines that compute bundles. Each is imported when a graph is opened with it, not before."""

import importlib.util
from collections.abc import Sequence
from typing import cast, get_args

from litevision.errors import UnknownNameError, UsageError
from litevision.runtime.cpus import available_cpus
from litevision.runtime.engines.base import Engine, EngineChoice, EngineName, Outputs, Precision, TensorInfo

__all__ = [
    "AUTO",
    "PRECISIONS_OF",
    "Engine",
    "EngineChoice",
    "EngineName",
    "Outputs",
    "Precision",
    "TensorInfo",
    "candidates",
    "engine_choice",
    "installed_engines",
    "open_engine",
]

AUTO = "auto"
"""Stands for an engine's name where the fastest is to be found by measuring; see `litevision.runtime.engines.auto`."""

PRECISIONS_OF: dict[EngineName, tuple[Precision, ...]] = {"onnxruntime": ("fp32",), "openvino": ("fp32", "bf16")}
"""What each engine computes in on a CPU; bf16 asks for a CPU that has instructions for it."""


def installed_engines() -> tuple[EngineName, ...]:
    """The engines that this Python can import."""
    return tuple(name for name in PRECISIONS_OF if importlib.util.find_spec(name) is not None)


def engine_choice(
    engine: str, precision: str | None = None, *, threads: int | None = None, streams: int = 1
) -> EngineChoice:
    """The checked choice of these arguments, which are those of `litevision.runtime.Bundle.open`.

    Raises:
        UnknownNameError: no such engine or precision.
        UsageError: fewer than one thread or stream.
    """
    precision = precision or "fp32"
    if engine not in get_args(EngineName):
        also = () if engine == AUTO else (AUTO,)  # which is no engine where it is not looked for
        raise UnknownNameError.of("engine", engine, (*get_args(EngineName), *also))
    if precision not in get_args(Precision):
        raise UnknownNameError.of("precision", precision, get_args(Precision))
    if streams < 1:
        raise UsageError(f"{streams} streams; expected at least 1.")
    if threads is None:
        threads = max(1, available_cpus() // streams)
    if threads < 1:
        raise UsageError(f"{threads} threads; expected at least 1.")
    # Both are known names by now, which mypy does not see.
    return EngineChoice(cast(EngineName, engine), cast(Precision, precision), threads, streams)


def candidates(
    engines: Sequence[str] = (), precisions: Sequence[str] = (), *, threads: int | None = None, streams: int = 1
) -> list[EngineChoice]:
    """What may compute a bundle here, the most exact first and onnxruntime before others; one at least.

    Args:
        engines: only these; where there are none, those that are installed.
        precisions: only these; where there are none, all.
        threads: as for `engine_choice`.
        streams: as for `engine_choice`.

    Raises:
        UsageError: no such engine or precision, or no engine among these with one of these precisions.
    """
    engines, precisions = engines or installed_engines(), precisions or get_args(Precision)
    every = [
        engine_choice(name, precision, threads=threads, streams=streams) for precision in precisions for name in engines
    ]
    found = [choice for choice in every if choice.precision in PRECISIONS_OF[choice.name]]
    if not found:
        raise UsageError(
            f"{' and '.join(engines)} cannot compute in {' and '.join(precisions)}. "
            "Use fp32, or install the engine that has bf16: pip install 'litevision[openvino]'."
        )
    return found


def open_engine(data: bytes, choice: EngineChoice, *, name: str = "the bundle") -> Engine:
    """The graph in ``data``, loaded into the engine of ``choice``.

    Args:
        data: an ONNX file.
        choice: the engine and how it computes.
        name: the bundle's path, for messages.

    Raises:
        UsageError: a precision that this engine or CPU does not have.
        MissingExtraError: the engine is not installed.
        BundleError: the engine cannot load the graph.
    """
    if choice.name == "openvino":
        from litevision.runtime.engines.openvino_engine import OpenvinoEngine

        return OpenvinoEngine(data, choice, name=name)
    from litevision.runtime.engines.onnxruntime_engine import OnnxruntimeEngine

    return OnnxruntimeEngine(data, choice, name=name)
