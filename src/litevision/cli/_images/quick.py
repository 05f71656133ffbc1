"""The command line of ``litevision classify``, read without typer.

typer, and pydantic behind it, take longer to import than an image takes to be classified. What is plainly right is read
here; all else, errors and --help included, is left to typer, whose reading a test compares with this one.
"""

import re
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from litevision.cli._images.classify import Options

_NUMBERS = {int: r"\d{1,9}", float: r"\d{1,9}(\.\d{1,9})?"}


def read_classify(arguments: Sequence[str]) -> Options | None:
    """The options in ``arguments``, or None where typer should look at them."""
    known = {f"--{field.name}": field for field in fields(Options) if field.default is not MISSING}
    inputs: list[str] = []
    values: dict[str, Any] = {}
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-") or argument == "-":
            inputs.append(argument)
            continue
        name, equals, text = argument.partition("=")
        field = known.get(name)
        if field is None or (field.type is bool and equals):
            return None
        if field.type is bool:
            values[field.name] = True
            continue
        value = _value(field.type, text if equals else next(rest, ""), field.metadata.get("min", 0))
        if value is None:
            return None
        values[field.name] = value
    return Options(tuple(inputs), **values) if all(inputs) and inputs else None


def _value(kind: Any, text: str, least: int) -> Any:
    """The value that ``text`` stands for; None where that is not plain."""
    if not text or (text.startswith("-") and text != "-"):
        return None
    for number, pattern in _NUMBERS.items():
        if kind in (number, number | None):
            value = number(text) if re.fullmatch(pattern, text, re.ASCII) else least - 1
            return value if value >= least else None
    return text
