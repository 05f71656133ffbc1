"""One model file: a graph from uint8 pictures to answers, and what it says about itself."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, FileMissingError, InputShapeError, UsageError
from litevision.runtime.cpus import available_cpus
from litevision.runtime.metadata import METADATA_KEY, BundleMetadata
from litevision.runtime.onnx_header import read_header

_INPUT = "images"


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle; `run` may be called from several threads at once.

    Attributes:
        path: the file.
        metadata: what it says about itself.
        threads: how many threads compute one batch.
        session: the onnxruntime session.
    """

    path: Path
    metadata: BundleMetadata
    threads: int
    session: Any

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, threads: int | None = None) -> "Bundle":
        """The bundle at ``path``, checked and ready to run.

        Args:
            path: a ``.onnx`` file made with ``litevision export``.
            threads: how many threads compute one batch; all that this process may use where it is None.

        Raises:
            FileMissingError: no file at the path.
            BundleError: not ONNX, without metadata, with tensors in other files, or with a graph of another form.
            UsageError: fewer than one thread.
        """
        path = Path(path)
        threads = available_cpus() if threads is None else threads
        if threads < 1:
            raise UsageError(f"{threads} threads; expected at least 1.")
        data = _read(path)
        metadata = _checked_metadata(data, path)
        session = _start(data, path, threads)
        _check_input(session, metadata, path)
        return cls(path, metadata, threads, session)

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        """Every output of the graph by name.

        Args:
            batch_u8_nhwc: ``uint8[N, H, W, 3]``, RGB, of the size that ``metadata.preprocess`` makes; N at least 1.

        Raises:
            InputShapeError: another type or shape.
        """
        size_hw = self.metadata.preprocess.size_hw
        if batch_u8_nhwc.dtype != np.uint8 or batch_u8_nhwc.shape[1:] != (*size_hw, 3) or len(batch_u8_nhwc) == 0:
            raise InputShapeError(
                f"a batch of {batch_u8_nhwc.dtype} {batch_u8_nhwc.shape}; "
                f"expected uint8 (N, {size_hw[0]}, {size_hw[1]}, 3) with N of at least 1."
            )
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, {_INPUT: batch_u8_nhwc}), strict=True))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileMissingError(
            f"{path}: no such bundle. Check the path, or make one with 'litevision export'."
        ) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); expected a .onnx file.") from error


def _checked_metadata(data: bytes, path: Path) -> BundleMetadata:
    try:
        header = read_header(data)
    except ValueError as error:
        raise BundleError(f"{path}: not an ONNX file ({error}). Make one with 'litevision export'.") from None
    if header.external_tensors:
        # A path inside a foreign file may point anywhere on this machine (CVE-2022-25882 and five since).
        raise BundleError(
            f"{path}: keeps tensors in other files ({', '.join(header.external_tensors[:3])}), which is not read. "
            "Save the model as one file, or make one with 'litevision export'."
        )
    if METADATA_KEY not in header.metadata:
        raise BundleError(
            f"{path}: an ONNX file without {METADATA_KEY!r} metadata, so its labels and preprocessing are unknown. "
            "Make one with 'litevision export'."
        )
    return BundleMetadata.from_json(header.metadata[METADATA_KEY], name=str(path))


def _start(data: bytes, path: Path, threads: int) -> Any:
    import onnxruntime  # here, because it takes half of a cold start, and a broken file needs none of it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its errors reach the user as exceptions; its warnings are for its developers
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no other base class
        reason = str(error).strip().splitlines()[0]
        raise BundleError(f"{path}: onnxruntime {onnxruntime.__version__} cannot load it ({reason}).") from error


def _check_input(session: Any, metadata: BundleMetadata, path: Path) -> None:
    got = [(node.name, node.type, node.shape) for node in session.get_inputs()]
    size_hw = list(metadata.preprocess.size_hw)
    name, kind, shape = got[0] if len(got) == 1 else ("", "", [])
    if (name, kind, shape[1:]) != (_INPUT, "tensor(uint8)", [*size_hw, 3]) or isinstance(shape[0], int):
        raise BundleError(
            f"{path}: its inputs are {got}; expected one, {_INPUT!r}, tensor(uint8) of "
            f"[N, {size_hw[0]}, {size_hw[1]}, 3] with any N. Make the bundle again with 'litevision export'."
        )
