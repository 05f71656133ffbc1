"""The Chinese pages say what the English ones say: the same blocks, which are run there, and the same names."""

import re
from collections import Counter
from pathlib import Path

import pytest

from pages import ROOT, TRANSLATIONS, blocks, name_of, pages_with

READERS = {"mobilenet-v1", "mobilenet-v2-keras", "mobilenet-v3", "shufflenet-v2", "centernet"}
PARTS = {
    "from": ("What the tutorial does", "What you type here", "Their words and ours", "What you get beyond it"),
    "zh": ("教程做了什么", "在这里怎么做", "名称对照", "额外得到什么"),
}
CODE = re.compile(r"`([^`\n]+)`")
HAN = re.compile(r"[\u4e00-\u9fff]")
both = pytest.mark.parametrize(("chinese", "english"), TRANSLATIONS.items(), ids=map(name_of, TRANSLATIONS))


def test_each_of_the_five_tutorials_has_both_pages() -> None:
    assert {page.stem for page in TRANSLATIONS} == READERS
    assert all(page in pages_with("python", "console") for page in TRANSLATIONS.values())


@both
def test_both_have_the_same_four_parts_and_lead_to_each_other(chinese: Path, english: Path) -> None:
    for page, other in ((chinese, english), (english, chinese)):
        assert tuple(re.findall(r"^## (.*)", page.read_text(), re.M)) == PARTS[page.parent.name]
        assert f"](../{other.relative_to(ROOT / 'docs')})" in page.read_text()


@both
def test_the_blocks_are_the_same(chinese: Path, english: Path) -> None:
    assert [(block.language, block.text) for block in blocks(chinese)] == [
        (block.language, block.text) for block in blocks(english)
    ]


@both
def test_the_tables_and_the_prose_name_the_same_code(chinese: Path, english: Path) -> None:
    assert codes_in_rows(chinese) == codes_in_rows(english)
    assert len(codes_in_rows(chinese)) >= 10
    assert codes(chinese) == codes(english)
    assert len(HAN.findall(chinese.read_text())) > 400


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def codes(page: Path) -> Counter[str]:
    """What stands between backticks outside of blocks, a break of the line being a space."""
    return Counter(re.findall(r"`([^`]+)`", re.sub(r"\n(?!\n)", " ", prose(page))))


def codes_in_rows(page: Path) -> list[list[str]]:
    """The same for each row of the tables."""
    return [sorted(CODE.findall(line)) for line in prose(page).splitlines() if line.startswith("| ") and "`" in line]
