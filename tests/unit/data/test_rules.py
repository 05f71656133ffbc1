import re
from typing import get_args

from litevision.data import RULES
from litevision.data.issues import Severity


def test_names_are_in_kebab_case() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name) for rule in RULES)


def test_what_spoils_most_comes_first() -> None:
    severities = get_args(Severity)
    assert [rule.severity for rule in RULES] == sorted((rule.severity for rule in RULES), key=severities.index)
