"""What a call remembers, as bytes and back: dataclasses, named tuples, published models and what they are made of, by their type hints.

A record is written as its class's name and the values of its fields in order, in Python's own `marshal`: nearly all of the work is done
without a line of Python for each value, and this is done for each event of each call. The bytes are for a process of the same version
that comes soon after; who else wrote them is to be ruled out before they are read, as `marshal` asks (they are sealed).

Invariant: `read(T, Writer().write(x)) == x` for what is reachable from the root type's hints; a field marked `NOT_KEPT` comes back as
its default; data of a shape that is not known, or written when a class had other fields, raises ValueError, never makes a half-known value.
"""

import marshal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from zlib import crc32

from pydantic import BaseModel

#: Metadata of a dataclass field that is not written.
NOT_KEPT: Mapping[str, bool] = {"kept": False}
#: `_KIND`: no mapping that is written has it as a key.
_KIND, _VALUES, _MODEL = None, "values", "data"
#: Of `marshal`: without references to what was written before, for which it would have to look at each value.
_FORMAT = 2
_ATOMS = frozenset({str, int, float, bool, bytes, NoneType})


def read(kind: Any, data: bytes) -> Any:
    """A value of this class. Raises ValueError when the data is not one."""
    try:
        version, written = marshal.loads(data)
        if version != _version(kind):
            raise ValueError("its classes had other fields")
        return _read(written, kind, _known(kind))
    except (EOFError, KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"no {kind.__name__} of this version: {error!r}") from error


# -- writing ----------------------------------------------------------------------------------------------------------


class Writer:
    """Writes values that have parts in common, such as one call's snapshots; what it remembers of the parts goes with it."""

    __slots__ = ("_lasting", "_parts", "_wary")

    def __init__(self, lasting: frozenset[type] = frozenset()) -> None:
        """`lasting`: classes whose instances are never changed."""
        self._lasting = lasting
        self._parts: dict[int, tuple[object, object]] = {}
        self._wary = False

    def write(self, value: object) -> bytes:
        """Bytes of the value. Raises TypeError for what has no plain form."""
        try:
            return self._marshalled(value)
        except ValueError:
            # Texts or numbers of a class of their own, where the type hints promise plain ones.
            self._wary = True
            self._parts.clear()
            return self._marshalled(value)

    def _marshalled(self, value: object) -> bytes:
        kind: Any = type(value)
        whole: Any = (_version(kind), self._plain(value))
        return marshal.dumps(whole, _FORMAT)

    def _plain(self, value: Any) -> object:
        """As what `marshal` knows."""
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind in self._lasting:
            return self._part(value, kind)
        if kind is tuple or kind is list:
            return [self._plain(part) for part in value]
        if kind is dict:
            return {name: self._plain(part) for name, part in value.items()}
        return self._record(value, kind)

    def _record(self, value: Any, kind: Any) -> object:
        written = _written(kind)
        if written is None:
            return self._single(value)
        values = written.values(value)
        if written.deep or self._wary:
            values = list(values)
            for place in range(len(values)) if self._wary else written.deep:
                part = values[place]
                if type(part) not in _ATOMS:
                    values[place] = self._plain(part)
        return {_KIND: kind.__name__, _VALUES: values}

    def _part(self, part: object, kind: type) -> object:
        """The part's plain form, from when it was written first; `part` is kept, so that its id stays its own."""
        known = self._parts.get(id(part))
        if known is None:
            if len(self._parts) >= _MOST_PARTS:
                self._parts.clear()
            known = self._parts[id(part)] = (part, self._record(part, kind))
        return known[1]

    def _single(self, value: object) -> object:
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, Mapping):
            return {name: self._plain(part) for name, part in value.items()}
        if isinstance(value, set | frozenset):
            return sorted(value)
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, BaseModel):
            return {_KIND: type(value).__name__, _MODEL: value.model_dump(mode="json")}
        for atom in (str, int, float):
            if isinstance(value, atom):
                return atom(value)
        raise TypeError(f"{type(value).__name__} has no plain form")


#: Parts that a writer remembers.
_MOST_PARTS = 64


@dataclass(frozen=True, slots=True)
class _Written:
    """The fields of a record that are written; `values` gives their values in order, those at `deep` are not all plain by themselves."""

    names: tuple[str, ...]
    values: Callable[[Any], Sequence[Any]]
    deep: tuple[int, ...]


@cache
def _written(kind: Any) -> _Written | None:
    """None: it is no record."""
    names = _names(kind)
    if names is None:
        return None
    hints = get_type_hints(kind)
    deep = tuple(place for place, name in enumerate(names) if not _is_plain(hints[name]))
    return _Written(names, tuple if hasattr(kind, "_fields") else _values(names), deep)


def _names(kind: Any) -> tuple[str, ...] | None:
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind) if field.metadata.get("kept", True))
    return tuple(kind._fields) if hasattr(kind, "_fields") else None


def _values(names: tuple[str, ...]) -> Callable[[Any], Sequence[Any]]:
    if not names:
        return lambda value: ()
    of_all = attrgetter(*names)
    return of_all if len(names) > 1 else lambda value: (of_all(value),)


def _is_plain(hint: Any) -> bool:
    """Whether `marshal` knows whatever such a field may hold: text, bytes, numbers, and tuples of them."""
    hint, arguments = _resolved(hint), get_args(hint)
    if get_origin(hint) is Literal:
        return all(type(argument) in _ATOMS for argument in arguments)
    if get_origin(hint) in (tuple, Union, UnionType):
        return all(_is_plain(argument) for argument in arguments if argument is not Ellipsis)
    return hint in _ATOMS or hint is None


@cache
def _version(root: Any) -> int:
    """Of the classes that can be met, and of their fields."""
    shapes = sorted((name, _names(kind)) for name, kind in _known(root).items() if _is_record(kind))
    return crc32(repr(shapes).encode())


# -- reading ----------------------------------------------------------------------------------------------------------


@cache
def _known(root: Any) -> Mapping[str, type]:
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
    return {name: hints[name] for name in _names(kind) or ()}


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


def _record(data: dict[Any, Any], known: Mapping[str, type]) -> Any:
    kind: Any = known[data[_KIND]]
    if issubclass(kind, BaseModel):
        return kind.model_validate(data[_MODEL])
    hints = _hints(kind)
    return kind(**{name: _read(part, hints[name], known) for name, part in zip(hints, data[_VALUES], strict=True)})


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
