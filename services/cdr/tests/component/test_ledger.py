"""Batches of call events into Postgres: once each, one record per complete call."""

import asyncio
import random
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import asyncpg
import pytest

from carillon_cdr import handlers
from carillon_cdr.adapters.postgres_ledger import PostgresLedger
from carillon_cdr.adapters.postgres_records import PostgresRecords
from carillon_cdr.domain.ledger import CallKey, Entry, read_entry
from carillon_cdr.domain.publication import record_id
from carillon_cdr.domain.record import fold
from carillon_cdr.handlers import confirm
from carillon_cdr.ports import LedgerUnavailable, RecordFilter
from carillon_cdr.subscribers import DURABLE, CallSubscriber
from carillon_cdr.testing import UNKNOWN, Script, subject_of
from carillon_contracts.call import ConferenceJoined
from carillon_contracts.record import CallRecorded
from carillon_kit import postgres
from carillon_kit.bus import Delivered, Retry
from carillon_kit.dead_letters import DeadLetters
from carillon_kit.postgres import find_migrations, migrate, open_pool
from carillon_kit.testing import fresh_database

Pool = asyncpg.Pool
CDR = "carillon_cdr.migrations"
take = partial(handlers.take, configurations=UNKNOWN)


def entries(*scripts: Script) -> list[Entry]:
    return [read_entry(subject, body) for script in scripts for subject, body in script.messages()]


def delivered(messages: Iterable[tuple[str, bytes]]) -> list[Delivered]:
    now = datetime.now(UTC)
    return [Delivered(subject, body, number, {}, str(number), 1, now) for number, (subject, body) in enumerate(messages, 1)]


async def records(pool: "Pool[Any]") -> list[CallRecorded]:
    rows = await pool.fetch("select data::text from call_record order by tenant, call_id")
    return [CallRecorded.model_validate_json(row["data"]) for row in rows]


@pytest.mark.feature("C-1")
async def test_a_complete_call_has_one_record_and_one_publication(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    script = Script().talk()
    taken = await take(ledger, entries(script))
    assert taken.recorded == (fold("dupont", "c1", script.events),)
    assert await records(pool) == [fold("dupont", "c1", script.events)]
    (waiting,) = await pool.fetch("select * from outbox")
    assert (waiting["message_id"], waiting["subject"], waiting["stream"]) == (
        record_id("dupont", "c1"),
        "carillon.dupont.cdr.recorded",
        "RECORDS",
    )


@pytest.mark.feature("C-1")
async def test_repetition_and_disorder_change_nothing(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    scripts = [Script(f"c{number}").talk() for number in range(20)]
    arriving = entries(*scripts) * 3
    random.Random(7).shuffle(arriving)
    for start in range(0, len(arriving), 37):
        assert not (await take(ledger, arriving[start : start + 37])).conflicts
    assert await pool.fetchval("select count(*) from call_event") == sum(len(script.events) for script in scripts)
    assert {record.call_id: record for record in await records(pool)} == {
        script.call_id: fold("dupont", script.call_id, script.events) for script in scripts
    }
    assert await pool.fetchval("select count(*) from outbox") == 20


@pytest.mark.feature("C-1")
async def test_replicas_at_once_make_one_record_however_the_events_are_spread(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    scripts = [Script(f"c{number}").talk() for number in range(12)]
    arriving = entries(*scripts) * 2
    random.Random(3).shuffle(arriving)
    await asyncio.gather(*(take(ledger, arriving[start : start + 5]) for start in range(0, len(arriving), 5)))
    assert len(await records(pool)) == 12
    assert await pool.fetchval("select count(*) from outbox") == 12


@pytest.mark.feature("P-10")
async def test_a_gap_keeps_the_record_back_until_the_late_event_comes(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    all_of_it = entries(Script().talk())
    assert not (await take(ledger, all_of_it[:3] + all_of_it[4:])).recorded
    assert await confirm(ledger, {CallKey("dupont", "c1"): len(all_of_it)}) == []
    assert [row["call_id"] for row in await pool.fetch("select * from open_call")] == ["c1"]
    assert len((await take(ledger, [all_of_it[3]])).recorded) == 1
    assert await confirm(ledger, {CallKey("dupont", "c1"): len(all_of_it)}) == ["c1"]
    assert await pool.fetch("select * from open_call") == []


async def test_another_content_for_a_taken_place_is_flagged_and_not_applied(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    honest, other = Script().talk(12), Script().talk(99)
    await take(ledger, entries(honest))
    taken = await take(ledger, entries(other) + entries(other))
    assert {entry.seq for entry in taken.conflicts} == {8, 9, 10}
    flagged = await pool.fetch("select seq, body from call_event_conflict order by seq")
    assert [(row["seq"], row["body"]) for row in flagged] == [(seq, other.events[seq - 1].to_json()) for seq in (8, 9, 10)]
    assert [record.talk_seconds for record in await records(pool)] == [12]


async def test_two_contents_for_one_place_in_one_batch_are_flagged(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    first, second = entries(Script().started(dialled="102"))[0], entries(Script().started(dialled="103"))[0]
    assert (await take(ledger, [first, second])).conflicts == (second,)


@pytest.mark.feature("P-3")
async def test_two_tenants_with_one_call_id_are_two_calls(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    await take(ledger, entries(Script(tenant="dupont").talk(), Script(tenant="martin").talk(3)))
    assert [(record.tenant, record.talk_seconds) for record in await records(pool)] == [("dupont", 12.5), ("martin", 3)]
    ends = {CallKey("dupont", "c1"): 10, CallKey("martin", "c1"): 11}
    assert await confirm(ledger, ends) == []
    assert await confirm(ledger, {**ends, CallKey("martin", "c1"): 10}) == ["c1"]


@pytest.mark.feature("P-10")
async def test_a_poisoned_event_is_put_aside_and_holds_up_nobody(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    letters = DeadLetters(pool)
    woken: list[int] = []
    subscriber = CallSubscriber(ledger, UNKNOWN, letters, lambda: woken.append(1))
    script = Script().talk()
    stranger = script.events[0].model_copy(update={"tenantid": "martin"})
    poison = [("carillon.dupont.call.c9.started", b"\xff{"), (subject_of(script.events[0]), stranger.to_json())]
    await subscriber.handle(delivered([*poison, *script.messages()]))
    assert len(await records(pool)) == 1
    assert woken == [1]
    dead = await letters.list(DURABLE)
    assert [(letter.subject, letter.data) for letter in dead] == poison


@pytest.mark.feature("P-10")
async def test_data_that_makes_no_sense_is_put_aside_once_and_the_call_still_has_its_record(
    pool: "Pool[Any]", ledger: PostgresLedger
) -> None:
    letters = DeadLetters(pool)
    subscriber = CallSubscriber(ledger, UNKNOWN, letters, lambda: None)
    script = Script().talk()
    script.events[3] = script.events[3].model_copy(update={"data": {"sip_status": "what?"}})
    for _ in range(2):
        await subscriber.handle(delivered(script.messages()))
    assert [record.status for record in await records(pool)] == ["answered"]
    assert len(await letters.list()) == 1


async def test_a_name_with_a_nul_does_not_keep_a_record_back(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    await take(ledger, entries(Script().started(caller="1\x0001").decided("ring").rings().ended("caller_gave_up")))
    assert [record.caller for record in await records(pool)] == ["1\x0001"]
    rung = RecordFilter(rung_user_id="bob")
    assert [record.caller for record in await PostgresRecords(pool).list("dupont", rung, None, None, 10)] == ["1\x0001"]


async def test_a_meeting_with_a_nul_does_not_keep_records_back(pool: "Pool[Any]", ledger: PostgresLedger) -> None:
    joined = ConferenceJoined(room_id="board", meeting_id="m\x001")
    await take(ledger, entries(Script().started().answers("a").add(joined, "a").ended(), Script("c2").talk()))
    assert {record.call_id for record in await records(pool)} == {"c1", "c2"}


@pytest.mark.feature("P-3")
async def test_records_of_before_are_given_to_their_people_whatever_stands_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def older(package: str) -> list[Any]:
        return [each for each in find_migrations(package) if package != CDR or each.name < "0005"]

    before = await open_pool(await asyncio.to_thread(fresh_database))
    with monkeypatch.context() as patched:
        patched.setattr(postgres, "find_migrations", older)
        await migrate(before, CDR)
    at = [f"2026-03-03T09:15:{second:02}Z" for second in range(60)]
    legs = [
        {"party": "trunk:carrier", "answered_at": at[0]},
        {"party": "alice", "answered_at": at[0], "ended_at": at[5]},
        {"party": "bob", "ended_at": at[7]},
        {"party": "carol", "answered_at": at[9], "ended_at": at[8]},
        {"party": "alice", "answered_at": at[10], "ended_at": None},
        {"party": "eve\x00", "answered_at": at[9], "ended_at": at[10]},
        {"party": ""},
    ]
    await before.execute(
        "insert into call_record (tenant, call_id, started_at, direction, status, caller, dialled, answered_by, data)"
        " values ('dupont', 'c1', '2026-03-03T09:15:00Z', 'inbound', 'answered', '', '', 'alice', $1)",
        {"caller": "1\x0001", "ended_at": at[17], "legs": legs},
    )
    assert await migrate(before, CDR) == ["0005_whose_records.sql"]
    talked = "array(select extract(epoch from upper(span) - lower(span))::int from unnest(talked) span order by span)"
    found = {row["whose"]: row["seconds"] for row in await before.fetch(f"select whose, {talked} as seconds from call_record_of")}
    assert found == {"user/alice": [5, 7], "user/bob": [], "user/carol": [], "user/eve\ufffd": [1]}
    await before.close()


async def test_while_the_database_is_away_events_are_asked_for_again() -> None:
    away = await asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0)
    ledger = PostgresLedger(away, timeout=1)
    with pytest.raises(LedgerUnavailable) as caught:
        await take(ledger, entries(Script().talk()))
    assert "127.0.0.1" in str(caught.value), "the log says what is away"
    assert "127.0.0.1" not in str(caught.value.to_status()), "a client is not told where"
    subscriber = CallSubscriber(ledger, UNKNOWN, DeadLetters(away), lambda: None)
    with pytest.raises(Retry):
        await subscriber.handle(delivered(Script().talk().messages()))
    with pytest.raises(Retry):
        await subscriber.handle(delivered([("carillon.dupont.call.c1.started", b"poison")]))
    await away.close()
