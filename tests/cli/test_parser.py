"""Command lines are read into dataclasses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from litevision.cli.parser import CommandLineError, argument, flag, option, parse


@dataclass(frozen=True, kw_only=True)
class Options:
    images: tuple[str, ...] = argument(metavar="IMAGE", help="Images.")
    top: int = option(5, min=1, max=9, help="Classes.")
    score: float | None = option(None, min=0, help="Score.")
    output: Path | None = option(None, short="-o", hidden=("--target",), metavar="FILE", help="File.")
    set: tuple[str, ...] = option((), metavar="KEY=VALUE", help="Settings.")
    check_images: bool = flag(help="Check.")


@dataclass(frozen=True, kw_only=True)
class TwoArguments:
    model: str = argument(metavar="MODEL", help="Model.")
    data: Path | None = argument(None, metavar="DATA", help="Data.")
    name: str = option(help="Name.")


def read(*arguments: str, options: type = Options) -> Any:
    return parse(options, arguments, command="litevision do").options


def test_values_have_the_types_of_their_fields() -> None:
    assert read("a.jpg", "--top", "007", "--score=0.5", "-o", "out", "--check-images") == Options(
        images=("a.jpg",), top=7, score=0.5, output=Path("out"), check_images=True
    )


def test_what_is_not_given_is_the_default() -> None:
    assert read("a.jpg") == Options(images=("a.jpg",))


@pytest.mark.parametrize(
    ("arguments", "images"),
    [
        ("a --top 3 b -- -c --top", ("a", "b", "-c", "--top")),
        ("-- -a", ("-a",)),
        ("- --top 3", ("-",)),
        ("--check-images a --set x=1 b", ("a", "b")),
    ],
)
def test_arguments_stand_anywhere(arguments: str, images: tuple[str, ...]) -> None:
    assert read(*arguments.split()).images == images


def test_an_option_may_be_repeated() -> None:
    assert read("a", "--set", "x=1", "--set=y=-2").set == ("x=1", "y=-2")
    assert read("a", "--top", "3", "--top", "4").top == 4


def test_a_dash_is_a_value_and_a_negative_number_is_one_too() -> None:
    assert read("a", "--output", "-").output == Path("-")
    with pytest.raises(CommandLineError, match="--score: expected at least 0, got -1"):
        read("a", "--score", "-1")


def test_hidden_names_are_accepted() -> None:
    assert read("a", "--target", "x").output == Path("x")


def test_one_argument_after_another() -> None:
    assert read("m", "--name", "n", "d", options=TwoArguments) == TwoArguments(model="m", data=Path("d"), name="n")
    assert read("m", "--name", "n", options=TwoArguments).data is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "IMAGE is missing."),
        ("a --top", "--top: expected a value."),
        ("a --output --check-images", "-o/--output: expected a value."),
        ("a --top x", "--top: expected a whole number, got 'x'."),
        ("a --top 1.5", "--top: expected a whole number, got '1.5'."),
        ("a --top 10", "--top: expected 1 to 9, got 10."),
        ("a --score nan", "--score: expected at least 0, got nan."),
        ("a --score x", "--score: expected a number, got 'x'."),
        ("a --check-images=yes", "--check-images: ignored explicit argument 'yes'."),
        ("a --chek-images", r"no option '--chek-images'\. Did you mean --check-images\?"),
        ("a --scor=3", r"no option '--scor'\. Did you mean --score\?"),
        ("a -x", r"no option '-x'\."),
    ],
)
def test_what_cannot_be_read_is_one_line(arguments: str, message: str) -> None:
    with pytest.raises(CommandLineError, match=f"^({message}) See litevision do --help\\.$"):
        read(*arguments.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--name n", "MODEL is missing."),
        ("m", "--name NAME is missing."),
        ("m d e --name n", "one argument too many: 'e'."),
    ],
)
def test_missing_and_superfluous_arguments(arguments: str, message: str) -> None:
    with pytest.raises(CommandLineError, match=message):
        read(*arguments.split(), options=TwoArguments)


@pytest.mark.parametrize("arguments", [("-h",), ("--help",), ("a", "--help"), ("--top", "3", "-h")])
def test_help_needs_nothing_else(arguments: tuple[str, ...]) -> None:
    parsed = parse(Options, arguments, command="litevision do")
    assert (parsed.wants_help, parsed.options) == (True, None)


def test_global_options_stand_anywhere() -> None:
    parsed = parse(Options, ("--quiet", "a", "--verbose"), command="litevision do")
    assert (parsed.quiet, parsed.verbose, parsed.options.images) == (True, True, ("a",))
