"""Text in any script: every letter has a glyph, on machines with and without fonts."""

import itertools
import shutil
import struct
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from litevision.errors import FileMissingError, UsageError
from litevision.image import font_files
from litevision.image.font_files import FOLDER, SHIPPED, FontFile, shipped_font, system_font, user_font
from litevision.image.text import Lettering, describe_unnamed

SCRIPTS = {
    "Latin": "Größe, œuf, żółć, ñandú",
    "decomposed": unicodedata.normalize("NFD", "Größe é"),
    "Vietnamese": "hồng cầu",
    "Cyrillic": "красная клетка",
    "Greek": "λευκό αιμοσφαίριο",
    "Armenian": "բջիջ",
    "Georgian": "უჯრედი",
    "Hebrew": "תא דם",
    "Arabic": "خلية حمراء",
    "Persian": "می\u200cخواهم",
    "Syriac": "ܣܘܪܝܝܐ",
    "Thaana": "ދިވެހި",
    "Chinese": "血小板",
    "Japanese": "赤血球 ひらがな カタカナ",
    "Korean": "적혈구",
    "Devanagari": "लाल रक्त कोशिका",
    "Bengali": "কোষ",
    "Tamil": "செல்",
    "Thai": "เม็ดเลือดแดง",
    "Khmer": "កោសិកា",
    "Ethiopic": "ሕዋስ",
    "Tibetan": "ཕྲ་ཕུང",
    "emoji": "🔬 👩\u200d🔬 👍🏽 ❤\ufe0f",
    "mixed": "血小板 0.9 خلية β",
}


@pytest.fixture
def no_system_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litevision.image.text.system_font", lambda letters: None)


def drawn(text: str, lettering: Lettering, size_px: int = 24) -> np.ndarray:
    image = Image.new("L", (600, 60), 255)
    lettering.line(text, size_px).draw(ImageDraw.Draw(image), (8, 40), 0)  # type: ignore[arg-type]  # one channel, not RGB
    return np.asarray(image)


def glyph(font: FontFile, letter: str) -> bytes:
    return bytes(font.at(24).getmask(letter))


@pytest.mark.usefixtures("no_system_font")
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_every_letter_of_a_script_has_a_glyph_without_any_font_of_the_system(text: str) -> None:
    lettering = Lettering()
    assert lettering.has(text)
    runs = lettering._runs(text)
    assert runs is not None
    for letters, font in runs:
        nothing = glyph(font, "\U0010fffe")
        seen = [it for it in letters if unicodedata.category(it)[0] in "LNS" and it not in "\u200c\u200d"]
        assert [it for it in seen if glyph(font, it) == nothing] == []
    assert (drawn(text, lettering) < 128).sum() > 30


@pytest.mark.parametrize(("label", "expected"), [("\U00020000", False), ("\ue000", False), ("a\u0378", False)])
def test_a_name_without_letters_stands_by_its_number(label: str, expected: bool) -> None:
    lettering = Lettering()
    assert lettering.has(label) is expected
    assert lettering.caption(label, 7, 0.5) == "class 7 0.50"
    assert describe_unnamed(lettering, ["ok", label, label], "--font FILE") == (
        f"no font has all letters of {label!a}: drawn by number. Give a font that has them with --font FILE."
    )
    assert describe_unnamed(lettering, ["ok", "血"], "--font FILE") is None


def test_codes_that_turn_or_hide_letters_are_not_drawn() -> None:
    lettering = Lettering()
    plain = drawn("red evil", lettering)
    assert (drawn("red\n\u202eevil\x1b\u2066", lettering) == plain).all()
    assert (drawn("\ud800", lettering) == drawn("\ufffd", lettering)).all()


@pytest.mark.usefixtures("no_system_font")
@pytest.mark.parametrize("text", ["שלום", "خلية"])
def test_letters_run_from_right_to_left(text: str) -> None:
    font = shipped_font(SHIPPED[0]).at(24)
    ink = np.flatnonzero((drawn(text, Lettering()) < 128).any(axis=0))
    first = np.flatnonzero((drawn(text[0], Lettering()) < 128).any(axis=0))
    assert ink[-1] - 8 > font.getlength(text) * 0.8  # as wide as the word
    image = Image.new("L", (600, 60), 255)
    ImageDraw.Draw(image).text((8, 40), text, fill=0, font=font, anchor="ls", direction="rtl")
    assert (np.asarray(image) == drawn(text, Lettering())).all()
    assert first[-1] < ink[-1]


@pytest.mark.usefixtures("no_system_font")
def test_runs_in_several_fonts_follow_the_direction_of_the_first_letter() -> None:
    lettering = Lettering()
    texts = ("血 a", "🔬 خلية", "خلية 🔬", "a 血 b")
    names = {text: [run.font.path.name for run in lettering._runs(text) or ()] for text in texts}
    assert names == {
        "血 a": ["DroidSansFallback.ttf", "DejaVuSans.ttf"],
        "🔬 خلية": ["DejaVuSans.ttf", "UnifontUpper.otf"],
        "خلية 🔬": ["UnifontUpper.otf", "DejaVuSans.ttf"],
        "a 血 b": ["DejaVuSans.ttf", "DroidSansFallback.ttf", "DejaVuSans.ttf"],
    }


def test_a_text_is_made_smaller_and_then_cut_between_letters() -> None:
    lettering = Lettering()
    full = lettering.line("血小板" * 9, 24).width
    smaller = lettering.fitting_line("血小板" * 9, 24, int(full * 0.6), 6)
    assert smaller is not None
    assert 0.5 * full < smaller.width <= full * 0.6
    cut = lettering.fitting_line("e\u0301" * 500, 24, 100, 6)
    assert cut is not None
    assert 80 < cut.width <= 100
    assert lettering.fitting_line("abc", 24, 1, 6) is None


def test_the_given_font_comes_first(tmp_path: Path) -> None:
    own = tmp_path / "own font.otf"
    shutil.copy(FOLDER / "Unifont.otf", own)
    lettering = Lettering(own)
    assert [run.font.path for run in lettering._runs("RBC 血") or ()] == [own]
    assert [run.font.path.name for run in lettering._runs("a🔬") or ()] == ["own font.otf", "UnifontUpper.otf"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no TrueType or OpenType file"),
        (b"<html>" * 100, "it is no TrueType or OpenType file"),
        (b"\0\1\0\0\0\1" + bytes(6) + b"cmap" + bytes(4) + struct.pack(">II", 28, 4000), "it is cut short"),
        (b"\0\1\0\0\0\1" + bytes(6) + b"glyf" + bytes(12), "it has no table 'cmap'"),
        ("half", ""),
        ("flipped", ""),
    ],
)
def test_what_is_no_font_is_one_line(tmp_path: Path, content: bytes | str, reason: str) -> None:
    whole = (FOLDER / "DejaVuSans.ttf").read_bytes()
    made = {"half": whole[: len(whole) // 2], "flipped": whole[:12] + bytes(it ^ 0xFF for it in whole[12:2000])}
    path = tmp_path / "x.ttf"
    path.write_bytes(made[content] if isinstance(content, str) else content)
    with pytest.raises(UsageError) as caught:
        user_font(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: cannot be used as a font ({reason}")
    assert "\n" not in message
    assert message.endswith("Give a .ttf, .otf or .ttc file with outlines.")
    with pytest.raises(FileMissingError, match="no such file"):
        user_font(tmp_path / "none.ttf")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_map_of_letters_is_the_one_that_fonttools_reads(name: str) -> None:
    tt_font = pytest.importorskip("fontTools.ttLib").TTFont
    expected = set(tt_font(FOLDER / name).getBestCmap())
    assert font_files._letters_of(FOLDER / name, 0) == expected - {0xFFFF}


def test_a_map_that_names_letters_again_and_again_is_read_once() -> None:
    count = 8000
    segments = [[0xFFF0] * count, [0], [1] * count, [1] * count, [0] * count]  # ends, padding, firsts, deltas, offsets
    plane = struct.pack(f">7H{4 * count + 1}H", 4, 0, 0, 2 * count, 0, 0, 0, *itertools.chain(*segments))
    assert list(itertools.islice(font_files._format_4(plane, 0), 0x20000)) == list(range(1, 0xFFF1))
    groups = struct.pack(">HHIII", 12, 0, 0, 0, count) + struct.pack(">III", 1, 0x10FFFF, 1) * count
    assert list(itertools.islice(font_files._format_12(groups, 0), 0x200000)) == list(range(1, 0x110000))


def test_a_font_of_the_system_is_asked_for_by_its_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "fc-match"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        f"echo '0 {tmp_path}/none.ttf'\necho '0 {FOLDER}/DejaVuSans.ttf'\necho '65536 {FOLDER}/Unifont.otf'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    system_font.cache_clear()
    try:
        lettering = Lettering()
        runs = lettering._runs("血小板 0.9") or ()
        assert [run.font.path.name for run in runs] == ["Unifont.otf", "DejaVuSans.ttf"]
        assert lettering.has("血小板 again")
    finally:
        system_font.cache_clear()
    asked = (tmp_path / "asked").read_text()
    assert asked.count("charset=5c0f 677f 8840") == asked.count("charset") == 1


def test_fonts_are_looked_for_in_folders_where_fontconfig_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("deep/NotoSansCJK-Bold.otf", "deep/NotoSansCJK-Regular.otf", "zzz.otf"):
        shutil.copy(FOLDER / "Unifont.otf", tmp_path / name)
    (tmp_path / "NotoSansCJK-Empty.otf").write_bytes(b"")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(font_files, "_SYSTEM_FOLDERS", dict.fromkeys(("linux", "darwin", "win32"), (str(tmp_path),)))
    for cache in (system_font, font_files._folder_fonts):
        cache.cache_clear()
    try:
        found = system_font("血")
        assert found is not None
        assert found.path == tmp_path / "deep/NotoSansCJK-Regular.otf"
        assert system_font("\U00020000") is None
    finally:
        for cache in (system_font, font_files._folder_fonts):
            cache.cache_clear()


def test_a_font_without_marks_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    font = FontFile(FOLDER / "DejaVuSans.ttf")
    assert font.marks("ab")
    assert not font.marks("a\xa0")

    def only_bitmaps(*_: object) -> ImageFont.FreeTypeFont:
        raise OSError("invalid pixel size")

    monkeypatch.setattr(font_files, "_opened", only_bitmaps)
    assert not font.marks("ab")
