"""Requests with real names of somebody else's things in every field that takes a name, made for any method from its descriptor alone."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_DEEPEST = 4
#: What stands where a word is wanted.
WORD = "planted"
#: Filled by nobody: they would only get the request refused before the names are looked at.
_LEFT_OUT = frozenset({"etag", "page_token", "filter", "order_by", "update_mask", "reason", "as_of", "scope", "role", "email", "emails"})
#: Of a resource that is changed, the first of these that it has.
_CHANGED = ("display_name", "label", "last_name", "title", "comment", "description")


def request(method: Any, known: Mapping[str, str]) -> Message:
    """`known`: what is there, by what fields call it: `user`, `call`, `leg`, ... A resource that would be made gets an id of its own."""
    noun = snake(method.containing_service.name.removesuffix("Service"))
    message = message_factory.GetMessageClass(method.input_type)()
    if method.name.startswith("Update") and noun in method.input_type.fields_by_name:
        _changing(message, noun, known)
    else:
        _fill(message, {**known, "": WORD if method.name.startswith("Create") else known.get(noun, WORD)}, 0)
    return message


def each_text(method: Any, known: Mapping[str, str], text: str) -> Iterator[tuple[str, Message]]:
    """(field, request) for each text of the request itself, which is as long as `text` while the others are right."""
    for field in method.input_type.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            message = request(method, known)
            if field.is_repeated:
                getattr(message, field.name)[:] = [text]
            else:
                setattr(message, field.name, text)
            yield field.name, message


def names(method: Any, *what: str) -> bool:
    """Whether a field of the request itself calls one of these."""
    return any(re.sub(r"_ids?$", "", field.name) in what for field in method.input_type.fields)


def _changing(message: Any, noun: str, known: Mapping[str, str]) -> None:
    resource = getattr(message, noun)
    resource.id = known.get(noun, WORD)
    fields = resource.DESCRIPTOR.fields_by_name
    name = next((name for name in _CHANGED if name in fields and fields[name].type == FieldDescriptor.TYPE_STRING), "")
    if name:
        setattr(resource, name, WORD)
    message.update_mask.paths[:] = [name or "*"]


def _fill(message: Any, known: Mapping[str, str], depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.name in _LEFT_OUT or (field.containing_oneof and message.WhichOneof(field.containing_oneof.name)):
            continue
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            if depth < _DEEPEST and not field.message_type.full_name.startswith("google."):
                holder = getattr(message, field.name)
                if not field.message_type.GetOptions().map_entry:
                    _fill(holder.add() if field.is_repeated else holder, known, depth + 1)
        elif (value := _value(field, known)) is not None:
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)


def _value(field: Any, known: Mapping[str, str]) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return field.enum_type.values[-1].number
    if field.name.endswith("config_seq"):
        return int(known["config_seq"])
    if field.type != FieldDescriptor.TYPE_STRING:
        return None
    if field.name == "id":
        return known[""]
    if field.name in ("resource", "kind", "kinds"):
        return "user"
    whose = re.sub(r"_ids?$", "", field.name)
    if field.name == "language":
        return "fr"
    fitting = [name for name in known if name and (whose == name or whose.endswith(f"_{name}"))]
    return known[max(fitting, key=len)] if fitting else WORD


def snake(name: str) -> str:
    """`ring_group` of `RingGroup`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
