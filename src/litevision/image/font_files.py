"""Font files: which letters one has, those that come with the package, and those that the system keeps."""

import functools
import itertools
import os
import shutil
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import ImageFont

from litevision.errors import FileMissingError, UsageError, reason_of

FOLDER = Path(__file__).with_name("fonts")
SHIPPED = ("DejaVuSans.ttf", "DroidSansFallback.ttf", "Unifont.otf", "UnifontUpper.otf")
"""The fonts of the package; the first is the one that texts are drawn in where it has their letters."""

_FONTCONFIG_TIMEOUT_S = 5
_MOST_CANDIDATES = 40  # of fontconfig's list, best first
_LAST_CODE = 0x10FFFF
# Platform and encoding of the tables that map all of Unicode, then those of its first plane.
_UNICODE_TABLES = ((3, 10), (0, 6), (0, 4), (0, 3), (3, 1), (0, 2), (0, 1), (0, 0))
_SYSTEM_FOLDERS = {
    "darwin": ("/System/Library/Fonts", "/System/Library/Fonts/Supplemental", "/Library/Fonts", "~/Library/Fonts"),
    "win32": (r"%WINDIR%\Fonts", r"%LOCALAPPDATA%\Microsoft\Windows\Fonts"),
    "linux": ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
}
# Beginnings of file names, the more legible and the wider covering first.
_SYSTEM_FONTS = (
    *("notosanscjk", "pingfang", "hiragino sans gb", "hiraginosansgb", "msyh", "yugothm", "meiryo", "applesdgothicneo"),
    *("malgun", "sourcehansans", "wqy-", "nirmala", "leelawui", "thonburi", "kohinoor", "ebrima", "mmrtext", "gadugi"),
    *("notosans", "segoeui", "seguisym", "arial unicode", "arialuni", "freesans"),
)


class FontFile:
    """A TrueType or OpenType file, or one font of a collection.

    Attributes:
        path: where it is.
        index: its place in a collection.

    Raises:
        OSError, ValueError: no such file, or no font.
    """

    def __init__(self, path: Path, index: int = 0) -> None:
        self.path = path
        self.index = index
        self._letters = _letters_of(path, index)

    def has(self, letters: Iterable[str]) -> bool:
        """Whether it has a glyph for each of ``letters``."""
        return all(ord(it) in self._letters for it in letters)

    def leave_out_unassigned(self) -> None:
        """Take code points that Unicode has not assigned for letters that it does not have."""
        self._letters = frozenset(it for it in self._letters if unicodedata.category(chr(it)) != "Cn")

    def at(self, size_px: int) -> ImageFont.FreeTypeFont:
        """The font at a size.

        Raises:
            OSError: it has no outlines, for example only coloured bitmaps of one size.
        """
        return _opened(self.path, self.index, size_px)

    def marks(self, letters: Iterable[str]) -> bool:
        """Whether each of ``letters`` leaves a mark: some fonts have nothing but colours for theirs."""
        try:
            return all(self.at(16).getmask(it).getbbox() is not None for it in letters)
        except OSError:
            return False


@functools.lru_cache(maxsize=64)
def _opened(path: Path, index: int, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size_px, index)


@functools.cache
def shipped_font(name: str) -> FontFile:
    """Open one of `SHIPPED`."""
    font = FontFile(FOLDER / name)
    if name.startswith("Unifont"):  # which has a box with digits for each code point that is no letter yet
        font.leave_out_unassigned()
    return font


def user_font(path: str | os.PathLike[str]) -> FontFile:
    """Open a font that a user names.

    Raises:
        FileMissingError: there is no such file.
        UsageError: it is no font with outlines.
    """
    try:
        font = FontFile(Path(path))
        font.at(16)
    except FileNotFoundError:
        raise FileMissingError(f"{os.fspath(path)}: no such file. Give a font, a .ttf, .otf or .ttc file.") from None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{os.fspath(path)}: cannot be used as a font ({reason_of(error)}). Give a .ttf, .otf or .ttc file "
            "with outlines."
        ) from None
    return font


@functools.cache
def system_font(letters: str) -> FontFile | None:
    """Find a font of this system that has all of ``letters``: as fontconfig says, else in the usual folders."""
    for path, index in itertools.chain(_by_fontconfig(letters), _by_folder()):
        try:
            font = FontFile(path, index)
        except (OSError, ValueError):
            continue
        if font.has(letters) and font.marks(letters):
            return font
    return None


def _by_fontconfig(letters: str) -> Iterator[tuple[Path, int]]:
    program = shutil.which("fc-match")
    if program is None:
        return
    pattern = f"sans-serif:scalable=true:color=false:charset={' '.join(f'{ord(it):x}' for it in letters)}"
    try:
        found = subprocess.run(
            [program, "-s", "-f", "%{index} %{file}\n", pattern],
            capture_output=True,
            timeout=_FONTCONFIG_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return
    for line in found.splitlines()[:_MOST_CANDIDATES]:
        index, _, name = line.partition(b" ")
        if index.isdigit() and name:
            yield Path(os.fsdecode(name)), int(index) & 0xFFFF  # the higher bits number variations


@functools.cache
def _folder_fonts() -> tuple[Path, ...]:
    found = []
    for folder in _SYSTEM_FOLDERS.get(sys.platform, ()):
        for at, _, names in os.walk(os.path.expandvars(Path(folder).expanduser())):
            found += [Path(at, it) for it in names if it.lower().endswith((".ttf", ".otf", ".ttc"))]
    ranked = ((rank, str(it), it) for it in found if (rank := _rank(it)) is not None)
    return tuple(it for _, _, it in sorted(ranked))


def _by_folder() -> Iterator[tuple[Path, int]]:
    yield from ((it, 0) for it in _folder_fonts())  # of a collection, the regular font is the first


def _rank(path: Path) -> tuple[int, bool] | None:
    name = path.stem.lower()
    for place, beginning in enumerate(_SYSTEM_FONTS):
        if name.startswith(beginning):
            return place, any(style in name for style in ("bold", "black", "italic", "light", "thin", "mono"))
    return None


def _letters_of(path: Path, index: int) -> frozenset[int]:
    """Read the table "cmap": the code points that have a glyph of their own.

    Source: OpenType 1.9, "cmap - Character to Glyph Index Mapping Table".

    Raises:
        ValueError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            table = _table(file, b"cmap", index)
        (count,) = struct.unpack_from(">H", table, 2)
        offsets = {}
        for i in range(count):
            platform, encoding, offset = struct.unpack_from(">HHI", table, 4 + 8 * i)
            offsets[platform, encoding] = offset
        chosen = next((offsets[it] for it in _UNICODE_TABLES if it in offsets), None)
        if chosen is None:
            raise ValueError("it maps no Unicode letters")
        (form,) = struct.unpack_from(">H", table, chosen)
        if form == 4:
            return frozenset(_format_4(table, chosen))
        if form in (12, 13):
            return frozenset(_format_12(table, chosen))
        raise ValueError(f"its map of letters has the unknown format {form}")
    except struct.error as error:
        raise ValueError(f"its map of letters is cut short: {error}") from None


def _table(file: BinaryIO, tag: bytes, index: int) -> bytes:
    start, size = 0, os.fstat(file.fileno()).st_size
    head = file.read(12)
    if head[:4] == b"ttcf":
        file.seek(12 + 4 * index)
        (start,) = struct.unpack(">I", file.read(4))
        file.seek(start)
        head = file.read(12)
    if head[:4] not in (b"\0\1\0\0", b"OTTO", b"true"):
        raise ValueError("it is no TrueType or OpenType file")
    (count,) = struct.unpack_from(">H", head, 4)
    for _ in range(count):
        name, _, offset, length = struct.unpack(">4sIII", file.read(16))
        if name == tag:
            if offset + length > size:
                raise ValueError("it is cut short")
            file.seek(offset)
            return file.read(length)
    raise ValueError(f"it has no table {tag.decode()!r}")


def _format_4(table: bytes, start: int) -> Iterator[int]:
    count = struct.unpack_from(">H", table, start + 6)[0] // 2
    ends, firsts, deltas, offsets = (
        struct.unpack_from(f">{count}H", table, start + 14 + 2 * count * part + (2 if part else 0)) for part in range(4)
    )
    done = 0  # segments are in order; what goes back would be passed over once more for each of them
    for i, (first, end, delta, offset) in enumerate(zip(firsts, ends, deltas, offsets, strict=True)):
        at = start + 16 + 6 * count + 2 * i + offset
        codes = range(max(first, done), end + 1)
        done = max(done, codes.stop)
        for code in codes:
            if code == 0xFFFF:
                continue
            glyph = code
            if offset:
                (glyph,) = struct.unpack_from(">H", table, at + 2 * (code - first))
                if glyph == 0:
                    continue
            if (glyph + delta) & 0xFFFF:
                yield code


def _format_12(table: bytes, start: int) -> Iterator[int]:
    (count,) = struct.unpack_from(">I", table, start + 12)
    done = 0  # groups are in order, as segments are
    for first, last, glyph in struct.iter_unpack(">III", table[start + 16 : start + 16 + 12 * count]):
        codes = range(max(first, done), min(last, _LAST_CODE) + 1)
        done = max(done, codes.stop)
        for code in codes:
            if glyph or code > first:
                yield code
