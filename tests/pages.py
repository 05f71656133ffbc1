"""The Markdown pages of the repository and their fenced blocks, for the tests that hold them to the code."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    # The description for an index is of photos that nobody has here: its types are checked, and that it has no links.
    *sorted(path for path in ROOT.glob("*.md") if path.name != "DESCRIPTION.md"),
    *sorted(ROOT.glob("docs/**/*.md")),
]
# Chinese pages, each with the English one whose blocks it shows: these are run there alone.
TRANSLATIONS = {
    page: ROOT / "docs/from" / page.name for page in sorted(ROOT.glob("docs/zh/*.md")) if page.name != "index.md"
}

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``line`` is that of its first line."""

    language: str
    text: str
    line: int


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of ``page`` in their order, those of ``languages`` alone where any is given.

    A block that is indented, as in a list or a tab, loses its indentation.
    """
    text = page.read_text()
    found = [
        Block(
            fence["language"],
            re.sub(rf"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE),
            text.count("\n", 0, fence.start("text")) + 1,
        )
        for fence in _FENCE.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def pages_with(*languages: str) -> list[Path]:
    """The pages that have a block of one of ``languages``, without translations."""
    return [page for page in DOCUMENTS if page not in TRANSLATIONS and blocks(page, *languages)]


def name_of(page: Path) -> str:
    """The path of ``page`` below the root, for the names of tests."""
    return str(page.relative_to(ROOT))


def python_of(page: Path) -> str:
    """The Python blocks of ``page`` as one module, each on the lines where it stands on the page."""
    lines: list[str] = []
    for block in blocks(page, "python"):
        lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n"
