"""What was ever a person's in a tenant's log, and by which words they can be recognised there."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import phonenumbers
from pydantic import BaseModel

from carillon.common.v1 import call_application_pb2
from carillon_contracts.call import CALL_EVENTS
from carillon_contracts.config import RESOURCES, Audio, ConfigChanged, Mailbox, Resource, User
from carillon_contracts.envelope import Event
from carillon_contracts.erasure import ERASED, ERASED_EMAIL
from carillon_contracts.record import CallRecorded
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.erasing.husks import masked
from carillon_directory.domain.index import Index
from carillon_directory.domain.references import everything

Key = tuple[str, str]
Log = Sequence[tuple[int, ConfigChanged]]
#: Fields that say whose a document is, by its kind; the first that is set counts.
_WHOSE: Mapping[str, tuple[str, ...]] = {
    "sip_credential": ("home_user_id", "user_id"),
    "contact": ("owner_user_id",),
    "agent": ("user_id",),
}
#: Kinds whose names tell of somebody or something, so that a word in them is not the person's alone.
_NAMED = ("tenant", "site", "department", "user", "contact")
_NAMES = ("display_name", "last_name", "first_name", "company")


class Theirs(NamedTuple):
    """Keys of what is the person's alone: now, and ever."""

    now: frozenset[Key]
    ever: frozenset[Key]


def whose(kind: str, document: Mapping[str, Any]) -> str:
    """The user that a document names as its owner; empty: none."""
    if kind == User.KIND:
        return str(document.get("id", ""))
    return next((str(document[name]) for name in _WHOSE.get(kind, ()) if document.get(name)), "")


def documents(log: Log) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(kind, id, document) of everything that ever stood in the log."""
    for _, change in log:
        for document in (change.before, change.after):
            if document is not None:
                yield change.resource, change.resource_id, document


def theirs(config: TenantConfig, index: Index, log: Log, user_id: str) -> Theirs:
    """The mailbox counts as theirs if nobody else has or had it and nothing else leads to it."""
    now = {(each.KIND, each.id) for each in everything(config) if whose(each.KIND, _dumped(each)) == user_id}
    ever, others = set(now), set[Key]()
    boxes, others_boxes = set[str](), set[str]()
    for kind, name, document in documents(log):
        if kind == User.KIND and (box := str(document.get("mailbox_id", ""))):
            (boxes if name == user_id else others_boxes).add(box)
        owner = whose(kind, document)
        if owner == user_id:
            ever.add((kind, name))
        elif owner:
            others.add((kind, name))
    for box in boxes - others_boxes:
        key = (Mailbox.KIND, box)
        if box not in config.mailboxes:
            ever.add(key)
        elif set(index.referring(*key)) <= now:
            now.add(key)
            ever.add(key)
    for key in _spoken(config, index, log, now, ever):
        ever.add(key)
        if key[1] in config.all(Audio):
            now.add(key)
    return Theirs(frozenset(now), frozenset(ever - others))


def _spoken(config: TenantConfig, index: Index, log: Log, now: set[Key], ever: set[Key]) -> set[Key]:
    """Audio that was heard in the person's boxes, and nowhere else."""
    heard, elsewhere = set[str](), set[str]()
    for kind, name, document in documents(log):
        if kind != Audio.KIND:
            (heard if (kind, name) in ever and kind == Mailbox.KIND else elsewhere).update(_audio_in(document))
    keys = {(Audio.KIND, name) for name in heard - elsewhere}
    return {key for key in keys if set(index.referring(*key)) <= now}


def _audio_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if name := value.get("audio_id"):
            yield str(name)
        for each in value.values():
            yield from _audio_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _audio_in(each)


def objects(log: Log, found: Theirs) -> tuple[str, ...]:
    """Names in the object store of what is theirs alone."""
    own, others = set[str](), set[str]()
    for kind, name, document in documents(log):
        if kind == Audio.KIND:
            (own if (kind, name) in found.ever else others).update(str(document.get(each, "")) for each in ("object", "wide_object"))
    return tuple(sorted(own - others - {""}))


def _dumped(resource: Resource) -> Mapping[str, Any]:
    names = (*_WHOSE.get(resource.KIND, ()), "id")
    return {name: getattr(resource, name) for name in names}


@dataclass(slots=True)
class Words:
    """What to look for and what to put in its place; `remarks`: (subject, text) of what could not be told from others' words."""

    ids: dict[str, str] = field(default_factory=dict)
    user_ids: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    remarks: list[tuple[str, str]] = field(default_factory=list)


def words(config: TenantConfig, log: Log, user_id: str, pseudonym: str, found: Theirs) -> Words:
    """Of the person as they are and ever were."""
    result = Words()
    foreign = {name for kind, name, _ in documents(log) if (kind, name) not in found.ever} | {config.tenant_id}
    for number, (kind, name) in enumerate(sorted(found.ever)):
        if kind == User.KIND:
            continue
        if name not in foreign and name not in vocabulary():
            result.ids[name] = pseudonym if name == user_id else f"{pseudonym}-{number}"
    if user_id in foreign or user_id in vocabulary():
        result.ids.pop(user_id, None)
        result.user_ids[user_id] = pseudonym
    else:
        result.ids[user_id] = pseudonym
    heard, seen = _heard(config, found, foreign), set[str]()
    for text, instead in _texts(config, log, found, user_id):
        word = text.casefold()
        if word in seen:
            continue
        seen.add(word)
        if word in vocabulary() or re.search(rf"(?<!\w){re.escape(word)}(?!\w)", heard):
            result.remarks.append((f"word/{text}", "stands for others too and stays where it is not the person's own"))
        else:
            result.texts[word] = instead
    return result


def _heard(config: TenantConfig, found: Theirs, foreign: Iterable[str]) -> str:
    """Names and ids of all others, in one text to look words up in."""
    texts = [str(getattr(each, name, "")) for each in _others(config, found) for name in _NAMES]
    return "\n".join([*texts, *foreign]).casefold()


def _others(config: TenantConfig, found: Theirs) -> Iterator[Resource]:
    for kind in _NAMED:
        yield from (each for each in config.resources.get(kind, {}).values() if (kind, each.id) not in found.now)


def _texts(config: TenantConfig, log: Log, found: Theirs, user_id: str) -> Iterator[tuple[str, str]]:
    own = [document for kind, name, document in documents(log) if (kind, name) == (User.KIND, user_id)]
    for document in own:
        first, last = (str(document.get(name, "")).strip() for name in ("first_name", "last_name"))
        if first and last:
            yield from ((name, ERASED) for name in (f"{first} {last}", f"{last} {first}", f"{last}, {first}"))
        yield from (
            (name, ERASED) for name in (last, str(document.get("display_name", "")), str(document.get("login", ""))) if len(name) > 1
        )
        if email := str(document.get("email", "")):
            yield email, ERASED_EMAIL
        if mobile := str(document.get("mobile", "")):
            yield from ((form, masked(form) if form.lstrip("+").isdigit() else ERASED) for form in _forms(mobile, config.tenant.country))
    for kind, name, document in documents(log):
        if kind == Mailbox.KIND and (kind, name) in found.ever:
            yield from ((str(email), ERASED_EMAIL) for email in document.get("emails", ()))


def _forms(number: str, country: str) -> Iterator[str]:
    """As people and systems write it."""
    yield number
    yield number.removeprefix("+")
    yield f"00{number.removeprefix('+')}"
    try:
        parsed = phonenumbers.parse(number, country or None)
    except phonenumbers.NumberParseException:
        return
    national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    yield national
    yield re.sub(r"\D", "", national)
    yield phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


@cache
def vocabulary() -> frozenset[str]:
    """Words that mean something in documents and events: names of fields and their values. None of them is replaced as a word."""
    found: set[str] = set()
    models: tuple[type[BaseModel], ...] = (*RESOURCES.values(), *CALL_EVENTS.values(), CallRecorded, ConfigChanged, Event)
    for model in models:
        _collect(model.model_json_schema(), found)
    for message in call_application_pb2.DESCRIPTOR.message_types_by_name.values():
        found.update(each.name for each in message.fields)
    for enumeration in call_application_pb2.DESCRIPTOR.enum_types_by_name.values():
        found.update(each.name for each in enumeration.values)
    return frozenset(word.casefold() for word in found) | RESOURCES.keys() | {"admin", "operator", "service", "routing", "voicemail"}


def _collect(schema: Any, found: set[str]) -> None:
    if isinstance(schema, dict):
        found.update(schema.get("properties", {}))
        found.update(each for each in (*schema.get("enum", ()), schema.get("const")) if isinstance(each, str))
        for each in schema.values():
            _collect(each, found)
    elif isinstance(schema, list):
        for each in schema:
            _collect(each, found)
