"""What commands check before they begin: that torch is there, that sizes are sizes, that outputs destroy nothing."""

import dataclasses
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from litevision.cli.parser import option_names
from litevision.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def require_torch(need: str) -> None:
    """Return if torch is installed.

    Args:
        need: the command that needs it, for the message.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("torch") is None:
        raise MissingExtraError.of(need, "train")


def parse_size(text: str) -> tuple[int, int]:
    """(h, w) of ``192`` or ``192x256``.

    Raises:
        UsageError: neither one side nor two, or a side of 0.
    """
    found = re.fullmatch(r"(\d+)(?:[xX×](\d+))?", text.strip())
    size_hw = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if min(size_hw) < 1:
        raise UsageError(f"a size is one side in pixels or HxW, such as 224 or 192x256, got {text!r}")
    return size_hw


def require_onnx(need: str) -> None:
    """Return if the package that reads ONNX files is installed.

    Args:
        need: the command that needs it, for the message.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("onnx") is None:
        raise MissingExtraError.of(need, "onnx")


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of inputs by name, of ``name=1x3x224x224`` each; the name "" stands for the only input.

    Raises:
        UsageError: no such text, or a name twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sides = text.rpartition("=")
        if not re.fullmatch(r"(\d+([xX×]\d+)*)?", sides) or (not sides and not name) or name in shapes:
            raise UsageError(f"--shape {text}: expected NAME=1x3x224x224 once for each input, or NAME= for a scalar.")
        shapes[name] = tuple(int(side) for side in re.split("[xX×]", sides) if side)
    return shapes


def parse_names(text: str | None) -> list[str]:
    """The names in ``a,b,c``; none of None."""
    return [name.strip() for name in text.split(",")] if text else []


def check_outputs(options: "DataclassInstance") -> None:
    """Refuse outputs that cannot be written or would destroy something, before the work; every command begins so.

    An option that writes says in its field's ``writes`` what; all other paths among the options are inputs.

    Raises:
        UsageError: as for `litevision.outputs.check_output`, or two outputs into one file.
    """
    files: list[tuple[str, str | Path, str]] = []
    printing: list[str] = []
    inputs: list[str | Path] = []
    for field in dataclasses.fields(options):
        value, writes = getattr(options, field.name), field.metadata.get("writes")
        name = option_names(field)[-1]
        if writes is None:
            inputs += [it for it in (value if isinstance(value, tuple) else (value,)) if isinstance(it, (str, Path))]
        elif value is True or value == "-":
            printing.append(name if value is True else f"{name} -")
        elif value not in (None, False):
            files.append((name, value, writes))
    if len(printing) > 1:
        *most, last = printing
        raise UsageError(f"{', '.join(most)} and {last} each need standard output for themselves. Give one of them.")
    if not files:
        return
    from litevision import outputs

    outputs.refuse_equal_outputs([(name, path) for name, path, _ in files])
    for name, path, writes in files:
        outputs.check_output(path, outputs.kind_named(writes, path, name), option=name, inputs=inputs)
