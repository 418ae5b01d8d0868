"""Erasing a person: the order that the directory gives to every service, what a service answers, and how words are found and replaced.

Both travel on `carillon._operator.erasure.<tenant>.<fact>`, above the tenants. The order is the last place that names the person: the
directory keeps it until every service has answered and the streams are clean, and then destroys it. What stays tells of a pseudonym.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID, uuid5

import orjson
from pydantic import Field, StringConstraints, ValidationError

from carillon_contracts.envelope import Event, EventData
from carillon_contracts.streams import erasure_subject

#: Ids that begin so are pseudonyms of persons who were erased; nobody can have such an id otherwise.
PREFIX = "erased-"
#: Stands for a name and for an address that was erased.
ERASED = "erased"
ERASED_EMAIL = "erased@erased.invalid"
#: Whom an order goes to; each answers with a report.
SERVICES = ("cdr", "media", "routing", "voicemail")

#: Keys of documents that say which user something was, beside `<...>user_id`.
_WHO = frozenset(
    {"party", "by", "answered_by", "parked_by", "taken_by", "rung", "rung_party", "supervisor", "supervised", "target", "requested_by"}
)
#: A word ends where none of these goes on: an id is not part of a longer one.
_ID_BEFORE, _ID_AFTER = r"(?<![\w.+*#-])", r"(?![\w+*#-]|\.\w)"
_WORD_BEFORE, _WORD_AFTER = r"(?<!\w)", r"(?!\w)"


class PersonErasureOrdered(EventData):
    """Whatever the receiver keeps of this person is to go; the same order may come again and finds nothing more to do."""

    TYPE: ClassVar[str] = "erasure.ordered.v1"
    erasure_id: str
    #: Counts from 1: streams may have brought something after an earlier one was carried out.
    round: Annotated[int, Field(ge=1)] = 1
    #: Ids of what was the person's -> pseudonyms: their user id, credentials, mailbox, ...; replaced as words wherever they stand.
    ids: dict[str, str] = Field(repr=False)
    #: Ids that others share or that are ordinary words, and are replaced only where a user is named; by id -> pseudonym.
    user_ids: dict[str, str] = Field(default_factory=dict, repr=False)
    #: Names, addresses, numbers in each of their forms -> what stands in their place.
    texts: dict[str, str] = Field(default_factory=dict, repr=False)
    user_id: str = Field(repr=False)
    pseudonym: Annotated[str, StringConstraints(pattern=r"^erased-[0-9a-f]{12}$")]
    sip_users: tuple[str, ...] = Field(default=(), repr=False)
    #: Theirs alone: the messages in them go.
    mailbox_ids: tuple[str, ...] = Field(default=(), repr=False)
    #: Names of audio in the object store that was spoken for their boxes and nobody else of the tenant has.
    objects: tuple[str, ...] = ()
    #: Of calls that the person had part in.
    recordings: Literal["delete", "keep"] = "delete"


class PersonErasureCarriedOut(EventData):
    """A service's answer to one round of an order: how much of what was erased or replaced."""

    TYPE: ClassVar[str] = "erasure.carried_out.v1"
    erasure_id: str
    round: int
    service: str
    counts: dict[str, int]


#: Subjects of every tenant's.
ORDERED = erasure_subject("*", PersonErasureOrdered.fact())
CARRIED_OUT = erasure_subject("*", PersonErasureCarriedOut.fact())


@dataclass(frozen=True)
class Order:
    """An order as a service takes it."""

    tenant: str
    event_id: UUID
    data: PersonErasureOrdered

    @cached_property
    def cleaner(self) -> "Cleaner":
        """For what the service keeps."""
        return Cleaner(self.data)


def read_order(subject: str, payload: bytes) -> Order:
    """Raises ValueError, which tells nothing of what is inside, for what is no order."""
    try:
        event = Event.from_json(payload)
        data = PersonErasureOrdered.model_validate(event.data)
    except ValidationError as error:
        raise ValueError(f"no order: {error.error_count()} faults") from None
    tenant = subject.split(".")[3]
    if event.tenantid != tenant:
        raise ValueError("the order is not the subject's tenant's")
    return Order(tenant, event.id, data)


def order_event(tenant: str, order: PersonErasureOrdered, at: datetime) -> tuple[UUID, str, bytes]:
    """Message id, subject and payload; each round of an order has one id."""
    event_id = uuid5(UUID(order.erasure_id), f"round {order.round}")
    return _event(tenant, order, order.erasure_id, event_id, "carillon/directory", at)


def answer_event(order: Order, service: str, counts: dict[str, int], at: datetime) -> tuple[UUID, str, bytes]:
    """Message id, subject and payload of a service's answer."""
    data = PersonErasureCarriedOut(erasure_id=order.data.erasure_id, round=order.data.round, service=service, counts=counts)
    event_id = uuid5(order.event_id, f"{service} {at.isoformat()}")
    return _event(order.tenant, data, data.erasure_id, event_id, f"carillon/{service}", at)


@dataclass(frozen=True, slots=True)
class ErasureOrders:
    """The orders as one service takes and answers them."""

    service: str

    def read(self, subject: str, payload: bytes) -> Order:
        """As `read_order`."""
        return read_order(subject, payload)

    def answer(self, order: Order, counts: dict[str, int], at: datetime) -> tuple[UUID, str, bytes]:
        """As `answer_event`."""
        return answer_event(order, self.service, counts, at)

    def words(self, order: Order) -> Sequence[str]:
        """What is to be found and replaced."""
        return order.cleaner.needles


def _event(tenant: str, data: EventData, about: str, event_id: UUID, source: str, at: datetime) -> tuple[UUID, str, bytes]:
    event = Event(
        id=event_id,
        source=source,
        type=f"carillon.{data.TYPE}",
        subject=f"erasure/{about}",
        time=at,
        data=data.model_dump(mode="json"),
        tenantid=tenant,
    )
    return event_id, erasure_subject(tenant, data.fact()), event.to_json()


class Cleaner:
    """Replaces what an order names. Cleaning what is clean changes nothing."""

    def __init__(self, order: PersonErasureOrdered) -> None:
        self._ids = order.ids
        self._users = order.user_ids
        self._texts = {name.casefold(): text for name, text in order.texts.items()}
        self._words = _pattern([*order.ids, *(f"user{mark}{name}" for name in order.user_ids for mark in "/:")], order.texts)
        #: One of these is in whatever has something to replace, in any case of its letters, also where that is JSON.
        self.needles: tuple[str, ...] = tuple({form for word in (*order.ids, *order.user_ids, *order.texts) for form in _written(word)})
        self._folded = tuple({needle.casefold() for needle in self.needles})

    def text(self, value: str, key: str = "") -> str:
        """A string, whose place in its document is called `key`."""
        if self._users and value in self._users and (key in _WHO or key.endswith(("user_id", "user_ids"))):
            return self._users[value]
        return value if self._words is None else self._words.sub(self._instead, value)

    def _instead(self, found: re.Match[str]) -> str:
        word = found[0]
        if word in self._ids:
            return self._ids[word]
        if word[:5] in ("user/", "user:") and word[5:] in self._users:
            return word[:5] + self._users[word[5:]]
        return self._texts.get(word.casefold(), ERASED)

    def value(self, value: Any, key: str = "") -> Any:
        """A JSON value, with everything that is inside."""
        if isinstance(value, str):
            return self.text(value, key)
        if isinstance(value, list | tuple):
            return [self.value(each, key) for each in value]
        if isinstance(value, Mapping):
            return {self.text(name): self.value(each, name) for name, each in value.items()}
        return value

    def json(self, raw: bytes, key: str = "") -> bytes:
        """A JSON document; what is none is treated as text. The very same bytes where nothing is to be replaced."""
        folded = raw.decode(errors="replace").casefold()
        if not any(needle in folded for needle in self._folded):
            return raw
        try:
            before = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return self.text(raw.decode(errors="replace"), key).encode()
        after = self.value(before, key)
        if after == before:
            return raw
        return orjson.dumps(after | {"erased": True} if _is_event(after) else after)


def _written(word: str) -> set[str]:
    """The word as it stands in texts and in JSON, where writers escape what they must or all that is not ASCII."""
    cases = {word, word.lower(), word.upper(), word.title()} if not word.isascii() else {word}
    return {word, orjson.dumps(word)[1:-1].decode(), *(json.dumps(each)[1:-1] for each in cases)}


def _is_event(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("data"), dict) and "specversion" in value


def _pattern(ids: Sequence[str], texts: Iterable[str]) -> re.Pattern[str] | None:
    """The longest first, so that an address goes before the id that it begins with, and a full name before the last name alone."""
    found = [(-len(word), f"{_ID_BEFORE}{re.escape(word)}{_ID_AFTER}") for word in ids if word]
    found += [(-len(word), f"(?i:{_WORD_BEFORE}{re.escape(word)}{_WORD_AFTER})") for word in texts if word]
    return re.compile("|".join(pattern for _, pattern in sorted(found, key=lambda each: each[0]))) if found else None
