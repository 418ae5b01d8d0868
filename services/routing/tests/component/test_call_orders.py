"""Calls that routing owes, on a real Postgres: kept once, begun once by whichever replica looks, gone on with after a killed one."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from carillon_contracts.call import CallEnded, CallStarted, LegAnswered, LegOffered
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.streams import call_subject
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import Delivered
from carillon_kit.clock import ManualClock
from carillon_kit.event_store import Cursor, PostgresEventStore
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import postgres_dsn  # noqa: F401
from carillon_routing.adapters import postgres_facts
from carillon_routing.adapters.call_facts import CallFactsWriter
from carillon_routing.adapters.call_orders import PostgresOrders
from carillon_routing.adapters.postgres_facts import PostgresFacts
from carillon_routing.adapters.queue_events import outgoing
from carillon_routing.domain import call_orders as domain
from carillon_routing.domain.asks import AcknowledgeNotice, CallsOnTrunks, CancelCallBacks, NoticeWords, OrderCallBack, TakePlace
from carillon_routing.domain.authorise import authorise
from carillon_routing.domain.call_orders import MAX_PER_USER, MAX_TRIES
from carillon_routing.domain.emergency_notices import ARGUMENT
from carillon_routing.domain.facts import CallFacts
from carillon_routing.handlers import call_orders
from carillon_routing.handlers.call_orders import CallOrders
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("R-18")
NUMBER = "+41791112233"
CALL = CallFacts("acme", "c1", "from_user", NUMBER, "101", caller_user_id="anna")
CONFIG = small_company(trunks=[{"id": "carrier", "address": "192.0.2.1", "max_calls": 1}])


class Media:
    """Answers as told; `trunks`: calls and whether calls can go out."""

    def __init__(self) -> None:
        self.begins = True
        self.trunks: dict[str, tuple[int, bool]] = {"carrier": (1, False)}
        self.asked: list[tuple[str, str, str]] = []
        self.bad: set[str] = set()

    async def __call__(self, tenant: str, user_id: str, number: str, ring_seconds: int, call_id: str) -> bool:
        if user_id in self.bad:
            raise RuntimeError(user_id)
        self.asked.append((user_id, number, call_id))
        return self.begins

    async def tell(self, tenant: str, phone: str, arguments: Mapping[str, str], ring_seconds: int, call_id: str) -> bool:
        self.asked.append((phone, arguments[ARGUMENT], call_id))
        return self.begins

    async def lines(self, tenant: str) -> Mapping[str, tuple[int, bool]] | None:
        return self.trunks


@pytest.fixture
async def pool(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:  # noqa: F811
    monkeypatch.setattr(call_orders, "DATABASE_SECONDS", 30.0)
    pool = await open_pool(postgres_dsn)
    await migrate(pool, "carillon_routing.migrations")
    await pool.execute("truncate call_order, call_seen, call_leg, place, event")
    yield pool
    await pool.close()


class Replica:
    """One process of routing; a new one knows only what is in the database."""

    def __init__(self, pool: Any, clock: ManualClock, media: Media, config: TenantConfig = CONFIG) -> None:
        self.orders = PostgresOrders(clock, patience=30)
        self.orders.adopt(pool)
        self.handler = CallOrders(self.orders, {"acme": config}.get, clock, media, media.lines)

    async def order(self, user: str = "anna", call_id: str = "c1", colleague: str = "") -> Any:
        call = CallFacts("acme", call_id, "from_user", NUMBER, "101", caller_user_id=user)
        return await self.handler.find(call, OrderCallBack(user, NUMBER, colleague, "colleague" if colleague else "limit"))


async def happens(pool: Any, call_id: str, *facts: tuple[EventData, str | None]) -> None:
    """Media tells of a call."""
    messages = []
    for seq, (fact, leg) in enumerate(facts, 1):
        event = Event(
            id=uuid4(),
            source="media",
            type=f"carillon.{fact.TYPE}",
            subject=call_id,
            time=datetime.now(UTC),
            data=fact.model_dump(mode="json"),
            tenantid="acme",
            callid=call_id,
            legid=leg,
            seq=seq,
        )
        messages.append(Delivered(call_subject("acme", call_id, fact.fact()), event.to_json(), seq, {}, str(event.id), 1, event.time))
    await CallFactsWriter(pool).handle(messages)


STARTED = (CallStarted(direction="from_user", caller="101", caller_user_id="anna", dialled=NUMBER), "a")
ENDED = (CallEnded(cause="normal_clearing", by="caller", duration_seconds=1, talk_seconds=0), None)


async def told(pool: Any) -> list[Event]:
    """What is published of them, in order."""
    stored = await PostgresEventStore(pool).read_raw(Cursor(), 1000)
    found = [(message.subject, Event.from_json(message.payload)) for event in stored for message in outgoing(event)]
    assert all(subject == f"carillon.acme.{event.type.split('.')[1]}.{_id(event)}.{event.type.split('.')[2]}" for subject, event in found)
    assert [event.seq for _, event in found] == list(range(1, len(found) + 1))
    return [event for _, event in found]


def _id(event: Event) -> str:
    return str(event.data.get("call_back_id") or event.data["notice_id"])


@pytest.mark.feature("D-17")
async def test_a_call_back_waits_while_the_trunk_has_as_many_calls_out_as_it_may(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_facts, "DATABASE_SECONDS", 30.0)
    clock, media, facts = ManualClock(), Media(), PostgresFacts(lambda tenant: ZoneInfo("Europe/Zurich"))
    facts.adopt(pool)
    media.trunks = {"carrier": (0, True)}
    replica = Replica(pool, clock, media, small_company(trunks=[{"id": "carrier", "address": "192.0.2.1", "max_calls_out": 1}]))
    busy = CallFacts("acme", uuid4().hex, "from_user", NUMBER)
    taken = await facts.find(busy, TakePlace("limit trunk/carrier out", 1))
    assert isinstance(taken, dict)
    assert taken["taken"]
    assert await replica.order() is True
    await replica.handler.tick()
    assert not media.asked
    await happens(pool, busy.call_id, ENDED)
    await replica.handler.tick()
    assert [user for user, _, _ in media.asked] == ["anna"]


async def test_a_call_back_is_begun_when_a_line_is_free_whoever_of_the_replicas_lives(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    first = Replica(pool, clock, media)
    assert await first.order() is True
    assert await first.order() is True, "told again"
    await first.handler.tick()
    assert not media.asked
    media.trunks = {"carrier": (0, True)}
    # The first replica is gone; two others look, and one of them begins it.
    second, third = Replica(pool, clock, media), Replica(pool, clock, media)
    await second.handler.tick()
    await third.handler.tick()
    ((user, number, via),) = media.asked
    assert (user, number) == ("anna", NUMBER)
    await happens(
        pool, via, STARTED, (LegOffered(party="trunk:carrier", number=NUMBER, contact=""), "b1"), (LegAnswered(codec="PCMA"), "b1")
    )
    await third.handler.tick()
    assert await third.orders.open("acme") == []
    events = await told(pool)
    assert [event.type.removeprefix("carillon.call_back.") for event in events] == ["requested.v1", "started.v1", "ended.v1"]
    assert (events[0].data["blocked"], events[1].data["via_call_id"], events[2].data["result"]) == ("limit", via, "reached")
    assert {event.callid for event in events} == {"c1"}


async def test_a_call_that_was_never_begun_or_reached_nobody_is_tried_again_until_it_is_enough(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    media.trunks, media.begins = {"carrier": (0, True)}, False
    replica = Replica(pool, clock, media)
    assert await replica.order() is True
    for _ in range(4):
        await replica.handler.tick()
        await replica.handler.tick()
        clock.advance(61)
    assert len(media.asked) == 4, "media away: no try is counted"
    media.begins = True
    for _ in range(3):
        await replica.handler.tick()
        await happens(pool, media.asked[-1][2], STARTED, ENDED)
        await replica.handler.tick()
        clock.advance(61)
    assert len(media.asked) == 7
    assert await replica.orders.open("acme") == []
    assert (await told(pool))[-1].data["result"] == "not_reached"


async def test_a_killed_replica_leaves_one_that_is_begun_again(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    media.trunks = {"carrier": (0, True)}
    killed = Replica(pool, clock, media)
    assert await killed.order() is True
    (order,) = await killed.orders.open("acme")
    assert await killed.orders.start(order, "never-made")
    other = Replica(pool, clock, media)
    await other.handler.tick()
    assert not media.asked
    clock.advance(61)
    await other.handler.tick()
    clock.advance(61)
    await other.handler.tick()
    assert len(media.asked) == 1


async def test_what_media_has_begun_is_not_begun_again_while_its_events_are_late(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    media.trunks = {"carrier": (0, True)}
    replica = Replica(pool, clock, media)
    assert await replica.order() is True
    await replica.handler.tick()
    ((_, _, via),) = media.asked
    for _ in range(3):
        clock.advance(61)
        await Replica(pool, clock, media).handler.tick()
    assert len(media.asked) == 1, "one call at a time"
    await happens(pool, via, STARTED, ENDED)
    await replica.handler.tick()
    media.begins = False
    clock.advance(61)
    await replica.handler.tick()
    assert len(media.asked) == 2
    clock.advance(61)
    await replica.handler.tick()
    assert len(media.asked) == 3, "what media said of the first call is not said of the next"


async def test_a_place_under_a_limit_is_no_sign_of_a_call(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    replica = Replica(pool, clock, media)
    assert await replica.order() is True
    (order,) = await replica.orders.open("acme")
    assert await replica.orders.start(order, "never-made")
    await pool.fetch("select * from take_place('acme', 'limit', 'never-made', 1, 0, 0, 60)")
    (order,) = await replica.orders.open("acme")
    assert not order.via_seen
    clock.advance(61)
    await replica.handler.tick()
    assert [order.via for order in await replica.orders.open("acme")] == [""]


async def test_a_line_that_was_free_before_anybody_asked_says_nothing(pool: Any) -> None:
    replica, asked = Replica(pool, ManualClock(), Media()), datetime(2026, 1, 6, 10, tzinfo=UTC)
    for call_id, minutes in ("before", -1), ("first", 1), ("last", 2):
        await pool.execute(
            "insert into call_leg (tenant, call_id, leg_id, party, seen_at, answered_at, ended_at)"
            " values ('acme', $1, 'b1', 'trunk:carrier', $2, $2, $3)",
            *(call_id, asked - timedelta(hours=1), asked + timedelta(minutes=minutes)),
        )
    assert await replica.orders.freed("acme", ["carrier", "other"], asked) == {"carrier": asked + timedelta(minutes=2)}
    assert await replica.orders.freed("acme", ["carrier"], asked + timedelta(minutes=2)) == {}


async def test_what_lines_may_carry_a_call_is_found_out_once_a_look(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = list[str]()

    def counted(config: Any, user: Any, *rest: Any) -> Any:
        looked.append(user.id)
        return authorise(config, user, *rest)

    monkeypatch.setattr(domain, "authorise", counted)
    replica = Replica(pool, ManualClock(), Media())
    for user in ("anna", "ben", "carl"):
        assert await replica.order(user) is True
    await replica.handler.tick()
    assert sorted(looked) == ["anna", "ben", "carl"]


async def test_an_order_that_cannot_be_begun_stops_no_other(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    media.trunks, media.bad = {"carrier": (0, True)}, {"anna"}
    replica = Replica(pool, clock, media)
    assert await replica.order("anna", colleague="carl") is True
    clock.advance(1)
    assert await replica.order("ben") is True
    await replica.handler.tick()
    assert [asked[:2] for asked in media.asked] == [("ben", NUMBER)]


@pytest.mark.feature("D-16")
async def test_phones_are_told_of_a_call_for_help_before_anybody_is_called_back(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    media.trunks = {"carrier": (0, True)}
    replica = Replica(pool, clock, media)
    assert await replica.order() is True
    clock.advance(1)
    assert await replica.orders.add("acme", "emergency_notice", "+41795550911", "117", "c1", words="Hil\0fe", language="de")
    clock.advance(1)
    assert await replica.orders.add("acme", "emergency_notice", "+41795550911", "144", "c1", words="Sanität", language="de")
    assert [order.number for order in await replica.orders.open()] == ["117", "144", NUMBER]
    await replica.handler.tick()
    assert [asked[0] for asked in media.asked] == ["+41795550911", "+41795550911", "anna"], "for each number it is called once"
    assert await replica.handler.find(CALL, NoticeWords(media.asked[0][1], 0)) == {"text": "Hilfe", "language": "de"}


async def test_a_colleague_is_waited_for_until_the_talk_is_over(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    replica = Replica(pool, clock, media)
    talk = (LegOffered(party="ben", number="102", contact=""), "b1"), (LegAnswered(codec="PCMA"), "b1")
    await happens(pool, "talk", STARTED, *talk)
    assert await replica.order("carl", colleague="ben") is True
    await replica.handler.tick()
    assert not media.asked
    await happens(pool, "talk", STARTED, *talk, ENDED)
    await replica.handler.tick()
    assert [asked[:2] for asked in media.asked] == [("carl", NUMBER)]


async def test_they_are_counted_cancelled_and_refused(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    replica = Replica(pool, clock, media)
    for n in range(MAX_PER_USER):
        assert await replica.handler.find(CALL, OrderCallBack("anna", f"+4179111{n:04}", "", "limit")) is True
    assert await replica.handler.find(CALL, OrderCallBack("anna", "+41791110999", "", "limit")) is False
    assert await replica.order("ben") is True
    assert await replica.handler.find(CALL, CancelCallBacks("anna")) == MAX_PER_USER
    assert [order.who for order in await replica.orders.open("acme")] == ["ben"]
    assert await replica.handler.find(CALL, CallsOnTrunks(("carrier", "other"), 1)) == {"carrier": 1}
    dark = CallOrders(PostgresOrders(clock), {"acme": CONFIG}.get, clock, media, media.lines)
    assert await dark.find(CALL, CallsOnTrunks(("carrier",), 1)) is None


@pytest.mark.feature("D-16")
async def test_phones_are_told_of_a_call_for_help_all_at_once_until_each_has_understood(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    replica = Replica(pool, clock, media)
    for _ in range(2):
        for phone in ("+41795550911", "+41795550912"):
            assert await replica.orders.add("acme", "emergency_notice", phone, "117", "c1", words="Hilfe", language="de")
    await replica.handler.tick()
    assert [phone for phone, _, _ in media.asked] == ["+41795550911", "+41795550912"]
    first = media.asked[0][1]
    assert await replica.handler.find(CALL, NoticeWords(first, 0)) == {"text": "Hilfe", "language": "de"}
    assert await replica.handler.find(CALL, AcknowledgeNotice(first, 0)) is True
    assert await replica.handler.find(CALL, AcknowledgeNotice(first, 0)) is True, "told again"
    assert await replica.handler.find(CALL, NoticeWords(first, 0)) is None
    stranger = CallFacts("other", "c9", "from_user", "emergency-notice")
    assert await replica.handler.find(stranger, NoticeWords(media.asked[1][1], 0)) is None
    assert await replica.handler.find(CALL, NoticeWords("no order's id", 0)) is None
    assert await replica.handler.find(CALL, AcknowledgeNotice("no order's id", 0)) is False
    for _ in range(MAX_TRIES["emergency_notice"]):
        await happens(pool, media.asked[-1][2], STARTED, ENDED)
        await replica.handler.tick()
        clock.advance(16)
        await replica.handler.tick()
    assert [phone for phone, _, _ in media.asked[1:]] == ["+41795550912"] * MAX_TRIES["emergency_notice"]
    ended = [(event.data["phone"], event.data["result"]) for event in await told(pool) if event.type.endswith("ended.v1")]
    assert ended == [("+41795550911", "acknowledged"), ("+41795550912", "not_acknowledged")]
