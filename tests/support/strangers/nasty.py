"""Requests that nobody sends in good faith, made for any message from its descriptor alone."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_DEEPEST = 4
_HUGE = 100_000
#: Characters of one request; the strings past that are short, so that the request is refused for what it says and not for its size.
_MOST = 2_000_000

_LARGEST: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_INT32: 2**31 - 1,
    FieldDescriptor.CPPTYPE_INT64: 2**63 - 1,
    FieldDescriptor.CPPTYPE_UINT32: 2**32 - 1,
    FieldDescriptor.CPPTYPE_UINT64: 2**64 - 1,
    FieldDescriptor.CPPTYPE_DOUBLE: math.inf,
    FieldDescriptor.CPPTYPE_FLOAT: math.nan,
    FieldDescriptor.CPPTYPE_ENUM: 2**31 - 1,
    FieldDescriptor.CPPTYPE_BOOL: True,
}
_LEAST: dict[int, Any] = _LARGEST | {
    FieldDescriptor.CPPTYPE_INT32: -(2**31),
    FieldDescriptor.CPPTYPE_INT64: -(2**63),
    FieldDescriptor.CPPTYPE_DOUBLE: -math.inf,
    FieldDescriptor.CPPTYPE_ENUM: -(2**31),
}
#: By what is wrong with every string of the request.
STRINGS = {
    "huge": "x" * _HUGE,
    "NUL": "a\0b",
    "control": "a\r\nVia: SIP/2.0/UDP x\x1b[31m\x07\u202e",
    "SQL": "'; DROP TABLE events; --",
    "path": "../../../../etc/passwd",
    "subject": "dupont.*.>",
    "markup": "<script>{{7*7}}${jndi:ldap://x}</script>",
}


def requests(kind: Descriptor) -> Iterator[tuple[str, Message]]:
    """Every nasty request of a kind, with what is nasty about it."""
    make = message_factory.GetMessageClass(kind)
    yield "empty", make()
    for name, text in STRINGS.items():
        yield f"{name} strings", _filled(make(), text, {})
    yield "largest numbers", _filled(make(), "", _LARGEST)
    yield "least numbers", _filled(make(), "", _LEAST)
    if "update_mask" in kind.fields_by_name:
        for path in ("nonsense", "__class__", "id.id.id", "", "*.*", "a\0b"):
            request = _filled(make(), "x", {})
            request.update_mask.paths[:] = [path]  # type: ignore[attr-defined]
            yield f"mask {path!r}", request


def _filled(message: Message, text: str, numbers: dict[int, Any]) -> Message:
    left = _MOST

    def string() -> str:
        nonlocal left
        left -= len(text)
        return text if left > 0 else text[:10]

    _fill(message, string, numbers, 0)
    if "update_mask" in message.DESCRIPTOR.fields_by_name:
        # So that the resource is looked at, and not the mask alone.
        message.update_mask.paths[:] = ["*"]  # type: ignore[attr-defined]
    return message


def _fill(message: Message, string: Callable[[], str], numbers: dict[int, Any], depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            if depth < _DEEPEST:
                _fill_message(message, field, string, numbers, depth)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            said = string()
            _put(message, field, said.encode() if field.type == FieldDescriptor.TYPE_BYTES else said)
        elif field.cpp_type in numbers:
            _put(message, field, numbers[field.cpp_type])


def _fill_message(message: Message, field: Any, string: Callable[[], str], numbers: dict[int, Any], depth: int) -> None:
    if field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        if value.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            getattr(message, field.name)[string()] = string()
        return
    holder = getattr(message, field.name)
    inner = holder.add() if field.is_repeated else holder
    inner.SetInParent()
    _fill(inner, string, numbers, depth + 1)


def _put(message: Message, field: Any, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)
