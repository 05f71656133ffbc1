"""Command lines from dataclasses: a command's options are the fields of a frozen dataclass, read with argparse.

    @dataclass(frozen=True, kw_only=True)
    class DrawOptions:
        '''Draw a network.'''  # the help: its first line, the examples, then its other paragraphs

        examples: ClassVar = ("litevision draw mobilenet_v2 -o network.svg",)
        model: str = argument(help="Network name.")
        output: Path = option(short="-o", metavar="FILE", help="File to write.")
        check_images: Path | None = option(None, metavar="FOLDER", help="Images to check with.")

A field's annotation is its type: ``str``, ``int``, ``float`` or ``Path``, with ``| None`` or without; ``bool`` for a
flag; ``tuple[str, ...]`` for what may be given more than once. ``check_images`` is ``--check-images`` when typed.
"""

import argparse
import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, get_args, get_origin

from litevision.errors import UsageError, near_names

Choices = Sequence[str] | Callable[[], Sequence[str]]
Help = str | Callable[[], str]

GLOBAL_OPTIONS = {
    "-h, --help": "Show this help.",
    "--quiet": "Print no progress and no notes on standard error, only errors.",
    "--verbose": "Print what is done on standard error, and the traceback of an error.",
    "--unchecked": "Fetch published weights though their full hash is not known; it is recorded and kept to.",
}
_GLOBAL_NAMES = ("help", "quiet", "verbose", "unchecked")
_TYPE_WORDS: dict[Any, str] = {int: "a whole number", float: "a number"}
_METAVARS: dict[Any, str] = {int: "N", float: "NUMBER", Path: "FILE", str: "NAME"}


class CommandLineError(UsageError):
    """A command line that cannot be read: exit code 2."""


class Parsed(NamedTuple):
    """A command line, read.

    Attributes:
        options: the command's dataclass; None where ``wants_help``.
        wants_help: ``--help`` was given.
        quiet: ``--quiet`` was given.
        verbose: ``--verbose`` was given.
        unchecked: ``--unchecked`` was given.
    """

    options: Any
    wants_help: bool
    quiet: bool
    verbose: bool
    unchecked: bool


def argument(
    default: Any = dataclasses.MISSING, *, help: Help, metavar: str | None = None, choices: Choices = ()
) -> Any:
    """Define a positional argument; the parameters are those of `option`."""
    return _field(default, positional=True, help=help, metavar=metavar, choices=choices)


def option(
    default: Any = dataclasses.MISSING,
    *,
    help: Help,
    metavar: str | None = None,
    choices: Choices = (),
    min: float | None = None,
    max: float | None = None,
    short: str | None = None,
    hidden: Sequence[str] = (),
    writes: str | None = None,
    bare: str | None = None,
) -> Any:
    """Define an option.

    Args:
        default: its value where it is not given; without one it is required.
        help: what it does, with its unit, or a function that says it. Default and choices are added to it.
        metavar: how the help calls its value.
        choices: known values, or a function that lists them: for the help and shell completion. Whoever uses the value
            refuses an unknown one.
        min: the least number that is accepted.
        max: the greatest number that is accepted.
        short: a name of one letter, such as ``-o``.
        hidden: names that are accepted and not shown.
        writes: of an output, what `litevision.cli.checks.check_outputs` knows it by, so that it destroys nothing.
        bare: its value where none stands behind it; without one, a value has to.
    """
    return _field(
        default,
        help=help,
        metavar=metavar,
        choices=choices,
        min=min,
        max=max,
        short=short,
        hidden=tuple(hidden),
        writes=writes,
        bare=bare,
    )


def flag(*, help: str, writes: str | None = None) -> Any:
    """Define an option without a value, off unless given; ``writes`` is "stdout" where it prints a document."""
    return _field(False, help=help, writes=writes)


def _field(default: Any, **metadata: Any) -> Any:
    return dataclasses.field(default=default, metadata=metadata)


def fields_of(options: type) -> list[dataclasses.Field[Any]]:
    """The options in the order of the help: positional arguments, the class's own options, then inherited ones."""
    own = list(vars(options).get("__annotations__", {}))

    def key(field: dataclasses.Field[Any]) -> tuple[bool, int]:
        return not field.metadata.get("positional"), own.index(field.name) if field.name in own else len(own)

    return sorted(dataclasses.fields(options), key=key)


def option_names(field: dataclasses.Field[Any]) -> list[str]:
    """What an option is typed as, without hidden names: ``["-o", "--output"]``."""
    short = field.metadata.get("short")
    return [*([short] if short else []), f"--{field.name.replace('_', '-')}"]


def choices_of(field: dataclasses.Field[Any]) -> Sequence[str]:
    """The values that are known beforehand."""
    choices: Choices = field.metadata.get("choices", ())
    return choices() if callable(choices) else choices


def metavar_of(field: dataclasses.Field[Any]) -> str:
    """How the help calls the value."""
    return field.metadata.get("metavar") or _METAVARS[value_type(field)]


def parse(options: type, arguments: Sequence[str], *, command: str) -> Parsed:
    """Read a command line; options and positional arguments may stand in any order, and ``--`` ends the options.

    Args:
        options: the dataclass to fill.
        arguments: what was typed behind the command's name.
        command: the command, for messages.

    Raises:
        CommandLineError: an unknown option, a missing or superfluous argument, or a value of a wrong kind.
    """
    parser = _Parser(
        prog=command,
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        # Which each option is tried with; without a width it would look for the terminal's, by way of slow imports.
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=80),
    )
    for names in (("-h", "--help"), ("--quiet",), ("--verbose",), ("--unchecked",)):
        parser.add_argument(*names, action="store_true", default=False)
    fields = fields_of(options)
    for field in fields:
        if not field.metadata.get("positional"):
            _add_option(parser, field)
    # Not argparse's own positional arguments, which it wants in one piece, between or behind the options.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    found, rest = parser.parse_known_args(arguments[:end])
    if found.help:
        return Parsed(None, True, found.quiet, found.verbose, found.unchecked)
    for text in rest:
        if text.startswith("-") and text != "-":
            parser.error(_unknown_option(text, fields))
    values = {name: value for name, value in vars(found).items() if name not in _GLOBAL_NAMES}
    values |= _positional(parser, fields, [*rest, *arguments[end + 1 :]])
    for field in fields:
        if field.name not in values and field.default is dataclasses.MISSING:
            parser.error(f"{option_names(field)[-1]} {metavar_of(field)} is missing")
        if isinstance(values.get(field.name), list):
            values[field.name] = tuple(values[field.name])
    return Parsed(options(**values), False, found.quiet, found.verbose, found.unchecked)


class _Parser(argparse.ArgumentParser):
    hidden: tuple[str, ...] = ()

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").replace("expected one argument", "expected a value")
        for name in self.hidden:
            message = message.replace(f"/{name}:", ":")
        raise CommandLineError(f"{message}{'' if message.endswith('?') else '.'} See {self.prog} --help.")


def value_type(field: dataclasses.Field[Any]) -> Any:
    """The type of one value: ``int`` of ``int | None``, ``str`` of ``tuple[str, ...]``."""
    inner = [kind for kind in get_args(field.type) if kind not in (type(None), ...)]
    return inner[0] if inner else field.type


def is_repeated(field: dataclasses.Field[Any]) -> bool:
    """Whether it may be given more than once."""
    return get_origin(field.type) is tuple


def _add_option(parser: _Parser, field: dataclasses.Field[Any]) -> None:
    parser.hidden += (hidden := field.metadata.get("hidden", ()))
    names = [*option_names(field), *hidden]
    if field.type is bool:
        parser.add_argument(*names, dest=field.name, action="store_true")
        return
    action = "append" if is_repeated(field) else "store"
    bare: Any = {} if (value := field.metadata.get("bare")) is None else {"nargs": "?", "const": value}
    parser.add_argument(*names, dest=field.name, action=action, type=_converter(field), **bare)


def _converter(field: dataclasses.Field[Any]) -> Callable[[str], Any]:
    kind, least, most = value_type(field), field.metadata.get("min"), field.metadata.get("max")

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {_TYPE_WORDS[kind]}, got {text!r}") from None
        if (least is not None and not value >= least) or (most is not None and not value <= most):
            expected = f"at least {least}" if most is None else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text}")
        return value

    return convert


def _positional(parser: _Parser, fields: Sequence[dataclasses.Field[Any]], given: list[str]) -> dict[str, Any]:
    """The values of the positional arguments, of which the last one may take several."""
    values: dict[str, Any] = {}
    for field in fields:
        if not field.metadata.get("positional"):
            continue
        kind = value_type(field)
        if not given and field.default is dataclasses.MISSING:
            parser.error(f"{metavar_of(field)} is missing")
        if given:
            values[field.name] = tuple(map(kind, given)) if is_repeated(field) else kind(given[0])
            given = [] if is_repeated(field) else given[1:]
    if given:
        parser.error(f"one argument too many: {given[0]!r}")
    return values


def _unknown_option(text: str, fields: Sequence[dataclasses.Field[Any]]) -> str:
    name = text.partition("=")[0]
    known = ["--help", "--quiet", "--verbose", "--unchecked"]
    known += [option_names(field)[-1] for field in fields if not field.metadata.get("positional")]
    if os.path.lexists(text):
        return f"no option {text!r}. Give ./{text} for the file"
    near = near_names(name, known)
    return f"no option {name!r}" + (f". Did you mean {' or '.join(near)}?" if near else "")
