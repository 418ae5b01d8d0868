"""What a call remembers, as JSON and back: dataclasses, named tuples, published models and what they are made of, by their type hints.

Invariant: `read(T, write(x)) == x` for what is reachable from the root type's hints; a field marked `NOT_KEPT` comes back as its default;
data of a shape that is not known raises ValueError, never makes a half-known value.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import orjson
from pydantic import BaseModel

#: Metadata of a dataclass field that is not written.
NOT_KEPT: Mapping[str, bool] = {"kept": False}
_KIND = "$"
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS
_NOTHINGS: tuple[object, ...] = (None, "", b"", 0, False, ())


def write(value: object) -> bytes:
    """JSON of the value. Raises TypeError for what has no plain form."""
    return orjson.dumps(value, default=_plain, option=_OPTIONS)


def read(kind: type, data: bytes) -> Any:
    """A value of this class. Raises ValueError when the data is not one."""
    try:
        return _read(orjson.loads(data), kind, _known(kind))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"no {kind.__name__} of this version: {error!r}") from error


# -- writing ----------------------------------------------------------------------------------------------------------


def _plain(value: object) -> object:
    kind: Any = type(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return {_KIND: kind.__name__, "data": value.model_dump(mode="json")}
    defaults = _written(kind)
    if defaults is None:
        raise TypeError(f"{kind.__name__} has no plain form")
    found: dict[str, object] = {_KIND: kind.__name__}
    for name, default in defaults:
        part = getattr(value, name)
        if part is not default:
            found[name] = part
    return found


_ALWAYS = object()


@cache
def _written(kind: type) -> tuple[tuple[str, object], ...] | None:
    """Names of the fields that are written, each with the default that need not be."""
    if is_dataclass(kind):
        kept = [field for field in fields(kind) if field.metadata.get("kept", True)]
        return tuple((field.name, field.default if _is_nothing(field.default) else _ALWAYS) for field in kept)
    if hasattr(kind, "_fields"):
        return tuple((str(name), _ALWAYS) for name in kind._fields)
    return None


def _is_nothing(default: object) -> bool:
    """One of the values that are the same object wherever they stand."""
    return any(default is nothing for nothing in _NOTHINGS)


# -- reading ----------------------------------------------------------------------------------------------------------


@cache
def _known(root: type) -> Mapping[str, type]:
    """Every class that can be met, by name."""
    found: dict[str, type] = {}
    walked: set[type] = set()
    waiting: list[Any] = [root]
    while waiting:
        hint = _resolved(waiting.pop())
        waiting.extend(get_args(hint) if get_origin(hint) is not Literal else ())
        if not isinstance(hint, type) or get_origin(hint) is not None or not (_is_record(hint) or _is_model(hint)):
            continue
        if found.setdefault(hint.__name__, hint) is not hint:
            raise TypeError(f"two classes are named {hint.__name__}")
        if _is_record(hint) and hint not in walked:
            walked.add(hint)
            waiting.extend(_hints(hint).values())
    return found


def _is_record(hint: type) -> bool:
    return is_dataclass(hint) or hasattr(hint, "_fields")


def _is_model(hint: type) -> bool:
    return issubclass(hint, BaseModel)


def _resolved(hint: Any) -> Any:
    """Behind NewType."""
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Of the fields that are written."""
    hints = get_type_hints(kind)
    return {name: hints[name] for name, _ in _written(kind) or ()}


def _read(data: Any, hint: Any, known: Mapping[str, type]) -> Any:
    hint = _resolved(hint)
    if isinstance(data, dict) and _KIND in data:
        return _record(data, known)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _one_of(data, arguments, known)
    if origin is Literal:
        if data not in arguments:
            raise ValueError(f"{data!r} is none of {arguments}")
        return data
    if origin is not None:
        return _COLLECTIONS[origin](data, arguments, known)
    if hint in (None, NoneType) and data is None:
        return None
    if hint is float and isinstance(data, int):
        return float(data)
    if hint is bytes:
        return b64decode(data)
    if hint is datetime:
        return datetime.fromisoformat(data)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(data)
    if hint is not Any and not (isinstance(hint, type) and isinstance(data, hint)):
        raise ValueError(f"{data!r} is no {hint}")
    return data


def _one_of(data: Any, arms: Sequence[Any], known: Mapping[str, type]) -> Any:
    if data is None and NoneType in arms:
        return None
    for arm in arms:
        if arm is not NoneType:
            try:
                return _read(data, arm, known)
            except (TypeError, ValueError, KeyError):
                continue
    raise ValueError(f"{data!r} is none of {arms}")


def _record(data: dict[str, Any], known: Mapping[str, type]) -> Any:
    kind: Any = known[data.pop(_KIND)]
    if issubclass(kind, BaseModel):
        return kind.model_validate(data["data"])
    hints = _hints(kind)
    return kind(**{name: _read(part, hints[name], known) for name, part in data.items()})


Reader = Callable[[Any, Sequence[Any], Mapping[str, type]], Any]


def _tuple(data: Any, arguments: Sequence[Any], known: Mapping[str, type]) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_read(part, arguments[0], known) for part in data)
    return tuple(_read(part, argument, known) for part, argument in zip(data, arguments, strict=True))


def _list(data: Any, arguments: Sequence[Any], known: Mapping[str, type]) -> list[Any]:
    return [_read(part, arguments[0], known) for part in data]


def _set(data: Any, arguments: Sequence[Any], known: Mapping[str, type]) -> set[Any]:
    return {_read(part, arguments[0], known) for part in data}


def _frozenset(data: Any, arguments: Sequence[Any], known: Mapping[str, type]) -> frozenset[Any]:
    return frozenset(_set(data, arguments, known))


def _dict(data: Any, arguments: Sequence[Any], known: Mapping[str, type]) -> dict[Any, Any]:
    key: Callable[[str], Any] = int if arguments[0] is int else str
    return {key(name): _read(part, arguments[1], known) for name, part in data.items()}


_COLLECTIONS: Mapping[Any, Reader] = {
    tuple: _tuple,
    list: _list,
    Sequence: _tuple,
    set: _set,
    frozenset: _frozenset,
    dict: _dict,
    Mapping: _dict,
}
