"""Read label files within limits: text in UTF-8, and XML without document types."""

import json
import math
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from litevision.errors import DataError, reason_of

_MAX_BYTES = 64 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
MAX_BYTES_OF_A_SET = 512 * 1024 * 1024
MAX_BYTES_OF_AN_IMAGE = 8 * 1024 * 1024
MAX_BOXES = 20_000  # in one image
_MAX_DEPTH = 64
_LOOKED_AT = 20
_MAX_SIDE_PX = 1_000_000_000
_MAX_ELEMENTS = 10 * MAX_BOXES
_MAX_TEXT = 4096  # letters of an element; names and numbers are short


class UnreadableLabels(Exception):  # noqa: N818 - reported as an issue, never raised to a caller of the package
    """Why a label file cannot be read, and at which line."""

    def __init__(self, detail: str, line: int | None = None) -> None:
        super().__init__(detail)
        self.detail, self.line = detail, line


@contextmanager
def indispensable(file: Path, expected: str) -> Iterator[None]:
    """Turn `UnreadableLabels` into an error of a file without which there are no labels.

    Raises:
        DataError: the file cannot be read; ``expected`` says what it should hold.
    """
    try:
        yield
    except UnreadableLabels as error:
        line = f", line {error.line}" if error.line else ""
        raise DataError(f"{file}{line}: {error.detail}; {expected}.") from None


def mode_at(path: Path) -> int:
    """What is at a path that a label file names, as ``stat`` has it; 0 for nothing, or for what can be no path."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):  # a name of 300 letters, or with a null byte
        return 0


def is_file(path: Path) -> bool:
    """Whether there is a file at a path that a label file names."""
    return stat.S_ISREG(mode_at(path))


def is_folder(path: Path) -> bool:
    """Whether there is a folder at a path that a label file names."""
    return stat.S_ISDIR(mode_at(path))


def read_bytes(path: Path, max_bytes: int = _MAX_BYTES) -> bytes:
    """The content of a label file.

    Raises:
        UnreadableLabels: it cannot be read, or is larger than ``max_bytes``.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableLabels("no plain file")
        size_bytes = status.st_size
        if size_bytes > max_bytes:
            raise UnreadableLabels(f"{size_bytes:,} bytes, more than the limit of {max_bytes:,}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UnreadableLabels(getattr(error, "strerror", None) or reason_of(error)) from None


def head_of(path: Path, size_bytes: int = _HEAD_BYTES) -> bytes:
    """The first bytes of a plain file; none where it cannot be read, or is no plain file."""
    if not is_file(path):
        return b""
    try:
        with path.open("rb") as file:
            return file.read(size_bytes)
    except OSError:
        return b""


def read_json(path: Path, max_bytes: int = _MAX_BYTES) -> Any:
    """What a JSON file holds.

    Raises:
        UnreadableLabels: not such a file.
    """
    try:
        return json.loads(read_bytes(path, max_bytes))
    except json.JSONDecodeError as error:
        raise UnreadableLabels(f"no JSON ({error.msg})", error.lineno) from None
    except (ValueError, RecursionError) as error:  # bytes that are no text, numbers or nesting without end
        raise UnreadableLabels(f"no JSON ({reason_of(error)})") from None


def is_json_list(path: Path, sign: re.Pattern[bytes]) -> bool:
    """Whether it is a JSON file of a list, in whose beginning ``sign`` is found."""
    head = head_of(path) if path.suffix.lower() == ".json" else b""
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"[") and sign.search(head) is not None


def read_json_list(path: Path, expected: str) -> list[Any]:
    """The list in a JSON file.

    Raises:
        DataError: not such a file; ``expected`` says what it should hold.
    """
    with indispensable(path, expected):
        plain = read_json(path, MAX_BYTES_OF_A_SET)
    if not isinstance(plain, list):
        raise DataError(f"{path}: no list; {expected}.")
    return plain


def json_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """The first few JSON files of a folder, which may have one beside each image."""
    return [folder / name for name in names if name.lower().endswith(".json")][:_LOOKED_AT]


def brief(value: object) -> str:
    """A JSON value in at most 60 characters, for messages."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def number(written: object) -> float:
    """A coordinate; raises ``ValueError`` for what is none."""
    if isinstance(written, bool) or not isinstance(written, (int, float, str)):
        raise ValueError(f"{written!r:.40} is no number")
    try:
        return float(written)
    except OverflowError:
        return math.inf


def size_of(height: object, width: object) -> tuple[int, int] | None:
    """The stated size of an image, px; None where none is stated. Some programs write 0."""
    try:
        sides = number(height), number(width)
    except ValueError:
        return None
    return (int(sides[0]), int(sides[1])) if all(1 <= side <= _MAX_SIDE_PX for side in sides) else None


def read_lines(path: Path, max_bytes: int = _MAX_BYTES) -> list[str]:
    """The lines of a text file in UTF-8, stripped; line i + 1 stands at i.

    Raises:
        UnreadableLabels: not such a file.
    """
    try:
        text = read_bytes(path, max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableLabels(f"no text in UTF-8 (byte {error.start:,})") from None
    return [line.strip() for line in text.split("\n")]


@dataclass(slots=True)
class Element:
    """One element of an XML file, with the line at which it begins."""

    name: str
    line: int
    text: str = ""
    children: list["Element"] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)

    def child(self, name: str) -> "Element | None":
        """The first child of that name."""
        return next((child for child in self.children if child.name == name), None)

    def all(self, name: str) -> list["Element"]:
        """The children of that name."""
        return [child for child in self.children if child.name == name]

    def text_of(self, name: str) -> str:
        """The stripped text of the first child of that name; empty where there is none."""
        child = self.child(name)
        return child.text.strip() if child else ""


def read_xml(path: Path, max_bytes: int = MAX_BYTES_OF_AN_IMAGE, max_elements: int = _MAX_ELEMENTS) -> Element:
    """The root of an XML file. One with a document type is refused: entities could name files or grow without end.

    Raises:
        UnreadableLabels: not such a file.
    """
    data = read_bytes(path, max_bytes)
    if not data.strip():
        raise UnreadableLabels("an empty file")
    top = Element("", 0)
    open_elements = [top]
    count = 0
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > max_elements:
            raise UnreadableLabels(f"more than {max_elements:,} elements", parser.CurrentLineNumber)
        if len(open_elements) > _MAX_DEPTH:
            raise UnreadableLabels(f"more than {_MAX_DEPTH} elements inside each other", parser.CurrentLineNumber)
        element = Element(name, parser.CurrentLineNumber, attributes=attributes)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_: str) -> None:
        open_elements.pop()

    def text(content: str) -> None:
        if len(open_elements[-1].text) < _MAX_TEXT:  # adding to a long text takes time by its length
            open_elements[-1].text += content[:_MAX_TEXT]

    def refuse(*_: object) -> None:
        raise UnreadableLabels("a document type (<!DOCTYPE ...>), which is not read", parser.CurrentLineNumber)

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise UnreadableLabels(f"no XML ({expat.ErrorString(error.code)})", error.lineno) from None
    except (LookupError, ValueError) as error:  # an encoding that is none
        raise UnreadableLabels(f"no XML ({reason_of(error)})") from None
    return top.children[0]
