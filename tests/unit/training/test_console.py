"""What a training prints: names as they are, whatever they look like to a terminal."""

import dataclasses
from pathlib import Path

import pytest

from litevision.training.console import print_data
from litevision.training.plan import make_plan
from trainings import tiny_recipe, write_colours


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[/b]", "[/b]"),
        ("[bold red]dog", "[bold red]dog"),
        ("[link=https://evil.example]click[/link]", "[link=https://evil.example]click[/link]"),
        ("a\x1b]0;pwn\x07b", r"a\x1b]0;pwn\x07b"),
    ],
)
def test_class_names_are_no_markup_and_no_terminal_codes(
    name: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, _, issues = make_plan(write_colours(tmp_path / "data", 2), tiny_recipe(), "mine")
    data = dataclasses.replace(plan.data, classes=(name, *plan.data.classes[1:]))
    print_data(dataclasses.replace(plan, data=data), issues)
    err = capsys.readouterr().err
    assert shown in err
    assert "\x1b" not in err
