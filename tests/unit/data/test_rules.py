"""The rules agree with their page."""

import re
from pathlib import Path
from typing import get_args

from litevision.data import RULES
from litevision.data.issues import Severity

PAGE = Path(__file__).parents[3] / "docs/check-data.md"


def test_the_page_has_every_rule_as_the_code_has_it() -> None:
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    ordered = sorted(RULES, key=lambda rule: rule.of_boxes)  # those of boxes alone have a table of their own below
    assert rows == [(rule.name, rule.severity, rule.what, rule.advice) for rule in ordered]


def test_names_are_in_kebab_case() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name) for rule in RULES)


def test_what_spoils_most_comes_first() -> None:
    severities = get_args(Severity)
    assert [rule.severity for rule in RULES] == sorted((rule.severity for rule in RULES), key=severities.index)
