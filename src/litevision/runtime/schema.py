"""Strict conversion between JSON values and frozen dataclasses: the dataclasses are the schema."""

import sys
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

REST = {"rest": True}
"""Field metadata: this mapping holds the keys of the JSON object that no other field names."""

OPTIONAL = {"optional": True}
"""Field metadata: the JSON object need not have this key; None, which is then its default, is not written."""

FORMERLY = "formerly"
"""Key of field metadata: the name that the key had in earlier versions, which is still read."""

_SCALARS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def from_dict(hint: Any, value: Any, where: str, faults: list[str]) -> Any:
    """Convert ``value`` to the type ``hint``; where it does not fit, to None, with the reasons in ``faults``.

    Args:
        hint: str, int, float, bool, a Literal of texts, a tuple, a dataclass of these, or one of them or None; of
            several dataclasses, the one with most of the keys that are there.
        value: what ``json.loads`` gave.
        where: the dotted path to the value, for the faults.
        faults: gathers the faults. Unknown keys are no fault: a newer minor writer may add some.
    """
    if get_origin(hint) in (UnionType, Union):
        if value is None:
            return None
        options = [option for option in get_args(hint) if option is not NoneType]
        hint = options[0] if len(options) == 1 else max(options, key=lambda option: _keys_found(option, value))
    if is_dataclass(hint):
        return _record_from_plain(hint, value, where, faults)
    if get_origin(hint) is tuple:
        return _tuple_from_plain(get_args(hint), value, where, faults)
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
        faults.append(f"{where} is {value!r}, expected {' or '.join(map(repr, get_args(hint)))}")
        return None
    if hint is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)  # JSON writes 1.0 as 1, and reads 1e999 as infinity
    if hint is not float and type(value) is hint:
        return value
    faults.append(f"{where} is {_shown(value)}, expected {_SCALARS[hint]}")
    return None


def to_dict(value: Any) -> Any:
    """Return ``value`` as plain JSON values: dataclasses as dicts, at any depth, and tuples as lists."""
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_dict(item) for key, item in value.items()}
    if not is_dataclass(value):
        return value
    plain: dict[str, Any] = {}
    for field in fields(value):
        content = to_dict(getattr(value, field.name))
        if field.metadata == OPTIONAL and content is None:
            continue
        plain.update(content if field.metadata == REST else {field.name: content})
    return plain


def _record_from_plain(cls: Any, value: Any, where: str, faults: list[str]) -> Any:
    if not isinstance(value, Mapping):
        faults.append(f"{where or 'the metadata'} is {_shown(value)}, expected an object")
        return None
    before = len(faults)
    hints = get_type_hints(cls)
    arguments: dict[str, Any] = {}
    for field in fields(cls):
        path = f"{where}.{field.name}" if where else field.name
        if field.metadata == REST:
            arguments[field.name] = {key: item for key, item in value.items() if key not in hints}
        elif (key := _key_of(field, value)) is not None:
            arguments[field.name] = from_dict(hints[field.name], value[key], path, faults)
        elif field.metadata != OPTIONAL:
            faults.append(f"{path} is missing")
    if len(faults) > before:
        return None
    try:
        return cls(**arguments)
    except ValueError as error:
        faults.append((f"{where}: " if where else "") + str(error).rstrip("."))
        return None


def _key_of(field: Field[Any], value: Mapping[str, Any]) -> str | None:
    names = (field.name, field.metadata.get(FORMERLY, field.name))
    return next((name for name in names if name in value), None)


def _keys_found(cls: Any, value: Any) -> int:
    return sum(field.name in value for field in fields(cls)) if isinstance(value, Mapping) else 0


def _tuple_from_plain(hints: tuple[Any, ...], value: Any, where: str, faults: list[str]) -> Any:
    items = hints[:1] * len(value) if isinstance(value, list) and hints[-1] is Ellipsis else hints
    if not isinstance(value, list) or len(items) != len(value):
        length = "" if hints[-1] is Ellipsis else f"{len(hints)} "
        faults.append(f"{where} is {_shown(value)}, expected a list of {length}({_SCALARS[hints[0]]} each)")
        return None
    return tuple(
        from_dict(hint, item, f"{where}[{position}]", faults)
        for position, (hint, item) in enumerate(zip(items, value, strict=True))
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
