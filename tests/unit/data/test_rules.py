"""The rules agree with their page."""

import re
from pathlib import Path

from litevision.data import RULES

PAGE = Path(__file__).parents[3] / "docs/check-data.md"


def test_the_page_has_every_rule_as_the_code_has_it() -> None:
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    ordered = sorted(RULES, key=lambda rule: rule.of_boxes)  # those of boxes alone have a table of their own below
    assert rows == [(rule.name, rule.severity, rule.what, rule.advice) for rule in ordered]


def test_names_are_in_kebab_case_and_differ() -> None:
    names = [rule.name for rule in RULES]
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)
    assert len(set(names)) == len(names)
