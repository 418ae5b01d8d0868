"""A thousand calls of SIPp's, and the same with each process killed in the middle: no record lost, none doubled, no gap."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from strangers.sipp import Sipp, credentials, register
from strangers.system import System, until

pytestmark = [pytest.mark.slow, pytest.mark.feature("P-10", "C-1")]

RATE, CALLS, HOLD_MS = 50, 1000, 3000
ENDED = "carillon.call.ended.v1"


@pytest.fixture
def fresh() -> Iterator[System]:
    """A system of its own, since processes are killed."""
    system = System.start()
    try:
        yield system
    finally:
        system.stop()
        system.forget()


def load(system: System, calls: int) -> tuple[Sipp, Sipp]:
    """Élise's phone, and Denise calling it at the rate."""
    port = register(system.sip, system.tenant["realm"], system.user("106"))
    elise = Sipp("answer.xml", system.sip, "-d", "50", "-aa", port=port, calls=2 * calls, seconds=600)
    user = system.user("101")
    keys = {"user": user["sip_user"], "realm": system.tenant["realm"], "dest": "106"}
    options = ("-r", str(RATE), "-l", "1000", "-d", str(HOLD_MS), "-trace_stat", "-fd", "1", "-recv_timeout", "20000", *credentials(user))
    return elise, Sipp("call_with_authentication.xml", system.sip, *options, calls=calls, seconds=120, **keys)


async def ledger(system: System) -> dict[str, list[dict[str, Any]]]:
    """Every event in cdr's ledger by call, by seq."""
    connection = await asyncpg.connect(system.run["postgres"]["dsn"])
    try:
        rows = await connection.fetch("select call_id, seq, body from cdr.call_event order by call_id, seq")
    finally:
        await connection.close()
    calls: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        calls[str(row["call_id"])].append(json.loads(row["body"]))
    return calls


def records_of_all(system: System, seconds: float = 60) -> list[dict[str, Any]]:
    """Records once every call of the ledger is closed and recorded and nothing comes any more."""

    def settled() -> list[dict[str, Any]]:
        calls = asyncio.run(ledger(system))
        records = system.records()
        complete = all(events[-1]["type"] == ENDED for events in calls.values())
        return records if calls and complete and len(records) >= len(calls) else []

    return list(until(settled, "a record for every call", seconds))


def check_ledger(system: System, records: list[dict[str, Any]]) -> None:
    """Exactly one record a call, seq without a gap, one end per call and per leg."""
    calls = asyncio.run(ledger(system))
    assert sorted(record["call_id"] for record in records) == sorted(calls)
    for events in calls.values():
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        types = [event["type"] for event in events]
        assert types.count(ENDED) == 1
        assert types[-1] == ENDED
        offered = {"a"} | {event["legid"] for event in events if event["type"] == "carillon.call.leg_offered.v1"}
        ended = [event["legid"] for event in events if event["type"] == "carillon.call.leg_ended.v1"]
        assert sorted(ended) == sorted(offered)


@pytest.mark.timeout(300)
def test_a_thousand_calls_leave_a_thousand_records(fresh: System) -> None:
    elise, denise = load(fresh, CALLS)
    with elise, denise:
        denise.succeed()
        assert int(denise.statistics()["FailedCall(C)"]) == 0
    records = records_of_all(fresh)
    assert len(records) == CALLS
    check_ledger(fresh, records)
    assert {record["status"] for record in records} == {"answered"}
    assert all(abs(record["talk_seconds"] - HOLD_MS / 1000) < 1 for record in records)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["media", "media-plane", "routing", "directory", "voicemail", "cdr", "nats", "postgres"])
def test_kill_9_of_one_process_loses_and_doubles_no_record(fresh: System, victim: str, record_property: Any) -> None:
    elise, denise = load(fresh, 600)
    with elise, denise:
        until(lambda: len(fresh.carillon("calls", "--json").splitlines()) >= 20, "calls are up", 30)
        old = fresh.kill(victim)
        fresh.until_restarted(victim, old)
        denise.wait()
        statistics = denise.statistics()
    succeeded, failed = int(statistics["SuccessfulCall(C)"]), int(statistics["FailedCall(C)"])
    record_property("failed", failed)
    records = records_of_all(fresh, 120)
    check_ledger(fresh, records)
    answered = [record for record in records if record["status"] == "answered"]
    assert len(answered) >= succeeded
    if victim == "media":
        # Calls go on without it; SIPp gives up only those that began while nobody listened, if at all.
        assert any(event["type"].endswith("call.resumed.v1") for events in asyncio.run(ledger(fresh)).values() for event in events)
        assert not [record for record in records if record["cause"] == "node_failure"]
        assert succeeded > 550
    elif victim == "media-plane":
        assert succeeded > 300
    else:
        assert failed == 0
        assert len(records) == 600
