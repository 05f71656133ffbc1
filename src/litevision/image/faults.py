"""Faults of image files: what Pillow raises and warns of, turned into errors of one line."""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from litevision.errors import ImageError, ImageTooLargeError, LitevisionError

COPY_AGAIN, AS_PNG = "Copy or download it again.", "Convert it to PNG first."
_SMALLER = "Make the image smaller first."
# What Pillow says of files that are whole, and of a kind that it cannot decode.
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|unimplemented|cannot find loader|unknown (pixel|dxgi|mode|compression)"
    r"|unable to (handle|determine)|not implemented|decoder .* not available",
    re.IGNORECASE,
)

_BY_NO_REASON = "not identified by this driver"  # Pillow, of any header that raised


class UnknownRangeError(Exception):
    """Pixels that are numbers of which nobody knows what stands for white."""


@contextmanager
def faults_of(name: str, format_name: str | None = None) -> Iterator[None]:
    """Turn whatever is raised into an `ImageError` about the image ``name``; our own errors pass as they are.

    Raises:
        ImageTooLargeError: the memory ran out.
        ImageError: the file is damaged, or of a kind that cannot be decoded; ``format_name`` is what it is called then.
    """
    try:
        yield
    except LitevisionError:
        raise
    except Image.DecompressionBombError as error:
        raise too_many_pixels(f"{name}: the image", 2 * (Image.MAX_IMAGE_PIXELS or 0)) from error
    except MemoryError as error:
        raise out_of_memory(name) from error
    except UnknownRangeError as error:
        raise ImageError(f"{name}: {error} Scale them first.") from error
    except Exception as error:  # damage raises OSError, SyntaxError, ValueError, struct.error, EOFError, ... in Pillow
        cause = " ".join(str(error).split()) or type(error).__name__
        cause = "its header cannot be read" if cause == _BY_NO_REASON else cause
        if isinstance(error, NotImplementedError) or _UNSUPPORTED.search(cause):
            kind = f"a {format_name} file" if format_name else "an image"
            raise ImageError(f"{name}: {kind} of a kind that is not read ({cause}). {AS_PNG}") from error
        raise ImageError(f"{name}: damaged or cut short ({cause}). {COPY_AGAIN}") from error


_warnings_lock = threading.Lock()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow from warning of big images and of odd EXIF, both of which are judged here.

    catch_warnings swaps state of the whole process (Python < 3.14), so two threads must not do it at once; headers are
    read in microseconds, and of the few images so large that they are loaded in here, too, one is decoded at a time.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def too_many_pixels(subject: str, max_pixels: int) -> ImageTooLargeError:
    """The error for an image whose header states more than ``max_pixels``."""
    return ImageTooLargeError(f"{subject}: more than the limit of {max_pixels} pixels. {_SMALLER}")


def too_many_bytes(name: str, size_bytes: int, max_bytes: int) -> ImageTooLargeError:
    """The error for a file of more than ``max_bytes``."""
    return ImageTooLargeError(f"{name}: {size_bytes} bytes, more than the limit of {max_bytes}. {_SMALLER}")


def out_of_memory(name: str, doing: str = "decode") -> ImageTooLargeError:
    """The error for an image for which the memory ran out."""
    return ImageTooLargeError(f"{name}: not enough memory to {doing} it. {_SMALLER}")
