"""What a call remembers, as JSON and back: dataclasses, named tuples, published models and what they are made of, by their type hints.

A `Writer` puts parts of kinds that are never changed, only replaced, into JSON once.

Invariant: `read(T, Writer().write(x)) == x` for what is reachable from the root type's hints; a field marked `NOT_KEPT` comes back as
its default; data of a shape that is not known raises ValueError, never makes a half-known value.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import orjson
from pydantic import BaseModel

#: Metadata of a dataclass field that is not written.
NOT_KEPT: Mapping[str, bool] = {"kept": False}
_KIND = "$"
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS
_NOTHINGS: tuple[object, ...] = (None, "", b"", 0, False, ())


def read(kind: type, data: bytes) -> Any:
    """A value of this class. Raises ValueError when the data is not one."""
    try:
        return _read(orjson.loads(data), kind, _known(kind))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"no {kind.__name__} of this version: {error!r}") from error


# -- writing ----------------------------------------------------------------------------------------------------------


class Writer:
    """Writes values that have parts in common, such as one call's snapshots; what it remembers of the parts goes with it."""

    __slots__ = ("_lasting", "_parts")

    def __init__(self, lasting: frozenset[type] = frozenset()) -> None:
        """`lasting`: classes whose instances are never changed."""
        self._lasting = lasting
        self._parts: dict[int, tuple[object, orjson.Fragment]] = {}

    def write(self, value: object) -> bytes:
        """JSON of the value. Raises TypeError for what has no plain form."""
        return orjson.dumps(value, default=self._plain, option=_OPTIONS)

    def _plain(self, value: object) -> object:
        kind: Any = type(value)
        if kind in self._lasting:
            return self._part(value)
        return self._record(value, kind)

    def _record(self, value: object, kind: Any) -> object:
        written = _written(kind)
        if written is None:
            return _single(value)
        found: dict[str, object] = {_KIND: kind.__name__}
        for name, part, default in zip(written.names, written.values(value), written.defaults, strict=True):
            if part is not default:
                found[name] = part
        return found

    def _part(self, part: object) -> orjson.Fragment:
        """The part's JSON, from when it was written first; `part` is kept, so that its id stays its own."""
        known = self._parts.get(id(part))
        if known is None:
            if len(self._parts) >= _MOST_PARTS:
                self._parts.clear()
            known = self._parts[id(part)] = (part, orjson.Fragment(self.write(self._record(part, type(part)))))
        return known[1]


#: Parts that a writer remembers.
_MOST_PARTS = 64


def _single(value: object) -> object:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return {_KIND: type(value).__name__, "data": value.model_dump(mode="json")}
    raise TypeError(f"{type(value).__name__} has no plain form")


_ALWAYS = object()


@dataclass(frozen=True, slots=True)
class _Written:
    """The fields of a record that are written, each with the default that need not be; `values` gives their values in order."""

    names: tuple[str, ...]
    defaults: tuple[object, ...]
    values: Callable[[Any], tuple[object, ...]]


@cache
def _written(kind: Any) -> _Written | None:
    """None: it is no record."""
    if is_dataclass(kind):
        kept = [field for field in fields(kind) if field.metadata.get("kept", True)]
        defaults = tuple(field.default if _is_nothing(field.default) else _ALWAYS for field in kept)
        names = tuple(field.name for field in kept)
        return _Written(names, defaults, _values(names))
    if hasattr(kind, "_fields"):
        given = kind._field_defaults
        defaults = tuple(given[name] if name in given and _is_nothing(given[name]) else _ALWAYS for name in kind._fields)
        return _Written(kind._fields, defaults, tuple)
    return None


def _values(names: tuple[str, ...]) -> Callable[[Any], tuple[object, ...]]:
    if not names:
        return lambda value: ()
    of_all = attrgetter(*names)
    return of_all if len(names) > 1 else lambda value: (of_all(value),)


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
    written = _written(kind)
    return {name: hints[name] for name in (written.names if written is not None else ())}


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
