"""An ONNX file of another's making: what it takes, read with the guards that every bundle is read with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from litevision.cost.graph.load import load_graph, with_functions_inlined
from litevision.errors import BundleError, UsageError
from litevision.runtime.bundle import check_foreign, is_bundle, read_bundle
from litevision.runtime.engines.base import EngineChoice, Outputs
from litevision.runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from litevision.runtime.metadata import Normalisation

Layout = Literal["NCHW", "NHWC", "CHW", "HWC"]
Channels = Literal["rgb", "bgr"]

_DOMAINS = {"", "ai.onnx", "com.microsoft"}
_TYPES: dict[int, Any] = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.UINT8: np.uint8}
_NUMPY: dict[int, Any] = {TensorProto.FLOAT: np.float32, TensorProto.INT64: np.int64, TensorProto.INT32: np.int32}
_MOST_SHOWN = 3


@dataclass(frozen=True)
class Feeding:
    """How pixels are fed to a file.

    Attributes:
        normalisation: in the order red, green, blue.
        channels: the order that the file takes.
    """

    normalisation: Normalisation
    channels: Channels = "rgb"

    def scale_and_shift(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What each channel, in the file's order, is multiplied with, and what is added then: float32[3] each."""
        mean, std = (np.asarray(it, np.float64) for it in (self.normalisation.mean, self.normalisation.std))
        scale, shift = (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)
        return (scale, shift) if self.channels == "rgb" else (scale[::-1].copy(), shift[::-1].copy())


@dataclass(frozen=True)
class ForeignModel:
    """A file that is to be adopted.

    Attributes:
        path: the file.
        model: its graph.
        image: the name of the input that takes images.
        layout: of that input.
        element_type: of that input, as ONNX numbers them.
        batch: how many images it takes; None for any number.
        size_hw: the size of images that it takes, px.
        constants: what its other inputs are given.
    """

    path: Path
    model: onnx.ModelProto
    image: str
    layout: Layout
    element_type: int
    batch: int | None
    size_hw: tuple[int, int]
    constants: Mapping[str, npt.NDArray[Any]]

    def run(self, images_u8_nhwc: npt.NDArray[np.uint8], feeding: Feeding) -> list[Outputs]:
        """Run the file as it is in onnxruntime on each image by itself; pixels are fed by plain numpy.

        Raises:
            BundleError: it cannot be loaded, or fails.
        """
        data = self.model.SerializeToString()
        engine = OnnxruntimeEngine(data, EngineChoice(threads=1), name=str(self.path))
        return [
            engine.run_named({self.image: self._fed(image_u8_hwc, feeding), **self.constants})
            for image_u8_hwc in images_u8_nhwc
        ]

    def _fed(self, image_u8_hwc: npt.NDArray[np.uint8], feeding: Feeding) -> npt.NDArray[Any]:
        pixels: npt.NDArray[Any] = image_u8_hwc[..., ::-1] if feeding.channels == "bgr" else image_u8_hwc
        if self.element_type != TensorProto.UINT8:
            mean, std = feeding.normalisation.mean, feeding.normalisation.std
            if feeding.channels == "bgr":
                mean, std = mean[::-1], std[::-1]
            pixels = (pixels / 255.0 - np.array(mean)) / np.array(std)
        if self.layout in ("NCHW", "CHW"):
            pixels = pixels.transpose(2, 0, 1)
        if self.layout in ("NCHW", "NHWC"):
            pixels = pixels[None]
        return np.ascontiguousarray(pixels, _TYPES[self.element_type])


def open_foreign(path: Path, size_hw: tuple[int, int] | None = None) -> ForeignModel:
    """Read an ONNX file that is no bundle yet.

    Args:
        path: the file.
        size_hw: the size of its images, px, where the file leaves it open.

    Raises:
        FileMissingError, BundleError, UnsafeFileError: no such file, none that is safe to run, or a bundle already.
        UsageError: no input that takes RGB images, others that nobody knows, or a size that it does not take.
    """
    data = read_bundle(path)
    model = load_graph(path)
    check_foreign(data, path, "it is not adopted")
    if is_bundle(data):
        raise UsageError(f"{path}: a bundle of litevision already; every command takes it as it is.")
    model = with_functions_inlined(model, str(path))
    _refuse_custom(model, path)
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [it for it in model.graph.input if it.name not in stored]
    del model.graph.input[:]
    model.graph.input.extend(inputs)  # old files name weights as inputs too
    images = [it for it in inputs if _layout(it) is not None]
    if len(images) != 1:
        raise UsageError(
            f"{path}: takes {_listed(inputs)}; expected one input of images of three channels, [N, 3, H, W] or "
            "[N, H, W, 3] of float32, float16 or uint8."
        )
    (image,) = images
    layout = _layout(image)
    assert layout is not None
    sides = _lengths(image)
    size_hw = _size(path, [sides[layout.index(axis)] for axis in "HW"], size_hw)
    constants = {it.name: _constant(path, it, size_hw) for it in inputs if it.name != image.name}
    batch = sides[0] if layout[0] == "N" else 1
    if batch not in (None, 1):
        raise UsageError(f"{path}: takes {batch} images at once, always; expected any number, or one.")
    return ForeignModel(path, model, image.name, layout, image.type.tensor_type.elem_type, batch, size_hw, constants)


def _refuse_custom(model: onnx.ModelProto, path: Path) -> None:
    pending = [model.graph]
    found: dict[str, None] = {}
    while pending:
        for node in pending.pop().node:
            if node.domain not in _DOMAINS:
                found[f"{node.domain}.{node.op_type}"] = None
            pending += [graph for it in node.attribute for graph in (it.g, *it.graphs)]
    if found:
        shown = ", ".join([*found][:_MOST_SHOWN])
        raise BundleError(
            f"{path}: computes with operators of its own ({shown}), which no engine here knows. "
            "Export it with ONNX's operators alone."
        )


def _lengths(value: onnx.ValueInfoProto) -> list[int | None]:
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]


def _layout(value: onnx.ValueInfoProto) -> Layout | None:
    """How images lie in an input; None where it takes none."""
    if value.type.tensor_type.elem_type not in _TYPES:
        return None
    lengths = _lengths(value)
    layouts: dict[int, tuple[tuple[int, Layout], ...]] = {
        4: ((1, "NCHW"), (3, "NHWC")),
        3: ((0, "CHW"), (2, "HWC")),
    }
    return next((layout for place, layout in layouts.get(len(lengths), ()) if lengths[place] == 3), None)


def _size(path: Path, fixed: Sequence[int | None], given: tuple[int, int] | None) -> tuple[int, int]:
    if given is not None and any(side not in (None, it) for side, it in zip(fixed, given, strict=True)):
        expected = "x".join("any" if side is None else str(side) for side in fixed)
        raise UsageError(f"{path}: takes images of {expected}, got a size of {given[0]}x{given[1]}.")
    height, width = fixed if given is None else given
    if height is None or width is None:
        raise UsageError(f"{path}: leaves the size of its images open; say it with --size, such as 640 or 480x640.")
    return height, width


def _constant(path: Path, value: onnx.ValueInfoProto, size_hw: tuple[int, int]) -> npt.NDArray[Any]:
    """What an input beside the images is given, so that boxes come out in px of the network's input."""
    height, width = size_hw
    known = {"orig_target_sizes": (width, height), "im_shape": (height, width), "scale_factor": (1, 1)}
    element = value.type.tensor_type.elem_type
    if value.name not in known or element not in _NUMPY:
        raise UsageError(
            f"{path}: takes a further input {value.name!r}, of which nothing is known; expected images alone, or with "
            f"{', '.join(known)}."
        )
    return np.array([known[value.name]], _NUMPY[element])


def _listed(values: Sequence[onnx.ValueInfoProto]) -> str:
    names = (f"{it.name!r} [{', '.join('?' if n is None else str(n) for n in _lengths(it))}]" for it in values)
    return "; ".join(names) or "no input"
