"""The engines that compute bundles: one row of `ENGINES` each, imported when a graph is opened and not before."""

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args

from litevision.errors import UnknownNameError, UsageError
from litevision.runtime.cpus import available_cpus
from litevision.runtime.engines.base import Engine, EngineChoice, Outputs, Precision, TensorInfo

if TYPE_CHECKING:
    from litevision.runtime.model_folder import ModelFolder

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
        reads: what it computes: files by their endings, and folders of an export by its format.
    """

    package: str
    precisions: tuple[Precision, ...]
    devices: Mapping[str, str]
    opener: str | Callable[..., Engine]
    install: str
    distributions: tuple[str, ...]
    reads: tuple[str, ...] = (".onnx",)

    def open(self, data: "bytes | ModelFolder", choice: EngineChoice, *, name: str) -> Engine:
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
        reads=(".onnx", "openvino"),
    ),
    "litert": EngineSpec(
        package="ai_edge_litert",
        precisions=("fp32",),
        devices={"cpu": "ai-edge-litert"},
        opener="litevision.runtime.engines.litert_engine:LitertEngine",
        install="pip install 'litevision[litert]'",
        distributions=("ai-edge-litert",),
        reads=(".tflite",),
    ),
    "ncnn": EngineSpec(
        package="ncnn",
        precisions=("fp32",),
        devices={"cpu": "ncnn"},
        opener="litevision.runtime.engines.ncnn_engine:NcnnEngine",
        install="pip install 'litevision[ncnn]'",
        distributions=("ncnn",),
        reads=("ncnn",),
    ),
}
"""Every engine by its name, the default one of each kind of model first."""


def installed_engines() -> tuple[str, ...]:
    """List the engines that this Python can import."""
    return tuple(name for name, spec in ENGINES.items() if importlib.util.find_spec(spec.package) is not None)


def engines_for(kind: str) -> tuple[str, ...]:
    """List those that compute this kind of model, as `EngineSpec.reads` has it; the default one where none does."""
    return tuple(name for name in installed_engines() if kind in ENGINES[name].reads) or (default_engine(kind),)


def ending_of(path: str | os.PathLike[str]) -> str:
    """The ending of a bundle's file, as the engines' rows have it; that of any other name is .onnx."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122  # every start pays for a Path
    return suffix if suffix and any(suffix in spec.reads for spec in ENGINES.values()) else ".onnx"


def default_engine(kind: str) -> str:
    """The engine that computes this kind of model unless another is asked for."""
    return next(name for name, spec in ENGINES.items() if kind in spec.reads)


def check_reads(engine: str, kind: str) -> None:
    """Refuse an engine that does not compute this kind of model.

    Raises:
        UsageError: the message says which do.
    """
    if kind not in ENGINES[engine].reads:
        able = [name for name, other in ENGINES.items() if kind in other.reads]
        taken = " or ".join(map(_titled, ENGINES[engine].reads))
        raise UsageError(f"{engine} computes {taken}, got {_titled(kind)}; expected the engine {' or '.join(able)}.")


def _titled(kind: str) -> str:
    article = "an" if kind == ".onnx" else "a"
    return f"{article} {kind} file" if kind.startswith(".") else f"a folder for {kind}"


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
        reads: the kind of model that is to be computed, as `litevision.runtime.bundle.kind_of` gives it.

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


def open_engine(data: "bytes | ModelFolder", choice: EngineChoice, *, name: str = "the bundle") -> Engine:
    """Load the graph in ``data`` into the engine of ``choice``.

    Args:
        data: an ONNX or LiteRT file, or the folder of an export.
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
