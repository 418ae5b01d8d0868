"""From the journal to the bus, and out of the journal once the ledger has a call.

Always: a call's events are published in the order of their `seq`; an event counts as published when the stream acknowledged it; a call is
forgotten only after the ledger confirmed all of it. The journal holds every event, so this queue may drop what does not fit and read it
again later: memory is bounded however long NATS is away. An event that the stream refuses holds up its own call only. Events may be
published twice; consumers know them by their id.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from carillon.cdr.v1.cdr_pb2 import CallEnd, ConfirmCallsRequest, ConfirmCallsResponse
from carillon_contracts.call import CallEnded
from carillon_contracts.streams import CALLS, call_subject
from carillon_kit.bus import Outgoing
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.adapters.journal_format import CallKey, JournalRecord

_log = get_logger(__name__)
_ENDED = f"carillon.{CallEnded.TYPE}"


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A call that is over, for the ledger to confirm; `last_seq` is the number of its last event."""

    tenant: str
    call_id: str
    last_seq: int


#: Which of the calls does the ledger have completely? Answers their keys.
Confirm = Callable[[Sequence[EndedCall]], Awaitable[Collection[CallKey]]]


class JournalPort(Protocol):
    """What the publisher needs of the journal."""

    def segments(self) -> list[int]:
        """Numbers of the segments, oldest first."""

    async def read(self, number: int, calls: frozenset[CallKey]) -> list[JournalRecord]:
        """These calls' records in a segment."""

    async def forget(self, calls: Iterable[CallKey]) -> None:
        """Durably."""


class PublishPort(Protocol):
    """What the publisher needs of the bus."""

    async def publish_many(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> list[str]:
        """The ids that were not stored."""


class ConfirmCallsStub(Protocol):
    """The one call of `LedgerServiceAsyncStub` that is needed."""

    def ConfirmCalls(self, request: ConfirmCallsRequest, *, timeout: float) -> Awaitable[ConfirmCallsResponse]:
        """See cdr.proto."""


@dataclass(frozen=True, slots=True)
class PublisherLimits:
    """Bounds and periods, seconds where not said otherwise."""

    #: Events in memory that wait for the bus; the rest is read from the journal when its turn comes.
    queue_events: int = 20_000
    batch_events: int = 256
    #: Events are gathered for so long before they go out together: the stream's fsync, the acknowledgement and, behind it, the
    #: transactions of whoever reads them are shared. Nobody on the phone waits for them.
    linger: float = 0.05
    publish_timeout: float = 5.0
    backoff_first: float = 0.1
    backoff_last: float = 5.0
    #: Tries of a batch of which something went through, before the calls that did not are put aside for `backoff_last`.
    tries: int = 4
    confirm_every: float = 1.0
    confirm_batch: int = 500
    confirm_timeout: float = 3.0
    #: A call that stays unconfirmed for so long is published again, then after twice as long, ... up to the last.
    republish_first: float = 30.0
    republish_last: float = 600.0


@dataclass(slots=True)
class _Tracked:
    """A call of which the journal holds events: how far it was offered and published, and its last seq once that is known."""

    offered: int = 0
    published: int = 0
    last_seq: int = 0
    #: Its next events are to be read from the journal; the queue must not overtake them.
    behind: bool = False
    #: Not to be read from the journal before this.
    retry_at: float = 0.0
    republish_at: float = 0.0
    republish_after: float = 0.0


class _Queued(NamedTuple):
    call: CallKey
    seq: int
    outgoing: Outgoing
    ends: bool


def _queued(record: JournalRecord) -> _Queued:
    """The message of an event's record; the record's data is the event's JSON."""
    kind = _text(record.data, b'"type":"')
    subject = call_subject(record.tenant, record.call_id, kind.split(".")[2])
    return _Queued(record.call, record.seq, Outgoing(subject, record.data, _text(record.data, b'"id":"')), kind == _ENDED)


def _text(event: bytes, name: bytes) -> str:
    """An attribute that stands before the event's data and needs no escape. Within a text no quote stands without one, so that the first
    such name is the attribute's."""
    start = event.index(name) + len(name)
    return event[start : event.index(b'"', start)].decode()


def confirm_by_grpc(stub: ConfirmCallsStub, timeout: float = 3.0) -> Confirm:
    """Ask cdr's `LedgerService`."""

    async def confirm(calls: Sequence[EndedCall]) -> Collection[CallKey]:
        request = ConfirmCallsRequest(calls=[CallEnd(tenant_id=c.tenant, call_id=c.call_id, last_seq=c.last_seq) for c in calls])
        confirmed = set((await stub.ConfirmCalls(request, timeout=timeout)).call_ids)
        return [(call.tenant, call.call_id) for call in calls if call.call_id in confirmed]

    return confirm


class Publisher:
    """Give it what was appended (`offer`), start `run` as a task. At start give it what the journal still held (`recover`)."""

    def __init__(
        self, journal: JournalPort, bus: PublishPort, confirm: Confirm, clock: Clock, limits: PublisherLimits | None = None
    ) -> None:
        self._journal = journal
        self._bus = bus
        self._confirm = confirm
        self._clock = clock
        self._limits = limits or PublisherLimits()
        self._calls: dict[CallKey, _Tracked] = {}
        self._queue: deque[_Queued] = deque()
        self._work = asyncio.Event()
        self._behind = 0

    @property
    def unconfirmed(self) -> int:
        """Calls of which something is still in the journal, for metrics and readiness."""
        return len(self._calls)

    def recover(self, records: Iterable[JournalRecord]) -> None:
        """Publish again, from the journal, every event of these calls: what `Journal.open` gave back."""
        for record in records:
            if record.kind == "event":
                self._track(record)
                self._fall_behind(self._calls[record.call])

    def offer(self, records: Iterable[JournalRecord]) -> None:
        """Take appended records, in the order of appending, after `append` returned. Never blocks; passes over private records."""
        for record in records:
            if record.kind != "event":
                continue
            tracked = self._track(record)
            if tracked.behind:
                continue
            if len(self._queue) < self._limits.queue_events:
                self._queue.append(_queued(record))
            else:
                self._fall_behind(tracked)
        self._work.set()

    def _track(self, record: JournalRecord) -> _Tracked:
        tracked = self._calls.setdefault(record.call, _Tracked())
        tracked.offered = max(tracked.offered, record.seq)
        return tracked

    def _fall_behind(self, tracked: _Tracked) -> None:
        if not tracked.behind:
            tracked.behind = True
            self._behind += 1
        self._work.set()

    async def run(self) -> None:
        """Publish and confirm until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish_for_ever(), name="publish call events")
            tasks.create_task(self._confirm_for_ever(), name="confirm calls")

    async def drain(self, timeout: float) -> bool:
        """At shutdown, while `run` runs: wait until all that was offered is published; False when time ran out."""
        deadline = self._clock.monotonic() + timeout
        while self._queue or self._behind:
            if self._clock.monotonic() >= deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def _publish_for_ever(self) -> None:
        while True:
            await self._wait_for_work()
            await asyncio.sleep(self._limits.linger)
            while self._queue:
                await self._publish_queue()
            await self._publish_from_journal()

    async def _wait_for_work(self) -> None:
        timeout = None
        if self._behind:
            earliest = min(tracked.retry_at for tracked in self._calls.values() if tracked.behind)
            timeout = max(0.0, earliest - self._clock.monotonic())
        try:
            async with asyncio.timeout(timeout):
                await self._work.wait()
        except TimeoutError:
            pass
        self._work.clear()

    async def _publish_queue(self) -> None:
        size = min(len(self._queue), self._limits.batch_events)
        batch = [self._queue[index] for index in range(size)]
        await self._publish([item for item in batch if not self._overtaken(item)])
        for _ in range(size):
            self._queue.popleft()

    def _overtaken(self, item: _Queued) -> bool:
        """The call was put aside after this event was queued; the journal gives it again."""
        tracked = self._calls.get(item.call)
        return tracked is None or (tracked.behind and tracked.retry_at > 0)

    async def _publish_from_journal(self) -> None:
        """One pass over the journal's segments for the calls that fell behind; what is appended meanwhile is left to the next pass."""
        if not self._behind:
            return
        now = self._clock.monotonic()
        calls = frozenset(call for call, tracked in self._calls.items() if tracked.behind and tracked.retry_at <= now)
        if not calls:
            return
        for call in calls:
            self._calls[call].retry_at = 0.0
        until = {call: self._calls[call].offered for call in calls}
        for number in self._journal.segments():
            events = [_queued(record) for record in await self._journal.read(number, calls) if self._is_due(record)]
            for start in range(0, len(events), self._limits.batch_events):
                await self._publish([event for event in events[start : start + self._limits.batch_events] if not self._overtaken(event)])
        for call in calls:
            tracked = self._calls.get(call)
            if tracked is not None and not tracked.retry_at and tracked.offered == until[call]:
                tracked.behind = False
                self._behind -= 1

    def _is_due(self, record: JournalRecord) -> bool:
        tracked = self._calls.get(record.call)
        return record.kind == "event" and tracked is not None and record.seq > tracked.published

    async def _publish(self, batch: Sequence[_Queued]) -> None:
        """Publish until all of it is stored; after a failure each call goes on at its first event that was not stored."""
        delay = self._limits.backoff_first
        tries = 0
        left = list(batch)
        while left:
            failed = await self._try_publish([item.outgoing for item in left])
            stuck = {item.call: item.seq for item in reversed(left) if item.outgoing.message_id in failed}
            self._note_published([item for item in left if item.call not in stuck or item.seq < stuck[item.call]])
            tries = tries + 1 if tries or len(failed) < len(left) else 0
            left = [item for item in left if item.call in stuck and item.seq >= stuck[item.call]]
            if not left:
                return
            if tries >= self._limits.tries:
                self._put_aside(stuck)
                return
            _log.warning("call events wait for the bus", events=len(left), queued=len(self._queue), again_in=round(delay, 2))
            await asyncio.sleep(delay * random.uniform(0.8, 1.2))
            delay = min(delay * 2, self._limits.backoff_last)

    def _put_aside(self, calls: Iterable[CallKey]) -> None:
        """The bus takes others' events but not these calls': let them not hold up the rest."""
        for call in calls:
            tracked = self._calls.get(call)
            if tracked is not None:
                _log.error("the bus refuses an event; its call is put aside", tenant=call[0], call_id=call[1], published=tracked.published)
                tracked.retry_at = self._clock.monotonic() + self._limits.backoff_last
                self._fall_behind(tracked)

    def _note_published(self, items: Iterable[_Queued]) -> None:
        for item in items:
            tracked = self._calls.get(item.call)
            if tracked is None:
                continue
            tracked.published = max(tracked.published, item.seq)
            if item.ends and not tracked.last_seq:
                tracked.last_seq = item.seq
                tracked.republish_after = self._limits.republish_first
                tracked.republish_at = self._clock.monotonic() + tracked.republish_after

    async def _try_publish(self, items: Sequence[Outgoing]) -> frozenset[str]:
        try:
            return frozenset(await self._bus.publish_many(CALLS.name, items, self._limits.publish_timeout))
        except Exception as error:  # noqa: BLE001  (whatever the bus raises, the events stay)
            _log.warning("call events could not be published", error=str(error))
            return frozenset(item.message_id for item in items)

    async def _confirm_for_ever(self) -> None:
        delay = self._limits.confirm_every
        while True:
            await asyncio.sleep(delay)
            try:
                await self.confirm_once()
                delay = self._limits.confirm_every
            except Exception as error:  # noqa: BLE001  (cdr or the disk is away; the calls stay in the journal)
                _log.warning("calls could not be confirmed", error=str(error), calls=len(self._calls))
                delay = min(delay * 2, 10 * self._limits.confirm_every)

    async def confirm_once(self) -> None:
        """Ask for every call that is published to its end; forget the confirmed, publish again those that wait too long."""
        ended = [
            EndedCall(*call, tracked.last_seq)
            for call, tracked in self._calls.items()
            if tracked.last_seq and tracked.published >= tracked.last_seq and not tracked.behind
        ]
        for start in range(0, len(ended), self._limits.confirm_batch):
            asked = ended[start : start + self._limits.confirm_batch]
            async with asyncio.timeout(self._limits.confirm_timeout):
                confirmed = list(await self._confirm(asked))
            if confirmed:
                await self._journal.forget(confirmed)
            for call in confirmed:
                self._calls.pop(call, None)
        self._republish_late([(call.tenant, call.call_id) for call in ended])

    def _republish_late(self, asked: Iterable[CallKey]) -> None:
        now = self._clock.monotonic()
        late = [tracked for call in asked if (tracked := self._calls.get(call)) is not None and now >= tracked.republish_at]
        for tracked in late:
            tracked.republish_after = min(tracked.republish_after * 2, self._limits.republish_last)
            tracked.republish_at = now + tracked.republish_after
            tracked.published = 0
            self._fall_behind(tracked)
        if late:
            _log.warning("the ledger lacks calls that were published; publishing them again", calls=len(late))
