"""The engines that compute bundles: one row of `ENGINES` each, imported when a graph is opened and not before."""

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from litevision.errors import UnknownNameError, UsageError
from litevision.runtime.cpus import available_cpus
from litevision.runtime.engines.base import Engine, EngineChoice, Outputs, Precision, TensorInfo

__all__ = [
    "AUTO",
    "ENGINES",
    "Engine",
    "EngineChoice",
    "EngineSpec",
    "Outputs",
    "Precision",
    "TensorInfo",
    "candidates",
    "check_reads",
    "default_engine",
    "device_names",
    "ending_of",
    "engine_choice",
    "engines_for",
    "installed_engines",
    "open_engine",
]

AUTO = "auto"
"""As an engine: the fastest one, found by measuring (`litevision.runtime.engines.auto`). As a device: a GPU that the
engine has been installed for, or else the CPU."""


@dataclass(eq=False, repr=False)  # every start pays for what dataclasses write
class EngineSpec:
    """Description of an engine, before it is imported.

    Attributes:
        package: what Python imports.
        precisions: what it computes in, the most exact first; bf16 asks for a CPU that has instructions for it.
        devices: what it computes on, and which pip package brings each.
        opener: ``module:class``, or a function, that opens a graph: ``opener(data, choice, name=...)``.
        install: the pip command that installs it.
        distributions: the pip packages that hold it, for its version.
        reads: the ending of the files that it computes.
    """

    package: str
    precisions: tuple[Precision, ...]
    devices: Mapping[str, str]
    opener: str | Callable[..., Engine]
    install: str
    distributions: tuple[str, ...]
    reads: str = ".onnx"

    def open(self, data: bytes, choice: EngineChoice, *, name: str) -> Engine:
        """Load a graph; arguments and errors as for `open_engine`."""
        if callable(self.opener):
            return self.opener(data, choice, name=name)
        module, _, attribute = self.opener.partition(":")
        opened: Engine = getattr(importlib.import_module(module), attribute)(data, choice, name=name)
        return opened


ENGINES: dict[str, EngineSpec] = {
    "onnxruntime": EngineSpec(
        package="onnxruntime",
        precisions=("fp32",),
        devices={
            "cpu": "onnxruntime",
            "cuda": "onnxruntime-gpu",
            "coreml": "onnxruntime (on macOS)",
            "directml": "onnxruntime-directml",
        },
        opener="litevision.runtime.engines.onnxruntime_engine:OnnxruntimeEngine",
        install="pip install onnxruntime",
        distributions=("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml"),
    ),
    "openvino": EngineSpec(
        package="openvino",
        precisions=("fp32", "bf16"),
        devices={"cpu": "openvino", "gpu": "openvino, with Intel's GPU driver"},
        opener="litevision.runtime.engines.openvino_engine:OpenvinoEngine",
        install="pip install 'litevision[openvino]'",
        distributions=("openvino",),
    ),
    "litert": EngineSpec(
        package="ai_edge_litert",
        precisions=("fp32",),
        devices={"cpu": "ai-edge-litert"},
        opener="litevision.runtime.engines.litert_engine:LitertEngine",
        install="pip install 'litevision[litert]'",
        distributions=("ai-edge-litert",),
        reads=".tflite",
    ),
}
"""Every engine by its name, the default one of each kind of file first."""


def installed_engines() -> tuple[str, ...]:
    """List the engines that this Python can import."""
    return tuple(name for name, spec in ENGINES.items() if importlib.util.find_spec(spec.package) is not None)


def engines_for(ending: str) -> tuple[str, ...]:
    """List those of them that compute files with this ending; the default one where there are none."""
    return tuple(name for name in installed_engines() if ENGINES[name].reads == ending) or (default_engine(ending),)


def ending_of(path: str | os.PathLike[str]) -> str:
    """The ending of a bundle's file, as the engines' rows have it; that of any other name is .onnx."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122  # every start pays for a Path
    return suffix if any(spec.reads == suffix for spec in ENGINES.values()) else ".onnx"


def default_engine(ending: str) -> str:
    """The engine that computes files with this ending unless another is asked for."""
    return next(name for name, spec in ENGINES.items() if spec.reads == ending)


def check_reads(engine: str, ending: str) -> None:
    """Refuse an engine that does not compute files with this ending.

    Raises:
        UsageError: the message says which do.
    """
    if ENGINES[engine].reads != ending:
        able = [name for name, other in ENGINES.items() if other.reads == ending]
        raise UsageError(
            f"{engine} computes {ENGINES[engine].reads} files, got one that ends with {ending}; "
            f"expected the engine {' or '.join(able)}."
        )


def device_names() -> tuple[str, ...]:
    """List "auto" and every device that some engine computes on."""
    return AUTO, *dict.fromkeys(device for spec in ENGINES.values() for device in spec.devices)


def engine_choice(
    engine: str,
    precision: str | None = None,
    *,
    threads: int | None = None,
    streams: int = 1,
    device: str = "cpu",
) -> EngineChoice:
    """Check the arguments of `litevision.runtime.Bundle.open`, and return them as a choice.

    Raises:
        UnknownNameError: no such engine, precision or device.
        UsageError: a device that this engine does not know, or fewer than one thread or stream.
    """
    precision = precision or "fp32"
    if engine not in ENGINES:
        also = () if engine == AUTO else (AUTO,)  # which is no engine where it is not looked for
        raise UnknownNameError.of("engine", engine, (*ENGINES, *also))
    if precision not in get_args(Precision):
        raise UnknownNameError.of("precision", precision, get_args(Precision))
    if device not in device_names():
        raise UnknownNameError.of("device", device, device_names())
    if device not in (AUTO, *ENGINES[engine].devices):
        able = [name for name, spec in ENGINES.items() if device in spec.devices]
        raise UsageError(
            f"{engine} does not compute on {device}; expected {' or '.join((AUTO, *ENGINES[engine].devices))}, "
            f"or the engine {' or '.join(able)}."
        )
    if streams < 1:
        raise UsageError(f"{streams} streams; expected at least 1.")
    if threads is None:
        threads = max(1, available_cpus() // streams)
    if threads < 1:
        raise UsageError(f"{threads} threads; expected at least 1.")
    return EngineChoice(engine, cast(Precision, precision), threads, streams, device)  # a known name by now


def candidates(
    engines: Sequence[str] = (),
    precisions: Sequence[str] = (),
    *,
    threads: int | None = None,
    streams: int = 1,
    device: str = "cpu",
    reads: str = ".onnx",
) -> list[EngineChoice]:
    """List what may compute a bundle here, the most exact first and onnxruntime before others; one at least.

    Args:
        engines: only these; where there are none, those that are installed and know the device.
        precisions: only these; where there are none, all.
        threads: as for `engine_choice`.
        streams: as for `engine_choice`.
        device: as for `engine_choice`.
        reads: the ending of the file that is to be computed.

    Raises:
        UsageError: no such engine, precision or device, or no engine among these with one of these precisions.
    """
    if device not in device_names():
        raise UnknownNameError.of("device", device, device_names())
    here = engines_for(reads)
    able = [name for name in here if device in (AUTO, *ENGINES[name].devices)]
    engines, precisions = engines or able or here, precisions or get_args(Precision)
    every = [
        engine_choice(name, precision, threads=threads, streams=streams, device=device)
        for precision in precisions
        for name in engines
    ]
    for choice in every:
        check_reads(choice.name, reads)
    found = [choice for choice in every if choice.precision in ENGINES[choice.name].precisions]
    if not found:
        wanted = " and ".join(precisions)
        others = [spec.install for spec in ENGINES.values() if set(precisions) & set(spec.precisions)]
        raise UsageError(
            f"{' and '.join(engines)} cannot compute in {wanted}. "
            f"Use fp32, or install the engine that has {wanted}: {' or '.join(others)}."
        )
    return found


def open_engine(data: bytes, choice: EngineChoice, *, name: str = "the bundle") -> Engine:
    """Load the graph in ``data`` into the engine of ``choice``.

    Args:
        data: an ONNX file.
        choice: the engine and how it computes.
        name: the bundle's path, for messages.

    Raises:
        UsageError: a precision or device that this engine or machine does not have.
        MissingExtraError: the engine is not installed.
        BundleError: the engine cannot load the graph.
    """
    spec = ENGINES[choice.name]
    if choice.precision not in spec.precisions:
        able = [name for name, other in ENGINES.items() if choice.precision in other.precisions]
        raise UsageError(
            f"{choice.name} does not compute in {choice.precision}; "
            f"expected {' or '.join(spec.precisions)}, or the engine {' or '.join(able)}."
        )
    return spec.open(data, choice, name=name)
