"""The configuration as routing, media and voicemail fold it from what the directory publishes.

Whoever was away, begins anew, reads twice, or reads a log that was rewritten because somebody was erased, ends with the same configuration
as who heard every event when it came.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carillon_contracts.config import ConfigChanged
from carillon_contracts.tenant_config import TenantConfig, evolve, pass_over
from carillon_directory.adapters.publication import LEAST_TOGETHER, _outgoing
from carillon_directory.domain.commands import ErasePerson
from carillon_directory.domain.conclude import State
from carillon_directory.domain.erasing.decide import Erasing, Rewriting, erase, told
from carillon_directory.domain.index import Index
from carillon_kit.bus import MemoryBus, Message
from carillon_kit.bus.api import Outgoing
from carillon_kit.clock import ManualClock
from carillon_kit.event_store import RawEvent
from carillon_media.domain.accounts import Accounts
from carillon_media.projections.configuration import Configuration as OfMedia
from carillon_routing.projections.configuration import Configuration as OfRouting
from carillon_voicemail.projections.configuration import Configuration as OfVoicemail

TENANT = "acme"
PSEUDONYM = "erased-abcdef012345"
BEGIN = datetime(2031, 1, 6, 9, tzinfo=UTC)
USERS = ("ann", "bob", "zoe.quill")
#: Kind, ids, documents; one that this version of the software cannot read among them, and a kind that it does not know.
KINDS: dict[str, tuple[tuple[str, ...], tuple[dict[str, Any], ...]]] = {
    "user": (
        USERS,
        (
            {"last_name": "Archer"},
            {"last_name": "Quill", "email": "zoe.quill@acme.example", "mobile": "+41791234567"},
            {"last_name": "Baker", "forwarding": {"busy": {"user_id": "bob"}}},
            {"last_name": 7},
        ),
    ),
    "extension": (("101", "102"), tuple({"destination": {"user_id": user}} for user in USERS)),
    "number": (("+41215550101", "+41215550102"), ({"label": "desk of Zoe Quill"}, {"destination": {"user_id": "ann"}})),
    "sip_credential": (("acme-1", "acme-2"), tuple({"user_id": user, "realm": "acme.example", "ha1_md5": "a" * 32} for user in USERS)),
    "contact": (("c1", "c2"), ({"last_name": "Quill", "phone": "+41223334455"}, {"last_name": "X", "owner_user_id": "zoe.quill"})),
    "mailbox": (("m1",), ({"emails": ["zoe.quill@acme.example"]}, {})),
    "trunk": (("t1",), ({"address": "192.0.2.1"}, {"address": "192.0.2.2"})),
    "hologram": (("h1",), ({"colour": "red"},)),
}


@dataclass
class Log:
    """A tenant's changes, what they make, and the stream that they are published in."""

    config: TenantConfig = field(default_factory=lambda: TenantConfig(TENANT))
    changes: list[ConfigChanged] = field(default_factory=list)
    stream: list[Outgoing] = field(default_factory=list)

    def add(self, *changes: ConfigChanged) -> None:
        """Made and published together."""
        before = len(self.changes)
        for change in changes:
            seq = self.config.seq + 1
            try:
                self.config = evolve(self.config, seq, change)
            except ValueError:
                self.config = pass_over(self.config, seq)
            self.changes.append(change)
        self.stream += published(self.changes[before:], before + 1, "")

    def put(self, kind: str, resource_id: str, document: dict[str, Any] | None) -> None:
        self.add(self.change(kind, resource_id, document))

    def change(self, kind: str, resource_id: str, document: dict[str, Any] | None) -> ConfigChanged:
        known = next((each.after for each in reversed(self.changes) if (each.resource, each.resource_id) == (kind, resource_id)), None)
        action = "deleted" if document is None else "updated" if known else "created"
        after = None if document is None else {"id": resource_id, **document}
        return ConfigChanged(resource=kind, resource_id=resource_id, action=action, before=known, after=after, actor="x")

    def erase(self, user_id: str) -> bool:
        """The person's changes, and behind them the whole log once more as it reads from then on."""
        command = ErasePerson(actor="x", user_id=user_id, pseudonym=PSEUDONYM, erasure_id="e1")
        done = erase(State(self.config, Index.of(self.config)), list(enumerate(self.changes, start=1)), command)
        if not isinstance(done, Erasing):
            return False
        self.add(*done.changes)
        rewriting = Rewriting(done.order, done.own)
        self.changes = [rewriting.change(change) for change in self.changes]
        self.add(told(done.order, "x", ""))
        self.stream += published(self.changes, 1, ".copy")
        return True


def published(changes: Sequence[ConfigChanged], first: int, copy: str) -> list[Outgoing]:
    """As the directory publishes what lies in its log, many in one event where there are many of a kind."""
    log = [
        RawEvent(
            position=version,
            stream=f"tenant-{TENANT}",
            version=version,
            event_id=UUID(int=version),
            type=f"{change.resource}_{change.action}",
            raw=orjson.dumps(change.model_dump(mode="json")).decode(),
            at=BEGIN + timedelta(seconds=version),
        )
        for version, change in enumerate(changes, start=first)
    ]
    return _outgoing(log, copy)


class Services:
    """Each service's projection."""

    def __init__(self) -> None:
        bus = MemoryBus()
        self.accounts = Accounts()
        self.routing = OfRouting(ManualClock(BEGIN))
        self.media = OfMedia(bus, self.accounts)
        self.voicemail = OfVoicemail(bus)

    def hear(self, items: Sequence[Outgoing]) -> "Services":
        takers: tuple[Callable[[Message], None], ...] = (self.routing.apply, self.media.fold, self.voicemail.apply)
        for number, item in enumerate(items, start=1):
            for take in takers:
                take(Message(item.subject, item.payload, number))
        return self

    def configs(self) -> list[Any]:
        return [self.routing.current(TENANT), self.accounts.config(TENANT), self.voicemail.of(TENANT)]

    def known(self) -> dict[str, Any]:
        """What media has worked out of the configuration, piece by piece as it changed."""
        found = {name: value for name, value in vars(self.accounts).items() if name != "_tenants"}
        tenants = vars(self.accounts)["_tenants"]
        pieces = {
            name: {each: getattr(one, each) for each in one.__dataclass_fields__ if each != "config"} for name, one in tenants.items()
        }
        return {**found, "tenants": pieces}


steps = st.lists(
    st.sampled_from([(kind, name, each) for kind, (names, documents) in KINDS.items() for name in names for each in (*documents, None)]),
    max_size=25,
)


def logged(before: list[tuple[str, str, Any]], bulk: int) -> Log:
    log = Log()
    log.put("tenant", TENANT, {"realm": "acme.example", "country": "CH"})
    for kind, name, document in before:
        log.put(kind, name, document)
    log.add(*(log.change("contact", f"bulk-{number}", {"last_name": f"B{number}"}) for number in range(bulk)))
    return log


relaxed = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.feature("D-22")
@relaxed
@given(steps, st.sampled_from([0, LEAST_TOGETHER, 3 * LEAST_TOGETHER]), steps, st.data())
def test_who_was_away_or_begins_anew_or_hears_twice_ends_where_the_others_are(
    before: list[Any], bulk: int, later: list[Any], data: st.DataObject
) -> None:
    log = logged(before, bulk)
    for kind, name, document in later:
        log.put(kind, name, document)
    live = Services().hear(log.stream)
    assert live.configs() == [log.config] * 3
    heard = data.draw(st.integers(0, len(log.stream)), "heard before it went away")
    again = data.draw(st.integers(0, heard), "where it takes up the stream")
    away = Services().hear(log.stream[:heard]).hear(log.stream[again:])
    anew = Services().hear(log.stream).hear(log.stream)
    one_by_one = Services().hear([item for number, change in enumerate(log.changes, 1) for item in published([change], number, "")])
    for other in (away, anew, one_by_one):
        assert other.configs() == live.configs()
        assert other.known() == live.known()


@pytest.mark.feature("P-8", "D-22")
@relaxed
@given(steps, st.sampled_from([0, LEAST_TOGETHER]), st.sampled_from(USERS), steps, st.data())
def test_a_log_that_was_rewritten_makes_the_same_configuration(
    before: list[Any], bulk: int, user_id: str, later: list[Any], data: st.DataObject
) -> None:
    log = logged(before, bulk)
    log.put("user", user_id, {"last_name": "Quillfeather"})
    erased = log.erase(user_id)
    for kind, name, document in later:
        log.put(kind, name, document)
    live = Services().hear(log.stream)
    assert live.configs() == [log.config] * 3
    if erased:
        begin = next(number for number, item in enumerate(log.stream) if item.message_id.endswith(".copy"))
        gone = data.draw(st.integers(0, begin), "of the old copy is destroyed, the newest first")
        left = log.stream[: begin - gone] + log.stream[begin:]
        rebuilt = Services().hear(left)
        assert rebuilt.configs() == live.configs()
        assert rebuilt.known() == live.known()
        assert b"uillfeather" not in b"".join(item.payload for item in log.stream[begin:])
