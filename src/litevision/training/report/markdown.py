"""Markdown that shows what it is given, whatever that is."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]|#~])")


def document(title: str, summary: str, sections: Mapping[str, str]) -> str:
    """A document of sections by their titles."""
    body = "\n\n".join(f"## {name}\n\n{text}" for name, text in sections.items())
    return f"# {plain(title)}\n\n{summary}\n\n{body}\n"


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, numbers_from: int | None = None) -> str:
    """A Markdown table; columns from ``numbers_from`` on are set flush right."""
    right = range(len(header) if numbers_from is None else numbers_from, len(header))
    rules = ["---:" if column in right else "---" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (header, rules, *rows))


def bulleted(lines: Iterable[str]) -> str:
    """A list of points."""
    return "\n".join(f"- {line}" for line in lines)


def plain(text: object) -> str:
    """``text`` so that Markdown and HTML show it as it is."""
    one_line = " ".join(str(text).encode("utf-8", "backslashreplace").decode().split())
    return _SPECIAL.sub(r"\\\1", html.escape(one_line, quote=False))


def fenced(language: str, text: str) -> str:
    """A code block whose fence is longer than any in ``text``."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}{fence}"
