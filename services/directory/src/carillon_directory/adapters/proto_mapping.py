"""Messages of `carillon.directory.v1` become documents and back, by their descriptors alone.

A document has the message's original field names; an enum value is its name without the prefix of its type, in lower case
(`RING_STRATEGY_SEQUENTIAL` is `sequential`). What is not set is not there. Not one resource is named in this module.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from pydantic import JsonValue

from carillon_contracts.config import OUTPUT_ONLY, SECRET_FIELDS

M = TypeVar("M", bound=Message)


def to_document(message: Message) -> dict[str, JsonValue]:
    """Every field that is set, by name."""
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> JsonValue:
    if field.is_repeated:
        return [_single(field, item) for item in value]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> JsonValue:
    if field.message_type is not None:
        return to_document(value)
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return str(value) if named is None else named.name.removeprefix(_prefix(field.enum_type)).lower()
    return cast(JsonValue, value)


def to_message(document: Mapping[str, JsonValue], kind: type[M]) -> M:
    """The message that `to_document` would turn into `document`; fields that the message does not have are left out.

    Raises `ValueError` for a value of the wrong type or an unknown enum value.
    """
    try:
        # A page of a list is fifty of them: the constructor takes a tenth of what `json_format` does.
        return kind(**_raised(document, cast(Descriptor, kind.DESCRIPTOR)))
    except TypeError as error:
        raise ValueError(str(error)) from error


def _raised(document: Mapping[str, JsonValue], descriptor: Descriptor) -> dict[str, Any]:
    raising = _raising(descriptor)
    return {name: raising[name](value) for name, value in document.items() if name in raising}


@cache
def _raising(descriptor: Descriptor) -> Mapping[str, Callable[[Any], Any]]:
    """What makes the constructor's values of a document's, by field."""
    return {field.name: _raised_list(_raised_one(field)) if field.is_repeated else _raised_one(field) for field in descriptor.fields}


def _raised_one(field: FieldDescriptor) -> Callable[[Any], Any]:
    inner, enum = field.message_type, field.enum_type
    if inner is not None:
        made = GetMessageClass(inner)
        return lambda value: made(**_raised(value, inner)) if isinstance(value, dict) else value
    if enum is not None:
        prefix = _prefix(enum)
        return lambda value: prefix + value.upper() if isinstance(value, str) else value
    return lambda value: value


def _raised_list(one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: [one(item) for item in value] if isinstance(value, list) else value


def _prefix(enum: EnumDescriptor) -> str:
    """`RING_STRATEGY_` for `RingStrategy`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"


def mask_error(path: str, descriptor: Descriptor) -> str:
    """Why `path` cannot stand in a field mask for this message; empty if it can."""
    here: Descriptor | None = descriptor
    repeated = False
    for name in path.split("."):
        if repeated:
            return "a list is replaced as a whole"
        field = here.fields_by_name.get(name) if here is not None else None
        if field is None:
            return f"no field {name!r}"
        here, repeated = field.message_type, field.is_repeated
    return ""


#: Never changed by an update, whatever its mask says.
_FIXED = OUTPUT_ONLY | {"id"}
#: Not meant by the mask `*` unless set.
_SECRETS = frozenset(plain for kind in SECRET_FIELDS.values() for plain in kind)


def mask_paths(paths: Iterable[str], message: Message) -> tuple[str, ...]:
    """The paths of an update: those given; none given: every field that is set; `*`: every field."""
    given = tuple(paths)
    listed = tuple(field.name for field, _ in message.ListFields())
    if not given:
        given = listed
    elif "*" in given:
        given = tuple(field.name for field in message.DESCRIPTOR.fields if field.name not in _SECRETS or field.name in listed)
    return tuple(path for path in given if path not in _FIXED)
