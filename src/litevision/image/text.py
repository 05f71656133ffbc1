"""Text in any script on images: a font for each run of letters, drawn beside each other on one line."""

import functools
import os
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from PIL import ImageDraw

from litevision.image.font_files import SHIPPED, FontFile, shipped_font, system_font, user_font

Colour = tuple[int, int, int]

_JOINERS = "\u200c\u200d"  # which the shaping of Persian, Indic scripts and emoji needs
_REPLACEMENT = "\ufffd"
_MORE = "…"
_TALL = "Ápg"  # as tall and as deep as most letters


class Run(NamedTuple):
    """Letters that one font draws."""

    text: str
    font: FontFile


class Line:
    """One line of text at one size, on a baseline.

    Attributes:
        width: in px.
        top: the highest pixel, counted from the baseline, so usually negative; that of a tall letter at least.
        bottom: the pixel after the lowest, likewise.
    """

    def __init__(self, runs: Sequence[Run], size_px: int) -> None:
        self._drawn = [(it.text, it.font.at(size_px)) for it in runs]
        self.width = sum(font.getlength(text) for text, font in self._drawn)
        tall = (_TALL, shipped_font(SHIPPED[0]).at(size_px))
        boxes = [font.getbbox(text, anchor="ls") for text, font in (*self._drawn, tall)]
        self.top = min(top for _, top, _, _ in boxes)
        self.bottom = max(bottom for _, _, _, bottom in boxes)

    def draw(self, draw: ImageDraw.ImageDraw, xy: tuple[float, float], fill: Colour) -> None:
        """Draw it from the left end ``xy`` of its baseline, px."""
        x, y = xy
        for text, font in self._drawn:
            draw.text((x, y), text, fill=fill, font=font, anchor="ls")
            x += font.getlength(text)


class Lettering:
    """Draw texts with the fonts that have their letters.

    In this order: the font that is given, the package's DejaVu Sans, one of the system, the package's other fonts.

    Args:
        font: a font file that comes first.

    Raises:
        FileMissingError, UsageError: as for `litevision.image.font_files.user_font`.
    """

    def __init__(self, font: str | os.PathLike[str] | None = None) -> None:
        first = () if font is None else (user_font(font),)
        self._first = (*first, shipped_font(SHIPPED[0]))
        self._choices: dict[str, FontFile | None] = {}
        self._of_system: dict[str, FontFile | None] = {}

    def name(self, label: str, index: int) -> str:
        """The label of class ``index``, or its number where no font has a letter of it."""
        return label if self.has(label) else f"class {index}"

    def caption(self, label: str, index: int, score: float) -> str:
        """What stands at a box: the name of its class, and the score."""
        return f"{self.name(label, index)} {score:.2f}"

    def has(self, text: str) -> bool:
        """Whether every letter of ``text`` can be drawn."""
        return (text.isascii() and text.isprintable()) or self._runs(_plain(text)) is not None

    def line(self, text: str, size_px: int) -> Line:
        """Lay ``text`` out on one line; a letter that no font has becomes U+FFFD."""
        text = _plain(text)
        runs = self._runs(text)
        if runs is None:
            text = "".join(it if self.has(it) else _REPLACEMENT for it in text)
            runs = self._runs(text) or ()
        return Line(runs, size_px)

    def fitting_line(self, text: str, size_px: int, room_px: int, smallest_px: int) -> Line | None:
        """Lay ``text`` out within ``room_px``: smaller, but at least ``smallest_px``, and then cut short.

        Returns:
            None where there is no room for a single letter.
        """
        line = self.line(text, size_px)
        while line.width > room_px and size_px > smallest_px:
            size_px = max(smallest_px, min(size_px - 1, int(size_px * room_px / line.width)))
            line = self.line(text, size_px)
        if line.width <= room_px:
            return line
        pieces = list(_clusters(_plain(text)))
        fewest, most = 0, len(pieces)  # bisected: the most pieces that fit, with the sign that more would follow
        while fewest < most:
            count = (fewest + most + 1) // 2
            if self.line("".join(pieces[:count]) + _MORE, size_px).width <= room_px:
                fewest = count
            else:
                most = count - 1
        line = self.line("".join(pieces[:fewest]) + _MORE, size_px)
        return line if line.width <= room_px else None

    def _runs(self, text: str) -> tuple[Run, ...] | None:
        """Runs from left to right; None where no font has a letter."""
        if any(unicodedata.bidirectional(it) in ("R", "AL") for it in text):
            return self._runs_right_to_left(text)
        return self._runs_in_order(text)

    def _runs_in_order(self, text: str) -> tuple[Run, ...] | None:
        runs: list[Run] = []
        for piece in _clusters(text):
            last = runs[-1] if runs else None
            font = last.font if last and piece.isspace() and last.font.has(piece) else self._font(piece, text)
            if font is None:
                return None
            if last and last.font is font:
                runs[-1] = Run(last.text + piece, font)
            else:
                runs.append(Run(piece, font))
        return tuple(runs)

    def _runs_right_to_left(self, text: str) -> tuple[Run, ...] | None:
        """One run where a font has all letters, so that they are put in order together; else runs from the right."""
        whole = _needed(text)
        for font in self._fonts(whole, whole):
            if font.has(whole):
                return (Run(text, font),)
        runs = self._runs_in_order(text)
        if runs is None:
            return None
        strong = next(it for it in map(unicodedata.bidirectional, text) if it in ("L", "R", "AL"))
        return runs if strong == "L" else runs[::-1]

    def _font(self, piece: str, text: str) -> FontFile | None:
        """The first font that has all letters of ``piece``, a part of ``text``."""
        needed = _needed(piece)
        if needed not in self._choices:
            self._choices[needed] = next((it for it in self._fonts(needed, text) if it.has(needed)), None)
        return self._choices[needed]

    def _fonts(self, letters: str, text: str) -> Iterator[FontFile]:
        yield from self._first
        script = _script(next((it for it in letters if not self._first[-1].has(it)), " "))
        if script not in self._of_system:  # asked once a script, with all of its letters in the text
            of_script = sorted({it for it in _needed(text) if _script(it) == script and not self._first[-1].has(it)})
            self._of_system[script] = system_font("".join(of_script)) if of_script else None
        found = self._of_system[script]
        if found is not None:
            yield found
        yield from map(shipped_font, SHIPPED[1:])


def describe_unnamed(lettering: Lettering, labels: Iterable[str], option: str) -> str | None:
    """Say in one line which ``labels`` no font has all letters of; None where there is no such label.

    Args:
        option: how a font is given, for example ``--font FILE``.
    """
    unnamed = sorted({it for it in labels if not lettering.has(it)})
    if not unnamed:
        return None
    some = ", ".join(map(ascii, unnamed[:3])) + (f" and {len(unnamed) - 3} more" if len(unnamed) > 3 else "")
    return f"no font has all letters of {some}: drawn by number. Give a font that has them with {option}."


def warn_of_unnamed(lettering: Lettering, labels: Iterable[str]) -> None:
    """Warn the caller of the calling method where `describe_unnamed` has something to say."""
    described = describe_unnamed(lettering, labels, "plot(font=...)")
    if described is not None:
        warnings.warn(described, stacklevel=3)


@functools.lru_cache(maxsize=1024)
def _plain(text: str) -> str:
    """``text`` on one line, without codes that draw nothing or turn what follows them around."""
    one_line = " ".join(text.split())
    if one_line.isprintable():
        return one_line
    kept = (_REPLACEMENT if _category(it) == "Cs" else it for it in one_line)
    return "".join(it for it in kept if it in _JOINERS or _category(it) not in ("Cc", "Cf"))


def _clusters(text: str) -> Iterator[str]:
    """Letters with the marks, variations and joined letters that belong to them."""
    cluster = ""
    for it in text:
        if cluster and not (_category(it)[0] == "M" or it in _JOINERS or cluster[-1] == "\u200d" or _is_tone(it)):
            yield cluster
            cluster = ""
        cluster += it
    if cluster:
        yield cluster


def _needed(text: str) -> str:
    """The letters of ``text`` that a font must have: not those that only choose between forms."""
    return "".join(it for it in text if it not in _JOINERS and not "\ufe00" <= it <= "\ufe0f")


def _is_tone(letter: str) -> bool:
    """Whether it changes the skin of the emoji before it."""
    return "\U0001f3fb" <= letter <= "\U0001f3ff"


def _script(letter: str) -> str:
    """A word for the script: the first of the letter's name, such as CJK, HANGUL or THAI."""
    return unicodedata.name(letter, "").partition(" ")[0].partition("-")[0]


_category = functools.lru_cache(maxsize=4096)(unicodedata.category)
