"""Forms of image input: paths, bytes, file objects, Pillow images, numpy arrays and torch tensors."""

import os
import stat
import sys
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt
from PIL import Image

from litevision.errors import (
    FileMissingError,
    ImageError,
    ImageTooLargeError,
    InputShapeError,
    LitevisionError,
    UsageError,
    reason_of,
)
from litevision.image.faults import out_of_memory, too_many_bytes

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

- a path, or what an image file holds (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, ...): bytes, or a file object
  opened with mode "rb", which is read from where it stands;
- a Pillow image in any mode; integers of 32 bits up to 255 or 65535, floats in [0, 1] or up to 255;
- a numpy array of uint8, grey ``[H, W]``, RGB ``[H, W, 3]`` or RGBA ``[H, W, 4]``;
- a torch tensor of one to four channels, without 2: uint8 of ``[C, H, W]``, ``[H, W, C]`` or ``[H, W]``, or floats of
  ``[C, H, W]`` in [0, 1]. Where the first length is 1, 3 or 4, it counts channels.

EXIF orientation is applied, colours of an ICC profile become sRGB, and transparency is laid on white.
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


def read_file(source: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Read a file, no more than one byte over ``max_bytes`` of it where its size is not known before.

    Raises:
        FileMissingError: no file at the path.
        ImageTooLargeError: more than ``max_bytes``.
        ImageError: a folder, or a file that cannot be read.
    """
    path = Path(source)
    if not os.fspath(source):
        raise FileMissingError("an empty path; expected that of an image. Check it.")
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > max_bytes:
                raise too_many_bytes(str(path), status.st_size, max_bytes)
            return file.read() if stat.S_ISREG(status.st_mode) else file.read(max_bytes + 1)
    except ImageTooLargeError:
        raise
    except MemoryError as error:
        raise out_of_memory(str(path), "read") from error
    except FileNotFoundError:
        if isinstance(source, str) and "://" in source:
            raise FileMissingError(f"{source}: an address, not a file. Download it first.") from None
        raise FileMissingError(f"{path}: no such file. Check the path.") from None
    except IsADirectoryError:
        raise ImageError(
            f"{path}: a folder, not an image; litevision.find_images({str(path)!r}) gives the images in it."
        ) from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except ValueError as error:
        raise FileMissingError(f"{str(path)!r}: no path ({error}). Check it.") from None


def read_object(file: Any, name: str, max_bytes: int) -> bytes:
    """Read a file object, no more than one byte over ``max_bytes`` of it.

    Raises:
        ImageError: it cannot be read.
        UsageError: it gives text.
    """
    try:
        data = file.read(max_bytes + 1)
    except MemoryError as error:
        raise out_of_memory(name, "read") from error
    except LitevisionError:  # of a reader of ours, which says more
        raise
    except (OSError, ValueError) as error:  # ValueError: a closed file
        raise ImageError(f"{name}: cannot be read ({reason_of(error)}).") from error
    if not isinstance(data, bytes):
        raise UsageError(f"{name}: a file that gives {type(data).__name__}; expected bytes. Open it with mode 'rb'.")
    return data
