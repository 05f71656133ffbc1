"""The help pages: of the program, which groups the commands, and of each command, from its dataclass of options."""

import dataclasses
import inspect
import shutil
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill, wrap
from typing import Any

from litevision.cli.commands import COMMANDS
from litevision.cli.parser import GLOBAL_OPTIONS, choices_of, fields_of, is_repeated, metavar_of, option_names

_MOST_COLUMNS = 110
_NAME_COLUMNS = 28
_FEW_CHOICES = 8


def format_program_help() -> str:
    """The help of ``litevision`` alone: its commands by group."""
    parts = [
        "Usage: litevision COMMAND [ARGUMENTS] [OPTIONS]",
        fill(
            "MobileNet V1-V4 and ShuffleNetV2: classify images, detect objects, train on your own images, read "
            "anyone's weights, see what a network costs.",
            _columns(),
        ),
        "Example:\n  litevision classify photo.jpg",
    ]
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        rows = [(name, command.help) for name, command in COMMANDS.items() if command.group == group]
        parts.append(_section(group, rows, name_columns=max(map(len, COMMANDS))))
    rows = [*GLOBAL_OPTIONS.items(), ("--version", "Print the version.")]
    parts.append(_section("General options", rows))
    parts.append("'litevision COMMAND --help' explains a command.")
    return "\n\n".join(parts) + "\n"


def format_command_help(name: str, options: type) -> str:
    """The help of a command: usage, summary, examples, details, and every option with its default."""
    fields = fields_of(options)
    positional = [field for field in fields if field.metadata.get("positional")]
    optional = [field for field in fields if not field.metadata.get("positional")]
    required = [
        f"{option_names(field)[-1]} {metavar_of(field)}" for field in optional if field.default is dataclasses.MISSING
    ]
    usage = " ".join(["litevision", name, *map(_usage, positional), *required, "[OPTIONS]"])
    summary, *details = inspect.cleandoc(options.__doc__ or "").split("\n\n")
    examples: Sequence[str] = getattr(options, "examples", ())
    parts = [f"Usage: {usage}", fill(summary, _columns())]
    if examples:
        parts.append("\n  ".join([f"Example{'s' if len(examples) > 1 else ''}:", *examples]))
    parts += [fill(paragraph, _columns()) for paragraph in details]
    if positional:
        parts.append(_section("Arguments", [(typed(field), help_of(field)) for field in positional]))
    if optional:
        parts.append(_section("Options", [(typed(field), help_of(field)) for field in optional]))
    parts.append(_section("General options", list(GLOBAL_OPTIONS.items())))
    return "\n\n".join(parts) + "\n"


def _columns() -> int:
    return min(_MOST_COLUMNS, shutil.get_terminal_size().columns - 1)


def _usage(field: dataclasses.Field[Any]) -> str:
    text = metavar_of(field).removesuffix("...") + ("..." if is_repeated(field) else "")
    return text if field.default is dataclasses.MISSING else f"[{text}]"


def typed(field: dataclasses.Field[Any]) -> str:
    """What is typed for an option or argument: its names and its value."""
    if field.metadata.get("positional"):
        return metavar_of(field)
    names = ", ".join(option_names(field))
    return names if field.type is bool else f"{names} {metavar_of(field)}"


def help_of(field: dataclasses.Field[Any]) -> str:
    """What the option does, its choices where they are few, and its default."""
    text = field.metadata["help"]
    parts: list[str] = [text() if callable(text) else text]
    choices = choices_of(field)
    if 0 < len(choices) <= _FEW_CHOICES:
        parts.append(f"Choices: {', '.join(choices)}.")
    if isinstance(field.default, (str, int, float, Path)) and not isinstance(field.default, bool):
        value = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        parts.append(f"[default: {value}]")
    return " ".join(parts)


def _section(title: str, rows: Sequence[tuple[str, str]], *, name_columns: int = _NAME_COLUMNS) -> str:
    """Rows of a name and a text under a title; a long name has a line for itself."""
    lines = [f"{title}:"]
    indent = " " * (2 + name_columns + 2)
    for name, text in rows:
        first, *rest = wrap(text, max(30, _columns() - len(indent)))
        if len(name) > name_columns:
            lines += [f"  {name}", f"{indent}{first}"]
        else:
            lines.append(f"  {name:<{name_columns}}  {first}")
        lines += [f"{indent}{line}" for line in rest]
    return "\n".join(lines)
