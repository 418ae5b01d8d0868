"""Facts on a real Postgres: three finders count as one; what call events told is known, in whatever order they came."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from pydantic import JsonValue

from carillon_contracts.call import CallEnded, CallStarted, CallTransferred, LegAnswered, LegEnded, LegOffered
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import CALLS, LETTERS, call_subject
from carillon_kit.bus import Bus, Delivered
from carillon_kit.clock import SystemClock
from carillon_kit.dead_letters import DeadLetters
from carillon_kit.ids import SystemIds
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import eventually, nats_url, postgres_dsn  # noqa: F401
from carillon_routing.adapters import postgres_facts
from carillon_routing.adapters.call_facts import CallFactsWriter
from carillon_routing.adapters.floor_log import PostgresFloors
from carillon_routing.adapters.letters import Letters
from carillon_routing.adapters.postgres_facts import PostgresFacts
from carillon_routing.domain.asks import AnsweredToday, Ask, BusyUsers, CountTry, Draw, FreePlace, LastAgent, Mail, TakePlace
from carillon_routing.domain.branches import share_of
from carillon_routing.domain.facts import CallFacts
from carillon_routing.handlers.floors import Floors
from carillon_routing.subscribers import CONSUMER, CallSubscriber
from carillon_routing.testing import World

ZONE = ZoneInfo("Europe/Zurich")
CALLER = "+41791112233"


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Any]:  # noqa: F811
    pool = await open_pool(postgres_dsn)
    await migrate(pool, "carillon_routing.migrations")
    yield pool
    await pool.close()


@pytest.fixture
def finders(pool: Any, monkeypatch: pytest.MonkeyPatch) -> list[PostgresFacts]:
    """Three replicas; a slow machine may take its time."""
    monkeypatch.setattr(postgres_facts, "DATABASE_SECONDS", 30.0)
    found = [PostgresFacts(lambda tenant: ZONE) for _ in range(3)]
    for finder in found:
        finder.adopt(pool)
    return found


def call(call_id: str, tenant: str = "acme") -> CallFacts:
    return CallFacts(tenant, call_id, "inbound", "+41215550100", CALLER, trunk_id="carrier")


async def ask_all(finders: list[PostgresFacts], tenant: str, calls: int, ask: Ask) -> list[Any]:
    """As many calls at once, spread over the finders."""
    return await asyncio.gather(*(finders[n % len(finders)].find(call(f"c{n}", tenant), ask) for n in range(calls)))


def told(fact_of: EventData, call_id: str, leg: str | None = None, tenant: str = "acme", at: str = "") -> Delivered:
    time = datetime.fromisoformat(at).replace(tzinfo=ZONE) if at else datetime.now(UTC)
    kind = f"carillon.{fact_of.TYPE}"
    data = fact_of.model_dump(mode="json")
    event = Event(id=uuid4(), source="test", type=kind, subject=call_id, time=time, data=data, tenantid=tenant, callid=call_id, legid=leg)
    return Delivered(call_subject(tenant, call_id, fact_of.fact()), event.to_json(), 1, {}, str(event.id), 1, time)


STARTED = CallStarted(direction="inbound", caller=CALLER, dialled="+41215550100")
OVER = CallEnded(cause="normal_clearing", by="caller")


# -- draws: shares and round robin ------------------------------------------------------------------------------------


@pytest.mark.feature("R-26")
async def test_three_finders_draw_each_number_once_and_the_shares_are_exact(finders: list[PostgresFacts]) -> None:
    numbers = await ask_all(finders, "shares", 100, Draw("split plan/p node a", 1))
    assert sorted(numbers) == list(range(100))
    chosen = [share_of([70, 20, 10], number) for number in numbers]
    assert [chosen.count(share) for share in range(3)] == [70, 20, 10]


@pytest.mark.feature("R-7")
async def test_the_same_visit_of_a_call_draws_the_same_number_and_the_next_one_the_next(finders: list[PostgresFacts]) -> None:
    first = await asyncio.gather(*(finder.find(call("c1", "again"), Draw("ring_group/g", 1)) for finder in finders))
    assert first == [0, 0, 0]
    assert await finders[0].find(call("c1", "again"), Draw("ring_group/g", 4)) == 1
    assert await finders[1].find(call("c2", "again"), Draw("ring_group/g", 1)) == 2
    assert await finders[2].find(call("c2", "again"), Draw("ring_group/other", 1)) == 0
    assert await finders[2].find(call("c2", "elsewhere"), Draw("ring_group/g", 1)) == 0


# -- limits -----------------------------------------------------------------------------------------------------------


def taken(answers: list[Any]) -> list[str]:
    return [f"c{n}" for n, answer in enumerate(answers) if answer["taken"]]


@pytest.mark.feature("R-16")
async def test_three_finders_at_once_never_exceed_a_limit_and_a_call_that_ends_gives_its_place_back(
    pool: Any, finders: list[PostgresFacts]
) -> None:
    limit = TakePlace("support", max_calls=5)
    first = taken(await ask_all(finders, "limits", 30, limit))
    assert len(first) == 5
    assert taken(await ask_all(finders, "limits", 30, limit)) == first
    assert await finders[0].find(call("late", "limits"), limit) == {"taken": False, "calls": 5, "starts": 0}
    await CallFactsWriter(pool).handle([told(OVER, first[0], tenant="limits"), told(OVER, first[1], tenant="limits")])
    late = await asyncio.gather(*(finders[n % 3].find(call(f"late{n}", "limits"), limit) for n in range(12)))
    assert len(taken(late)) == 2


@pytest.mark.feature("R-16", "R-23")
async def test_what_one_tenant_takes_counts_for_no_other_though_calls_and_limits_are_called_the_same(
    pool: Any, finders: list[PostgresFacts]
) -> None:
    limit = TakePlace("limit tenant/t", max_calls=2)
    alike = uuid4().hex, uuid4().hex
    for tenant in alike:
        assert len(taken(await ask_all(finders, tenant, 4, limit))) == 2
    first = taken(await ask_all(finders, alike[0], 4, limit))
    await CallFactsWriter(pool).handle([told(OVER, call_id, tenant=alike[1]) for call_id in ("c0", "c1", "c2", "c3")])
    assert taken(await ask_all(finders, alike[0], 4, limit)) == first
    assert await finders[0].find(call("late", alike[0]), limit) == {"taken": False, "calls": 2, "starts": 0}


@pytest.mark.feature("R-16", "R-26")
@pytest.mark.parametrize("seed", range(6))
async def test_the_database_counts_as_its_twin_in_memory_does(pool: Any, finders: list[PostgresFacts], seed: int) -> None:
    """Any order of draws, places and ends, by three replicas, each answer perhaps lost and asked for again elsewhere."""
    chance, twin, tenant = random.Random(seed), World(), f"twin{seed}"
    there = [f"c{n}" for n in range(8)]
    for turn in range(80):
        place = chance.randrange(len(there))
        who = call(there[place], tenant)
        if chance.random() < 0.2:
            there[place] = f"later{turn}"
            await CallFactsWriter(pool).handle([told(OVER, who.call_id, tenant=tenant)])
            twin.over(who.call_id)
            continue
        ask: Ask = Draw("split", chance.randrange(3))
        if chance.random() < 0.7:
            # Also those of long ago, whose answers were lost.
            ask = chance.choice(
                (TakePlace("whole", 3), TakePlace("door", 3, visit=chance.randint(1, 3)), FreePlace("door", chance.randint(1, 3)))
            )
        for _ in range(chance.choice((1, 1, 2))):
            found: Any = await chance.choice(finders).find(who, ask)
        expected: Any = twin.find(who, ask)
        if isinstance(ask, TakePlace):
            found, expected = (found["taken"], found["calls"]), (expected["taken"], expected["calls"])
        assert found == expected


@pytest.mark.feature("R-16")
async def test_a_place_that_is_taken_after_the_calls_end_is_free_and_one_whose_end_is_never_told_expires(
    pool: Any, finders: list[PostgresFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = TakePlace("door", max_calls=1)
    await CallFactsWriter(pool).handle([told(OVER, "gone", tenant="races")])
    assert (await answer(finders[0], call("gone", "races"), limit))["taken"]
    monkeypatch.setattr(postgres_facts, "HOLD_SECONDS", 0)
    assert (await answer(finders[0], call("lost", "races"), limit))["taken"]
    monkeypatch.undo()
    assert (await answer(finders[1], call("next", "races"), limit))["taken"]
    assert not (await answer(finders[2], call("last", "races"), limit))["taken"]


async def answer(finder: PostgresFacts, facts: CallFacts, ask: Ask) -> dict[str, JsonValue]:
    found = await finder.find(facts, ask)
    assert isinstance(found, dict)
    return found


@pytest.mark.feature("R-16")
async def test_a_place_is_given_back_once_and_what_comes_late_takes_nothing(finders: list[PostgresFacts]) -> None:
    first, second = (TakePlace("door", max_calls=1, visit=visit) for visit in (1, 2))
    assert (await answer(finders[0], call("c1", "back"), first))["taken"]
    assert not (await answer(finders[0], call("c2", "back"), first))["taken"]
    assert await finders[1].find(call("c1", "back"), FreePlace("door", 1)) is True
    assert (await answer(finders[2], call("c1", "back"), first))["taken"], "what was said then"
    assert not (await answer(finders[2], call("c2", "back"), first))["taken"], "what was said then"
    assert (await answer(finders[0], call("c2", "back"), second))["taken"]
    assert await finders[1].find(call("c2", "back"), FreePlace("door", 1)) is True
    assert not (await answer(finders[0], call("c1", "back"), second))["taken"], "c2 has taken it again since"
    assert await finders[1].find(call("c3", "back"), FreePlace("door", 1)) is True
    assert await finders[1].find(call("c2", "back"), FreePlace("door", 2)) is True
    assert not (await answer(finders[0], call("c3", "back"), first))["taken"], "it was given back before it was asked for"
    assert (await answer(finders[0], call("c4", "back"), first))["taken"]


@pytest.mark.feature("R-16")
@pytest.mark.parametrize("order", list(permutations(range(2))), ids=str)
async def test_a_place_is_free_when_who_was_called_joins_the_caller_with_somebody_else_and_goes_along_when_the_caller_does(
    pool: Any, finders: list[PostgresFacts], order: tuple[int, int]
) -> None:
    writer, tenant, limit = CallFactsWriter(pool), uuid4().hex, TakePlace("door", max_calls=1, visit=1)
    assert (await answer(finders[0], call("c1", tenant), limit))["taken"]
    caller_leaves = [
        told(CallTransferred(other_call_id="c2", moved="b1", goes_on=False), "c1", "a", tenant),
        told(OVER, "c1", tenant=tenant),
    ]
    for place in order:
        await writer.handle([caller_leaves[place]])
    assert not (await answer(finders[1], call("c3", tenant), limit))["taken"]
    await writer.handle([caller_leaves[0], told(CallTransferred(other_call_id="c1", moved="b2", goes_on=True), "c2", "a", tenant)])
    assert not (await answer(finders[1], call("c4", tenant), limit))["taken"]
    await writer.handle([told(CallTransferred(other_call_id="c5", moved="b3", goes_on=True), "c2", "b2", tenant)])
    assert (await answer(finders[2], call("c6", tenant), limit))["taken"]
    await writer.handle([caller_leaves[0], told(OVER, "c2", tenant=tenant)])
    assert not (await answer(finders[2], call("c7", tenant), limit))["taken"]


_WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@pytest.mark.feature("R-16")
async def test_a_place_that_goes_along_to_a_call_that_ends_at_this_moment_is_free(pool: Any, finders: list[PostgresFacts]) -> None:
    writer, tenant, limit = CallFactsWriter(pool), uuid4().hex, TakePlace("door", max_calls=1, visit=1)
    assert (await answer(finders[0], call("c1", tenant), limit))["taken"]
    assert (await answer(finders[0], call("c2", tenant), TakePlace("other", visit=1)))["taken"]
    goes_along = told(CallTransferred(other_call_id="c2", moved="b1", goes_on=False), "c1", "a", tenant)
    async with pool.acquire() as ends:
        # Another replica is told of the end of c2: it has released what c2 held, and is about to be done.
        transaction = ends.transaction()
        await transaction.start()
        await ends.execute("update call_seen set ended_at = now() where tenant = $1 and call_id = 'c2'", tenant)
        writing = asyncio.create_task(writer.handle([goes_along]))

        async def waits_or_is_done() -> bool:
            return writing.done() or bool(await pool.fetchval(_WAITING))

        await eventually(waits_or_is_done)
        await transaction.commit()
    await writing
    assert (await answer(finders[1], call("c3", tenant), limit))["taken"]


@pytest.mark.feature("R-16")
async def test_starts_count_for_so_many_seconds_also_when_the_call_is_over(pool: Any, finders: list[PostgresFacts]) -> None:
    limit = TakePlace("contest", max_starts=4, per_seconds=60)
    first = taken(await ask_all(finders, "rate", 20, limit))
    assert len(first) == 4
    await CallFactsWriter(pool).handle([told(OVER, each, tenant="rate") for each in first])
    assert await finders[0].find(call("late", "rate"), limit) == {"taken": False, "calls": 0, "starts": 4}
    await pool.execute("update place set taken_at = taken_at - interval '61 s' where tenant = 'rate' and call_id = $1", first[0])
    assert await finders[1].find(call("late", "rate"), limit) == {"taken": True, "calls": 0, "starts": 3}


# -- what call events told --------------------------------------------------------------------------------------------


@pytest.mark.feature("R-7")
async def test_calls_answered_count_on_the_tenants_day(pool: Any, finders: list[PostgresFacts]) -> None:
    writer = CallFactsWriter(pool)
    moments = {"c1": "2026-01-05 23:59", "c2": "2026-01-06 00:01", "c3": "2026-01-06 23:59", "c4": "2026-01-07 00:00"}
    for call_id, at in moments.items():
        await writer.handle([told(LegOffered(party="anna"), call_id, "b1", "day", at), told(LegAnswered(), call_id, "b1", "day", at)])
    await writer.handle([told(LegOffered(party="ben"), "c5", "b1", "day", "2026-01-06 10:00")])
    found = await finders[0].find(call("c9", "day"), AnsweredToday(("anna", "ben"), "2026-01-06"))
    assert found == {"anna": 2}


@pytest.mark.feature("R-9")
async def test_who_talks_or_is_rung_is_busy_until_the_leg_is_over_in_any_order_of_events(pool: Any, finders: list[PostgresFacts]) -> None:
    writer, ask = CallFactsWriter(pool), BusyUsers(("anna", "ben"), 2)
    events = (LegOffered(party="anna"), LegAnswered(), LegEnded(cause="normal_clearing", by="callee"))
    for number, order in enumerate(permutations(events)):
        tenant = f"busy{number}"
        await writer.handle([told(LegOffered(party="ben"), "c1", "b2", tenant), told(LegOffered(party="anna"), "c2", "b1", tenant)])
        assert await finders[0].find(call("c9", tenant), ask) == ["anna", "ben"]
        assert await finders[0].find(call("c1", tenant), ask) == ["anna"]
        for event in order:
            await writer.handle([told(event, "c2", "b1", tenant)])
        assert await finders[1].find(call("c9", tenant), ask) == ["ben"]
        await writer.handle([told(OVER, "c1", tenant=tenant)])
        assert await finders[2].find(call("c9", tenant), ask) == []


@pytest.mark.feature("R-9")
async def test_who_calls_is_busy_too(pool: Any, finders: list[PostgresFacts]) -> None:
    started = CallStarted(direction="from_user", caller="101", caller_user_id="anna", dialled="102")
    await CallFactsWriter(pool).handle([told(started, "c1", tenant="calls")])
    assert await finders[0].find(call("c1", "calls"), BusyUsers(("anna",), 1)) == ["anna"]


@pytest.mark.feature("R-15")
async def test_the_last_agent_is_who_answered_last_or_called_and_was_answered(pool: Any, finders: list[PostgresFacts]) -> None:
    writer, ask = CallFactsWriter(pool), LastAgent(CALLER, 30)
    await writer.handle([told(STARTED, "c1"), told(LegOffered(party="ben"), "c1", "b1")])
    assert await finders[0].find(call("c9"), ask) == ""
    await writer.handle([told(LegAnswered(), "c1", "b1")])
    assert await finders[0].find(call("c9"), ask) == "ben"
    started = CallStarted(direction="from_user", caller="101", caller_user_id="anna", dialled="0791112233")
    offered = told(LegOffered(party="trunk:carrier", number=CALLER), "c2", "b1")
    await writer.handle([told(LegAnswered(), "c2", "b1"), offered, told(started, "c2")])
    assert await finders[0].find(call("c9"), ask) == "anna"
    assert await finders[0].find(call("c9", "other"), ask) == ""


async def test_what_is_no_event_of_a_call_is_refused(pool: Any) -> None:
    bad = told(OVER, "c1")
    with pytest.raises(ValueError, match="is no event"):
        await CallFactsWriter(pool).handle([Delivered(bad.subject, b"{}", 1, {}, "m", 1, bad.stored_at)])


@pytest.mark.feature("R-16")
async def test_events_from_the_stream_give_places_back(pool: Any, finders: list[PostgresFacts], nats_url: str) -> None:  # noqa: F811
    limit = TakePlace("support", max_calls=1)
    assert (await answer(finders[0], call("c1", "stream"), limit))["taken"]
    async with await Bus.connect(nats_url, "media") as bus:
        await bus.ensure_stream(CALLS)
        floors = Floors(PostgresFloors(pool, SystemIds()), lambda tenant: None, SystemClock(), "r")
        consumer = await bus.consume(CONSUMER, CallSubscriber(floors, CallFactsWriter(pool)).handle, DeadLetters(pool))
        ended = told(OVER, "c1", tenant="stream")
        await bus.publish(CALLS.name, ended.subject, ended.data, ended.message_id)

        async def free() -> bool:
            return bool((await answer(finders[1], call("c2", "stream"), limit))["taken"])

        await eventually(free)
        await consumer.stop()


# -- e-mail, and what cannot be had -----------------------------------------------------------------------------------


@pytest.mark.feature("R-2")
async def test_an_email_of_a_visit_goes_out_once(nats_url: str) -> None:  # noqa: F811
    mail = Mail(("a@acme.example",), "Missed", "by +41", 3)
    async with await Bus.connect(nats_url, "routing") as bus:
        await bus.ensure_stream(LETTERS)
        letters = Letters(bus, SystemClock())
        assert [await letters.take(call("c1"), mail) for _ in range(3)] == [True, True, True]
        assert await letters.take(call("c2"), mail) is True
        follower = bus.follow(LETTERS.name, "carillon._operator.letter.acme.requested")
        letters_sent = aiter(follower)
        found = [Event.from_json((await anext(letters_sent)).data) for _ in range(2)]
        await follower.close()
    assert [event.callid for event in found] == ["c1", "c2"]
    letter = LetterRequested.model_validate(found[0].data)
    assert (letter.to, letter.subject, letter.text) == (mail.recipients, mail.subject, mail.text)


async def test_without_a_database_or_after_its_end_nothing_is_known(postgres_dsn: str) -> None:  # noqa: F811
    finder = PostgresFacts(lambda tenant: ZONE)
    assert await finder.find(call("c1"), Draw("x", 1)) is None
    pool = await open_pool(postgres_dsn)
    await migrate(pool, "carillon_routing.migrations")
    finder.adopt(pool)
    await pool.close()
    assert await finder.find(call("c1"), Draw("x", 1)) is None


# -- codes ------------------------------------------------------------------------------------------------------------


def count_try(right: bool, turn: int = 0) -> CountTry:
    return CountTry("anna", "pin", right, 5, f"+41791234567 {turn}")


@pytest.mark.feature("D-14")
async def test_wrong_codes_are_counted_over_all_calls_and_replicas_and_an_admin_forgets_them(finders: list[PostgresFacts]) -> None:
    tenant = uuid4().hex
    tries = await ask_all(finders, tenant, 7, count_try(right=False))
    assert sorted(each["wrong"] for each in tries) == [1, 2, 3, 4, 5, 6, 7]
    assert not any(each["accepted"] for each in tries)
    assert await finders[0].find(call("right", tenant), count_try(right=True)) == {"accepted": False, "wrong": 7}
    await finders[1].unlock(tenant, "anna")
    assert await finders[2].find(call("later", tenant), count_try(right=True)) == {"accepted": True, "wrong": 0}


@pytest.mark.feature("D-14")
async def test_a_try_that_is_told_twice_counts_once_and_nothing_wrong_is_accepted_for_it(finders: list[PostgresFacts]) -> None:
    tenant = uuid4().hex
    for _ in range(3):
        assert await finders[0].find(call("c", tenant), count_try(right=False)) == {"accepted": False, "wrong": 1}
    assert await finders[0].find(call("c", tenant), count_try(right=True, turn=1)) == {"accepted": True, "wrong": 0}
    assert await finders[0].find(call("c", tenant), count_try(right=False, turn=1)) == {"accepted": False, "wrong": 0}
    assert await finders[0].find(call("c", uuid4().hex), count_try(right=False)) == {"accepted": False, "wrong": 1}
