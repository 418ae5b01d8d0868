"""The publisher: everything reaches the bus in order per call, and leaves the journal only when the ledger has it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from carillon.cdr.v1.cdr_pb2 import ConfirmCallsRequest, ConfirmCallsResponse
from carillon_kit.bus import Outgoing
from carillon_kit.clock import ManualClock
from carillon_kit.testing import eventually
from carillon_media.adapters.journal import CallKey, Journal, JournalRecord
from carillon_media.adapters.publisher import EndedCall, Publisher, PublisherLimits, confirm_by_grpc

FAST = PublisherLimits(backoff_first=0.001, backoff_last=0.01, confirm_every=0.01)


def event(call: str, seq: int, kind: str = "call.leg_offered.v1") -> JournalRecord:
    data = orjson.dumps({"id": str(UUID(int=seq << 64 | hash(call) & 0xFFFFFFFF)), "type": f"carillon.{kind}", "callid": call, "seq": seq})
    return JournalRecord("event", "dupont", call, seq, data)


def whole_call(call: str, length: int = 5) -> list[JournalRecord]:
    return [event(call, seq) for seq in range(1, length)] + [event(call, length, "call.ended.v1")]


class FakeBus:
    """Stores what it is given; `refuse` says which messages it does not store."""

    def __init__(self) -> None:
        self.stored: list[Outgoing] = []
        self.away = False
        self.refuse: Callable[[Outgoing], bool] = lambda _: False
        #: How many publications may still go through.
        self.permits = asyncio.Semaphore(1_000_000)
        self.tries = 0

    async def publish_many(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> list[str]:
        assert stream == "CALLS"
        self.tries += 1
        await self.permits.acquire()
        if self.away:
            raise ConnectionError("no servers available")
        refused = [item for item in items if self.refuse(item)]
        self.stored += [item for item in items if item not in refused]
        return [item.message_id for item in refused]

    def seqs(self) -> dict[str, list[int]]:
        """Each call's seqs in the order of being stored, repetitions left out."""
        found: dict[str, list[int]] = defaultdict(list)
        for item in self.stored:
            event = orjson.loads(item.payload)
            if event["seq"] not in found[event["callid"]]:
                found[event["callid"]].append(event["seq"])
        return found


class FakeLedger:
    """Has what the bus stored, unless it is told not to."""

    def __init__(self, bus: FakeBus) -> None:
        self.bus = bus
        self.away = False
        self.asked: list[EndedCall] = []

    async def confirm(self, calls: Sequence[EndedCall]) -> Collection[CallKey]:
        self.asked += calls
        if self.away:
            raise ConnectionError("cdr is away")
        seqs = self.bus.seqs()
        return [(call.tenant, call.call_id) for call in calls if len(seqs[call.call_id]) == call.last_seq]


class World:
    """A real journal in a folder, with a bus and a ledger that fail on demand."""

    def __init__(self, folder: Path, limits: PublisherLimits) -> None:
        self.journal, self.left = Journal.open(folder, segment_bytes=4096)
        self.bus = FakeBus()
        self.ledger = FakeLedger(self.bus)
        self.clock = ManualClock()
        self.publisher = Publisher(self.journal, self.bus, self.ledger.confirm, self.clock, limits)

    async def happen(self, *records: JournalRecord) -> None:
        await self.journal.append(records)
        self.publisher.offer(records)

    async def until(self, condition: Callable[[], bool]) -> None:
        await eventually(condition)


@asynccontextmanager
async def world(folder: Path, limits: PublisherLimits = FAST) -> AsyncIterator[World]:
    it = World(folder, limits)
    running = asyncio.ensure_future(it.publisher.run())
    try:
        yield it
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await it.journal.close()


async def test_events_are_published_by_their_id_and_subject_and_the_call_is_forgotten_once_confirmed(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        records = whole_call("c1")
        await it.happen(*records, JournalRecord("private", "dupont", "c1", 0, b"not for the bus"))
        await it.until(lambda: it.publisher.unconfirmed == 0)
        assert [item.payload for item in it.bus.stored] == [record.data for record in records]
        assert it.bus.stored[0].subject == "carillon.dupont.call.c1.leg_offered"
        assert it.bus.stored[0].message_id == orjson.loads(records[0].data)["id"]
        assert it.ledger.asked[-1] == EndedCall("dupont", "c1", 5)
    _, left = Journal.open(tmp_path)
    assert left == []


async def test_a_call_that_is_up_is_not_asked_for_and_stays_in_the_journal(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.happen(event("c1", 1), event("c1", 2))
        await it.until(lambda: len(it.bus.stored) == 2)
        await it.publisher.confirm_once()
        assert it.ledger.asked == []
        assert it.publisher.unconfirmed == 1


@pytest.mark.feature("P-10")
async def test_while_the_bus_is_away_memory_is_bounded_and_afterwards_all_arrives_in_order(tmp_path: Path) -> None:
    limits = PublisherLimits(queue_events=10, batch_events=4, backoff_first=0.001, backoff_last=0.01, confirm_every=0.01)
    async with world(tmp_path, limits) as it:
        it.bus.away = True
        for seq in range(1, 9):
            for call in range(20):
                await it.happen(event(f"c{call}", seq, "call.ended.v1" if seq == 8 else "call.leg_offered.v1"))
        assert len(it.publisher._queue) <= 10
        it.bus.away = False
        await it.until(lambda: it.publisher.unconfirmed == 0)
        assert it.bus.seqs() == {f"c{call}": list(range(1, 9)) for call in range(20)}


async def test_events_that_come_while_the_journal_is_read_do_not_overtake(tmp_path: Path) -> None:
    limits = PublisherLimits(queue_events=3, batch_events=2, backoff_first=0.001, backoff_last=0.01, confirm_every=0.01)
    async with world(tmp_path, limits) as it:
        for seq in range(1, 60):
            await it.happen(*(event(f"c{call}", seq) for call in range(4)))
        await it.happen(*(event(f"c{call}", 60, "call.ended.v1") for call in range(4)))
        await it.until(lambda: it.publisher.unconfirmed == 0)
        assert it.bus.seqs() == {f"c{call}": list(range(1, 61)) for call in range(4)}


async def test_an_event_is_not_queued_before_those_of_its_call_that_did_not_fit(tmp_path: Path) -> None:
    limits = PublisherLimits(queue_events=2, batch_events=1, backoff_first=0.001, backoff_last=0.01, confirm_every=0.01)
    async with world(tmp_path, limits) as it:
        it.bus.permits = asyncio.Semaphore(0)
        for seq in (1, 2, 3):
            await it.happen(event("c1", seq))
        await it.until(lambda: it.bus.tries == 1)
        it.bus.permits.release()
        await it.until(lambda: it.bus.tries == 2)
        assert len(it.publisher._queue) == 1, "there is room again, but 3 is not published yet"
        await it.happen(event("c1", 4))
        it.bus.permits.release()
        await it.until(lambda: it.bus.tries == 3)
        await it.happen(event("c1", 5, "call.ended.v1"))
        for _ in range(100):
            it.bus.permits.release()
        await it.until(lambda: it.publisher.unconfirmed == 0)
        assert it.bus.seqs() == {"c1": [1, 2, 3, 4, 5]}


async def test_after_a_failure_a_call_goes_on_at_its_first_event_that_was_not_stored(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.bus.refuse = lambda item: it.bus.tries == 1 and orjson.loads(item.payload)["seq"] in (2, 4)
        await it.happen(*whole_call("c1"), *whole_call("c2", 1))
        await it.until(lambda: it.publisher.unconfirmed == 0)
        assert [orjson.loads(item.payload)["seq"] for item in it.bus.stored if ".c1." in item.subject] == [1, 3, 5, 2, 3, 4, 5]


async def test_an_event_that_the_bus_refuses_holds_up_its_own_call_only(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.bus.refuse = lambda item: ".poison." in item.subject and orjson.loads(item.payload)["seq"] == 2
        await it.happen(*whole_call("poison"), *whole_call("c1"))
        await it.until(lambda: it.publisher.unconfirmed == 1)
        await it.happen(*whole_call("c2"))
        await it.until(lambda: len(it.bus.seqs()["c2"]) == 5)
        await it.until(lambda: it.publisher.unconfirmed == 1)
        it.bus.refuse = lambda _: False
        it.clock.advance(60)
        await it.happen(*whole_call("c3"))
        await it.until(lambda: it.publisher.unconfirmed == 0)
        assert sorted(it.bus.seqs()["poison"]) == [1, 2, 3, 4, 5]


async def test_after_a_restart_what_the_journal_holds_is_published_again_and_confirmed(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.ledger.away = True
        await it.happen(*whole_call("c1"), event("c2", 1))
        await it.until(lambda: len(it.ledger.asked) > 0)
    async with world(tmp_path) as it:
        it.publisher.recover(it.left)
        await it.until(lambda: it.publisher.unconfirmed == 1)
        assert it.bus.seqs() == {"c1": [1, 2, 3, 4, 5], "c2": [1]}


async def test_a_call_that_the_ledger_lacks_is_published_again_after_30_seconds_and_then_more_rarely(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.ledger.away = True
        await it.happen(*whole_call("c1"))
        await it.until(lambda: len(it.bus.stored) == 5)
        it.bus.stored.clear()
        it.ledger.away = False
        await it.publisher.confirm_once()
        assert it.bus.stored == []
        it.clock.advance(31)
        await it.until(lambda: it.publisher.unconfirmed == 0)
        assert it.bus.seqs() == {"c1": [1, 2, 3, 4, 5]}


async def test_draining_says_whether_all_is_published(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.happen(*whole_call("c1"))
        assert await it.publisher.drain(1)
        it.bus.away = True
        await it.happen(*whole_call("c2"))
        assert not await it.publisher.drain(0)


async def test_the_ledger_is_asked_by_grpc_and_answers_call_ids() -> None:
    class Stub:
        async def ConfirmCalls(self, request: ConfirmCallsRequest, *, timeout: float) -> ConfirmCallsResponse:
            assert [(end.tenant_id, end.call_id, end.last_seq) for end in request.calls] == [("dupont", "c1", 5), ("martin", "c2", 3)]
            assert timeout == 3
            return ConfirmCallsResponse(call_ids=["c2"])

    confirm = confirm_by_grpc(Stub())
    assert list(await confirm([EndedCall("dupont", "c1", 5), EndedCall("martin", "c2", 3)])) == [("martin", "c2")]
