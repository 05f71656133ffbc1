"""Every error that litevision raises on purpose.

    LitevisionError
    +-- UsageError (also ValueError)             an argument that cannot work
    |   +-- UnknownNameError (also KeyError)     a model, dialect, endpoint or weight set that does not exist
    |   +-- InputShapeError                      a tensor of the wrong rank or channel count
    +-- ImageError (also ValueError)             a file that is no readable image
    |   +-- ImageTooLargeError                   more pixels or bytes than the limit
    +-- DataError (also ValueError)              labelled data that cannot be used
    +-- BundleError (also ValueError)            a bundle that is broken or lacks its metadata
    +-- WeightsError (also ValueError)           a weight file that cannot be used
    |   +-- UnsafeFileError                      a file that would run code or reach outside itself
    |   +-- WeightsMismatchError                 tensors that do not fit the network
    |   +-- HashMismatchError                    a file whose sha256 is not the published one
    +-- DownloadError (also OSError)             a file that could not be fetched
    +-- ExportError (also RuntimeError)          a bundle that does not match its module
    +-- TrainingError (also RuntimeError)        a run that cannot begin, go on or be taken up again
    +-- MissingExtraError (also ImportError)     an optional part that is not installed
    +-- FileMissingError (also FileNotFoundError)

Each message says what was got, what was expected and what to do next, in one line.
"""

from collections.abc import Iterable


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """The up to three known names nearest to ``name`` by spelling, or of which it is the beginning."""
    import difflib
    import itertools

    folded = {known_name.lower(): known_name for known_name in reversed(list(known))}
    close = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)
    begun = sorted((known_name for known_name in folded if name and known_name.startswith(name.lower())), key=len)
    # In turn: the nearest by spelling, and those of which only the beginning was typed.
    turns = itertools.chain.from_iterable(itertools.zip_longest(close, begun))
    return [folded[match] for match in dict.fromkeys(turns) if match is not None][:3]


def without_secrets(text: str) -> str:
    """Return a text without what may be secret in the addresses in it: user, password, query and fragment.

    Of Azure's addresses, the container stands where others have a user, and stays.

    Example:
        >>> without_secrets("https://me:pass@host/a.jpg?X-Amz-Signature=1 and s3://a/b")
        'https://host/a.jpg and s3://a/b'
    """
    import re

    text = re.sub(r"((?:(?!abfss?:|wasbs?:)\b[A-Za-z][A-Za-z0-9+.-]*)://)[^/\s@]*@", r"\1", text)
    return re.sub(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s?#]*)[?#]\S*", r"\1", text)


_MOST_REASON = 300


def reason_of(error: BaseException) -> str:
    """What a library's exception says, as it stands in a message: its first line, or its type where it has none."""
    lines = (" ".join(line.split()) for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)[:_MOST_REASON]


class LitevisionError(Exception):
    """The root of the tree: catching it catches every error that litevision raises on purpose."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UsageError(LitevisionError, ValueError):
    """An argument that cannot work."""


class UnknownNameError(UsageError, KeyError):
    """A name that does not exist."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], *, see: str = "") -> "UnknownNameError":
        """The error for ``name``, with the nearest known names, and all of them where they are few.

        Args:
            kind: what the name should have named, for example ``"model"``.
            known: the names that exist.
            see: the command or document that lists them.
        """
        names = list(known)
        near = near_names(name, names)
        hint = f" Did you mean {' or '.join(repr(match) for match in near)}?" if near else ""
        if len(names) <= 40:
            hint += f" Known: {', '.join(names) or 'none'}."
        return cls(f"no {kind} {name!r}.{hint}" + (f" See {see}." if see else ""))


class InputShapeError(UsageError):
    """A tensor of the wrong rank or channel count."""


class ImageError(LitevisionError, ValueError):
    """A file that is no readable image."""


class ImageTooLargeError(ImageError):
    """An image with more pixels or bytes than the limit."""


def unexpected_image_error(name: str, error: Exception) -> ImageError:
    """Return what to say of one image among many when its reader raised ``error``, which nobody thought of."""
    if isinstance(error, MemoryError):
        return ImageTooLargeError(f"{name}: not enough memory to read it. Make the image smaller first.")
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return ImageError(f"{name}: cannot be read (unexpected {reason}). Copy it again, or convert it to JPEG.")


class DataError(LitevisionError, ValueError):
    """Labelled data that cannot be used."""


class BundleError(LitevisionError, ValueError):
    """A bundle that is broken or lacks its metadata."""


class WeightsError(LitevisionError, ValueError):
    """A weight file that cannot be used."""


class UnsafeFileError(WeightsError):
    """A file that would run code, or that reaches outside itself."""


class WeightsMismatchError(WeightsError):
    """Tensors that do not fit the network."""


class HashMismatchError(WeightsError):
    """A file whose sha256 is not the published one."""


class DownloadError(LitevisionError, OSError):
    """A file that could not be fetched."""


class ExportError(LitevisionError, RuntimeError):
    """A bundle that does not match the module that it was made from."""


class TrainingError(LitevisionError, RuntimeError):
    """A run that cannot begin, go on or be taken up again."""


class MissingExtraError(LitevisionError, ImportError):
    """An optional part that is not installed."""

    @classmethod
    def of(cls, need: str, extra: str) -> "MissingExtraError":
        """The error for a part that needs the pip extra ``extra``."""
        return cls(f"{need} needs parts that are not installed. Install them with: pip install 'litevision[{extra}]'")


class FileMissingError(LitevisionError, FileNotFoundError):
    """A path at which there is no file."""
