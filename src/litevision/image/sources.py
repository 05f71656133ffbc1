"""Forms of image input: paths, bytes, file objects, Pillow images, numpy arrays and torch tensors."""

import os
import sys
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt
from PIL import Image

from litevision.errors import InputShapeError, UsageError

_CHANNELS = (1, 3, 4)


class BinaryFile(Protocol):
    """A file object opened for reading bytes, such as ``open(path, "rb")`` or the response of a request."""

    def read(self, size: int = ..., /) -> bytes:
        """Read at most ``size`` bytes."""


class ImageTensor(Protocol):
    """A ``torch.Tensor``, by what is used of it: this half of litevision imports no torch."""

    def detach(self) -> Any:
        """The tensor without its gradient."""

    def cpu(self) -> Any:
        """The tensor in the CPU's memory."""


ImageLike = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryFile
    | Image.Image
    | npt.NDArray[np.uint8]
    | ImageTensor
)
"""An image in any form that every function of litevision takes:

- a path, or what a JPEG, PNG, WebP, BMP or GIF file holds: bytes, or a file object opened with mode "rb", which is read
  from where it stands;
- a Pillow image in any mode but F;
- a numpy array of uint8, grey ``[H, W]``, RGB ``[H, W, 3]`` or RGBA ``[H, W, 4]``;
- a torch tensor of one to four channels, without 2: uint8 of ``[C, H, W]``, ``[H, W, C]`` or ``[H, W]``, or floats of
  ``[C, H, W]`` in [0, 1]. Where the first length is 1, 3 or 4, it counts channels.

EXIF orientation is applied, and transparency is laid on white.
"""


def is_single_image(value: object) -> TypeGuard[ImageLike]:
    """Whether ``value`` is one image, and not several; arrays and tensors of three dimensions are one."""
    if isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview, Image.Image)) or hasattr(value, "read"):
        return True
    return bool(isinstance(value, np.ndarray) or is_tensor(value)) and getattr(value, "ndim", 0) <= 3


def image_of_array(array: npt.NDArray[Any], what: str = "an array") -> Image.Image:
    """Make a Pillow image of a numpy array; ``what`` is what messages call it.

    Raises:
        InputShapeError: not uint8 of H x W, H x W x 3 or H x W x 4.
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in _CHANNELS or 0 in array.shape:
        hint = ""
        if array.dtype.kind == "f":
            hint = " Values in [0, 1] become uint8 by (255 * array).round().astype('uint8')."
        elif array.ndim == 3 and array.shape[0] in _CHANNELS:
            hint = " array.transpose(1, 2, 0) puts the channels last."
        elif array.ndim == 4:
            hint = " Give the images of a batch one by one."
        raise InputShapeError(
            f"{what} of {array.dtype} {array.shape}; "
            f"expected uint8 of H x W, H x W x 3 (RGB) or H x W x 4 (RGBA).{hint}"
        )
    array = np.ascontiguousarray(array[..., 0] if array.ndim == 3 and channels == 1 else array)
    return Image.fromarray(array)


def is_tensor(value: object) -> TypeGuard[ImageTensor]:
    """Whether ``value`` is a ``torch.Tensor``; torch itself is not imported."""
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    return torch is not None and isinstance(value, torch.Tensor)


def image_of_tensor(tensor: Any) -> Image.Image:
    """Make a Pillow image of a torch tensor.

    Raises:
        InputShapeError: a shape or type that `ImageLike` does not name.
        UsageError: floats outside [0, 1].
    """
    shape = tuple(tensor.shape)
    tensor = tensor.detach().cpu()
    channels_first = len(shape) == 3 and shape[0] in _CHANNELS
    if tensor.is_floating_point():
        if not channels_first or 0 in shape:
            raise InputShapeError(f"a tensor of floats {shape}; expected [3, H, W] in [0, 1], or uint8.")
        values = tensor.float().numpy()
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):
            raise UsageError(
                f"a tensor of floats from {low:g} to {high:g}; "
                "expected [0, 1], before any normalisation by mean and std."
            )
        array = np.rint(255 * values).astype(np.uint8)
    else:
        array = tensor.numpy()
    return image_of_array(array.transpose(1, 2, 0) if channels_first else array, "a tensor")
