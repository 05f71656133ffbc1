"""Bundles: model files with a graph from uint8 images to predictions and the metadata to use it."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, FileMissingError, InputShapeError, UsageError, reason_of
from litevision.runtime.engines import (
    AUTO,
    Engine,
    Outputs,
    TensorInfo,
    check_reads,
    default_engine,
    ending_of,
    engine_choice,
    open_engine,
)
from litevision.runtime.metadata import METADATA_KEY, BundleMetadata
from litevision.runtime.onnx_header import OnnxHeader, read_header

if TYPE_CHECKING:
    from litevision.runtime.model_folder import ModelFolder

_INPUT = "images"
RECORD = "litevision.json"
"""The file in each folder of an export that says what lies there; a folder without it is somebody else's. A LiteRT file
has it in the zip archive behind the model."""

_TO_DECODE = {"heatmap", "cell_boxes"}  # an output of those that are decoded behind the graph
_MOST_BYTES = 2**31  # protobuf's own limit
_UNBOUNDED = {"Loop", "Scan"}
"""Operators that compute as long as their file says."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle; `run` may be called from several threads at once.

    Attributes:
        path: the file.
        metadata: what it says about itself.
        engine: what computes it.
    """

    path: Path
    metadata: BundleMetadata
    engine: Engine

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        engine: str | None = None,
        precision: str | None = None,
        threads: int | None = None,
        streams: int = 1,
        device: str = "cpu",
    ) -> "Bundle":
        """Open the bundle at ``path``, checked and ready to run.

        Args:
            path: a ``.onnx`` or ``.tflite`` file made with ``litevision export``, or a folder that it wrote for
                openvino or ncnn, which is computed there.
            engine: "onnxruntime" (unless another is given), "openvino", or "auto" for the one that computes single
                images fastest on this machine, which is measured once and remembered; of a ``.tflite`` file "litert",
                of a folder the runtime that it was written for.
            precision: "fp32" or "bf16"; None stands for "fp32", and for any with "auto".
            threads: how many threads compute one batch; where it is None, all that this process may use, shared out
                among ``streams``.
            streams: how many batches are to be computed at once, each from a calling thread of its own.
            device: "cpu"; "cuda", "coreml" or "directml" with an onnxruntime that was built for it; "gpu" for an Intel
                GPU in openvino; or "auto" for CUDA or DirectML where onnxruntime has them, and else the CPU.

        Raises:
            FileMissingError: no file at the path.
            BundleError: not ONNX, without metadata, with tensors in other files, or with a graph of another form.
            MissingExtraError: the engine is not installed.
            UsageError: no such engine, a precision or device that it does not have here, or fewer than one thread or
                stream.
        """
        path = Path(path)
        kind = kind_of(path)
        engine = default_engine(kind) if engine is None else engine
        if engine == AUTO:
            from litevision.runtime.engines.auto import choose  # here, because it reads bundles itself

            choice = choose(path, precision=precision, threads=threads, streams=streams, device=device).choice
        else:
            choice = engine_choice(engine, precision, threads=threads, streams=streams, device=device)
            check_reads(engine, kind)
        data, metadata = read_model(path)
        opened = adapted(open_engine(data, choice, name=str(path)), metadata)
        _check_input(opened, metadata, path)
        return cls(path, metadata, opened)

    @property
    def card(self) -> str | None:
        """The model card, in Markdown, where one lies beside the file."""
        for file in (self.path.with_suffix(".md"), self.path.with_name("model_card.md")):
            if file.is_file():
                return file.read_text("utf-8")
        return None

    @property
    def sha256(self) -> str:
        """The digest of the file; of a folder, that of its record, which holds those of its files."""
        from litevision.files import sha256_of

        return sha256_of(files_of(self.path)[0])

    def reopen(self, *, streams: int) -> "Bundle":
        """Open the same file in another such engine, for ``streams`` batches at once; errors as for `open`."""
        choice = self.engine.choice
        return Bundle.open(
            self.path, engine=choice.name, precision=choice.precision, streams=streams, device=choice.device
        )

    def __reduce__(self) -> tuple[Callable[..., "Bundle"], tuple[Path]]:
        """Pickle where the file is, and how it was opened: another process opens an engine of its own."""
        it = self.engine.choice
        opener = partial(
            Bundle.open,
            engine=it.name,
            precision=it.precision,
            threads=it.threads,
            streams=it.streams,
            device=it.device,
        )
        return opener, (self.path.absolute(),)

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs:
        """Run the graph on a batch, and return every output by name.

        Args:
            batch_u8_nhwc: ``uint8[N, H, W, 3]``, RGB, of the size that ``metadata.preprocess`` makes; N at least 1.

        Raises:
            InputShapeError: another type or shape.
            BundleError: the graph fails while it runs.
        """
        size_hw = self.metadata.preprocess.size_hw
        if batch_u8_nhwc.dtype != np.uint8 or batch_u8_nhwc.shape[1:] != (*size_hw, 3) or len(batch_u8_nhwc) == 0:
            raise InputShapeError(
                f"a batch of {batch_u8_nhwc.dtype} {batch_u8_nhwc.shape}; "
                f"expected uint8 (N, {size_hw[0]}, {size_hw[1]}, 3) with N of at least 1."
            )
        return self.engine.run(batch_u8_nhwc)


def adapted(engine: Engine, metadata: BundleMetadata) -> Engine:
    """The engine itself, or with normalisation and decoding around it where the graph has none."""
    if [it.dtype for it in engine.inputs] == ["uint8"] and all(it.name not in _TO_DECODE for it in engine.outputs):
        return engine
    from litevision.runtime.engines.adapted import AdaptedEngine, is_adaptable

    return AdaptedEngine(engine, metadata) if is_adaptable(engine, metadata) else engine


def kind_of(path: str | os.PathLike[str]) -> str:
    """What the model at ``path`` is, as engines read it: the ending of a file, or the format of an export's folder.

    Raises:
        BundleError: a folder whose record cannot be read, or a Core ML package.
    """
    if os.path.isfile(os.path.join(path, RECORD)):  # noqa: PTH113, PTH118  # every start pays for a Path
        from litevision.runtime.model_folder import folder_kind

        return folder_kind(Path(path))
    if os.fspath(path).endswith(".mlpackage") and os.path.isdir(path):  # noqa: PTH112
        raise BundleError(f"{path}: a Core ML package, which Apple's systems alone run; give what it was made of.")
    return ending_of(path)


def read_model(path: Path) -> "tuple[bytes | ModelFolder, BundleMetadata]":
    """Read what engines open of the model at ``path``, checked, and its metadata; errors as for `Bundle.open`."""
    if (path / RECORD).is_file():
        from litevision.runtime.model_folder import ModelFolder

        folder = ModelFolder.read(path)
        return folder, folder.metadata
    data = read_bundle(path)
    return data, checked_metadata(data, path)


def files_of(path: Path) -> list[Path]:
    """The file at ``path``; of an export's folder, its record and the files that the record names."""
    if (path / RECORD).is_file():
        from litevision.runtime.model_folder import ModelFolder

        return [path / RECORD, *ModelFolder.read(path).files]
    return [path]


def exported_metadata(path: str | os.PathLike[str]) -> BundleMetadata | None:
    """The metadata of what `litevision export` wrote for another runtime than ONNX's; None of anything else.

    Raises:
        BundleError: the folder of an export, whose record or files are damaged.
    """
    kind, place = kind_of(path), Path(path)
    if kind == ".onnx" or not place.exists():
        return None
    if not kind.startswith("."):
        return read_model(place)[1]
    try:
        return checked_metadata(read_bundle(place), place)
    except BundleError:  # of somebody else
        return None


def refuse_other_runtimes(path: str | os.PathLike[str], so: str) -> None:
    """Refuse what was exported for another runtime than ONNX's, where the graph of a bundle is needed.

    Args:
        path: the model.
        so: what is not done with it, and what may be done instead.

    Raises:
        UsageError: it was; a file or folder of somebody else's is left to its readers.
    """
    kind = kind_of(path)
    if kind == ".onnx" or (kind.startswith(".") and not os.path.isfile(path)):  # noqa: PTH113  # likewise
        return
    runtime = default_engine(kind)
    raise UsageError(f"{path}: made for {runtime}, and {so}. Give the bundle (.onnx) that it was made of.")


def read_bundle(path: Path) -> bytes:
    """Read the file at ``path``; errors as for `Bundle.open`."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise BundleError(f"{path}: no plain file; expected a .onnx file.")
        if status.st_size >= _MOST_BYTES:
            raise BundleError(f"{path}: {status.st_size:,} bytes; expected a .onnx file of less than {_MOST_BYTES:,}.")
        return path.read_bytes()
    except MemoryError:
        raise BundleError(f"{path}: not enough memory to read its {status.st_size:,} bytes.") from None
    except FileNotFoundError:
        raise FileMissingError(
            f"{path}: no such bundle. Check the path, or make one with 'litevision export'."
        ) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); expected a .onnx file.") from error


def checked_metadata(data: bytes, path: Path) -> BundleMetadata:
    """Parse the metadata in the bytes of the file at ``path``, once the file is known to be safe to load."""
    if ending_of(path) == ".tflite":
        return BundleMetadata.from_json(_record_of(data, path), name=str(path))
    try:
        header = read_header(data)
    except ValueError as error:
        raise BundleError(
            f"{path}: not an ONNX file ({reason_of(error)}). Make one with 'litevision export'."
        ) from None
    _refuse_external(header, path)
    if found := sorted(header.op_types & _UNBOUNDED) or ["functions"] * header.has_functions:
        raise BundleError(
            f"{path}: computes with {' and '.join(found)}, which no bundle needs, and which can take any time. "
            "Make one with 'litevision export'."
        )
    if METADATA_KEY not in header.metadata:
        raise BundleError(
            f"{path}: an ONNX file without {METADATA_KEY!r} metadata, so its labels and preprocessing are unknown. "
            "Make one with 'litevision export'."
        )
    return BundleMetadata.from_json(header.metadata[METADATA_KEY], name=str(path))


def _record_of(data: bytes, path: Path) -> str:
    """The metadata of a LiteRT file, which stands in the zip archive behind its model."""
    import io
    import zipfile  # here: of no use to a bundle

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as files:
            entry = files.getinfo(RECORD)
            if entry.compress_type != zipfile.ZIP_STORED:
                raise BundleError(f"{path}: its {RECORD} is compressed. Make the file again with 'litevision export'.")
            return files.read(entry).decode()
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, OSError, EOFError):
        raise BundleError(
            f"{path}: no LiteRT file with a {RECORD} in it, so its labels and preprocessing are unknown. "
            "Make one with 'litevision export -o model.tflite'."
        ) from None


def is_bundle(data: bytes) -> bool:
    """Whether the bytes of an ONNX file have metadata of ours; what is no ONNX file at all is left to its reader."""
    try:
        return METADATA_KEY in read_header(data).metadata
    except ValueError:
        return True


def check_foreign(data: bytes, path: Path, so: str = "it is not measured") -> None:
    """Refuse an ONNX file of another's making that is not safe to run; ``so`` says what is not done with it.

    Raises:
        BundleError: it keeps tensors in other files, or computes as long as its file says.
    """
    header = read_header(data)
    _refuse_external(header, path)
    if found := sorted(header.op_types & _UNBOUNDED):
        raise BundleError(f"{path}: computes with {' and '.join(found)}, which can take any time; {so}.")


def _refuse_external(header: OnnxHeader, path: Path) -> None:
    """Refuse tensors in other files: a path inside a file may point anywhere (CVE-2022-25882 and five since)."""
    if header.external_tensors:
        raise BundleError(
            f"{path}: keeps tensors in other files ({', '.join(header.external_tensors[:3])}), which is not read. "
            "Save the model as one file, or make one with 'litevision export'."
        )


def _check_input(engine: Engine, metadata: BundleMetadata, path: Path) -> None:
    size_hw = metadata.preprocess.size_hw
    expected = TensorInfo(_INPUT, "uint8", (None, *size_hw, 3))
    one_by_one = TensorInfo(_INPUT, "uint8", (1, *size_hw, 3))  # as of a stranger's graph that fixes its batch
    if engine.inputs not in ((expected,), (one_by_one,)):
        raise BundleError(
            f"{path}: its inputs are {'; '.join(map(str, engine.inputs))}; expected one, {expected} with any N. "
            "Make the bundle again with 'litevision export'."
        )
