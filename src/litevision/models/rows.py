"""Rows of a family's table, read from the records that the sources write their networks with.

slim's ``Conv(kernel=[3, 3], stride=2, depth=32)``, torchvision's ``[t, c, n, s]`` and ``InvertedResidualConfig``, the
papers' ``(5, 72, 40, "SE", "RE", 2)``, and the same as text.
"""

import ast
import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from litevision.errors import UnknownNameError, UsageError
from litevision.registry import ARCHITECTURES

# fmt: off
_FIELDS = {
    # theirs                     ours
    "kernel":                    "kernel_size",
    "depth":                     "out_channels",
    "channels":                  "out_channels",
    "filters":                   "out_channels",
    "expanded_channels":         "exp_channels",
    "exp":                       "exp_channels",
    "t":                         "expand_ratio",
    "c":                         "out_channels",
    "n":                         "repeats",
    "s":                         "stride",
    "use_se":                    "se",
    "use_hs":                    "act",
    "nl":                        "act",
    "activation":                "act",
}
_VALUES: dict[str, dict[object, object]] = {
    "act": {"RE": "relu", "HS": "hardswish", True: "hardswish", False: "relu"},
    "se":  {"SE": True, "-": False, None: False, "": False},
}
# fmt: on
_BETWEEN = re.compile(r"\)\s+(?=[A-Za-z(])")  # rows on lines of their own


def row_kinds(architecture: str) -> dict[str, type]:
    """Lists the records that rows of ``architecture`` are, by name: ``Conv`` and ``DepthSepConv`` for MobileNetV1."""
    family = importlib.import_module(f"litevision.models.{ARCHITECTURES[architecture].family}")
    return {kind.__name__: kind for kind in family.ROW_KINDS}


def rows_of(architecture: str, rows: str | Iterable[Any]) -> tuple[Any, ...]:
    """Returns the family's records for rows in the words of any source.

    Args:
        architecture: one of our names.
        rows: the family's own records, records of slim or torchvision with the same fields by other names, mappings,
            or sequences in the order of the paper's columns; or all of them as text: ``Conv(3, 2, 32),
            DepthSepConv(3, 1, 64)``.

    Raises:
        UsageError: a row that is no such record.
    """
    if isinstance(rows, str):
        rows = _parsed(rows, architecture)
    return tuple(_row(row, architecture) for row in rows)


def _row(row: Any, architecture: str) -> Any:
    kinds = row_kinds(architecture)
    if isinstance(row, tuple(kinds.values())):
        return row
    named = _as_mapping(row)
    kind = kinds.get(type(row).__name__) or (next(iter(kinds.values())) if len(kinds) == 1 else None)
    if kind is None or (named is None and not isinstance(row, list | tuple)):
        shown = " or ".join(kinds)
        raise UsageError(f"rows of {architecture} must be {shown} records, got {type(row).__name__}")
    return _made(kind, _in_order(kind, row) if named is None else named)


def _in_order(kind: type, values: Sequence[Any]) -> dict[str, Any]:
    """The values by field, as the paper's columns stand."""
    names = _names(kind)
    if not len(_required(kind)) <= len(values) <= len(names):
        raise UsageError(f"a row is {kind.__name__}({', '.join(names)}), got {len(values)} values: {values!r}")
    return dict(zip(names, values, strict=False))


def _made(kind: type, named: Mapping[str, Any]) -> Any:
    """The record with ``named`` fields, ours or another library's."""
    names = _names(kind)
    given: dict[str, Any] = {}
    for theirs, value in named.items():
        field = theirs if theirs in names else _FIELDS.get(theirs, theirs)
        if field in names:
            given[field] = _value(field, value)
        elif (theirs, value) != ("dilation", 1) and theirs != "input_channels":  # which follow from the other rows
            raise UnknownNameError.of(f"field of {kind.__name__} records", theirs, names)
    if missing := [name for name in _required(kind) if name not in given]:
        raise UsageError(f"a {kind.__name__} record lacks {', '.join(missing)}, got {', '.join(named) or 'nothing'}")
    return kind(**given)


def _names(kind: type) -> list[str]:
    assert is_dataclass(kind)
    return [field.name for field in fields(kind)]


def _required(kind: type) -> list[str]:
    assert is_dataclass(kind)
    return [field.name for field in fields(kind) if field.default is MISSING]


def _as_mapping(row: Any) -> Mapping[str, Any] | None:
    """The row's values by field; None for a plain sequence."""
    if isinstance(row, Mapping):
        return row
    if hasattr(row, "_asdict"):
        asdict: Mapping[str, Any] = row._asdict()
        return asdict
    if is_dataclass(row) or (hasattr(row, "__dict__") and not isinstance(row, Sequence)):
        return vars(row) or None
    return None


def _value(field: str, value: Any) -> Any:
    if field in _VALUES and isinstance(value, str | bool | None):
        return _VALUES[field].get(value, value)
    if field == "kernel_size":
        return one_side(value)
    return value


def one_side(kernel: Any) -> Any:
    """Returns the side of a square kernel, which slim writes ``[3, 3]``.

    Raises:
        UsageError: it is not square.
    """
    if not isinstance(kernel, Sequence) or isinstance(kernel, str):
        return kernel
    if len(set(kernel)) != 1:
        raise UsageError(f"a row's kernel must be square, got {list(kernel)}")
    return kernel[0]


def _parsed(text: str, architecture: str) -> list[Any]:
    """The rows that ``text`` writes as Python does; nothing in it is run."""
    kinds = row_kinds(architecture)
    try:
        listed = ast.parse(f"[{re.sub(_BETWEEN, '), ', text.strip())}]", mode="eval").body
        assert isinstance(listed, ast.List)
        return [_parsed_row(node, kinds) for node in listed.elts]
    except UsageError:
        raise
    except (SyntaxError, ValueError, AssertionError, RecursionError, MemoryError):
        examples = (f"{kind.__name__}({', '.join(_names(kind))})" for kind in kinds.values())
        raise UsageError(
            f"rows {text[:60]!r} cannot be read; expected {' or '.join(examples)} with commas between them"
        ) from None


def _parsed_row(node: ast.expr, kinds: Mapping[str, type]) -> Any:
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    assert isinstance(node.func, ast.Name)
    kind = kinds.get(node.func.id)
    if kind is None:
        raise UnknownNameError.of("kind of row", node.func.id, kinds)
    values = [ast.literal_eval(value) for value in node.args]
    by_name = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
    return _made(
        kind, {**dict(zip(_names(kind), values, strict=False)), **by_name} if by_name else _in_order(kind, values)
    )
