"""Take a batch of call events into the ledger and make the records of the calls that it completes.

Always: a place is written once; an event that comes again changes nothing; another content for a taken place is flagged and never
applied; a record and the duty to publish it are written in the transaction of the event that completed its call.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from carillon_cdr.domain.ledger import CallKey, Entry, same_content
from carillon_cdr.domain.publication import recorded_event
from carillon_cdr.domain.record import Incomplete, complete, fold
from carillon_cdr.domain.whose import shares
from carillon_cdr.ports import Configurations, Ledger, LedgerTransaction, Made, Place
from carillon_contracts.envelope import Event
from carillon_contracts.record import CallRecorded


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch."""

    #: Places that were free and are filled now.
    stored: frozenset[Place] = frozenset()
    #: Entries whose place held another content.
    conflicts: tuple[Entry, ...] = ()
    recorded: tuple[CallRecorded, ...] = ()


async def take(ledger: Ledger, entries: Sequence[Entry], configurations: Configurations) -> Taken:
    """Write the entries and the records that they complete, in one transaction. Raises `LedgerUnavailable`."""
    calls = {entry.key for entry in entries}
    async with ledger.transaction() as transaction:
        await transaction.lock(calls)
        stored = await transaction.insert(entries)
        conflicts: Sequence[Entry] = ()
        if len(stored) < len(entries):
            conflicts = await _conflicts(transaction, entries, stored)
        records = [made for call, events in (await transaction.ended(calls)).items() for made in _record(call, events, configurations)]
        await transaction.save(records)
    return Taken(frozenset(stored), tuple(conflicts), tuple(made.record for made in records))


async def _conflicts(transaction: LedgerTransaction, entries: Sequence[Entry], stored: set[Place]) -> Sequence[Entry]:
    doubtful = _doubtful(entries, stored)
    there = await transaction.bodies([entry.place for entry in doubtful])
    conflicts = [entry for entry in doubtful if not same_content(there[entry.place], entry.body)]
    if conflicts:
        await transaction.flag(conflicts)
    return conflicts


def _doubtful(entries: Iterable[Entry], stored: set[Place]) -> list[Entry]:
    """Entries that were not written: their place was taken before, or by an earlier entry of the same batch."""
    fresh = set(stored)
    doubtful = []
    for entry in entries:
        if entry.place in fresh:
            fresh.discard(entry.place)
        else:
            doubtful.append(entry)
    return doubtful


def _record(call: CallKey, events: Sequence[Event], configurations: Configurations) -> Iterable[Made]:
    try:
        whole = complete(events)
    except Incomplete:
        return
    record = fold(call.tenant, call.call_id, events)
    yield Made(record, recorded_event(record, whole[-1]), shares(configurations.of(call.tenant), record, whole))


async def confirm(ledger: Ledger, calls: Mapping[CallKey, int]) -> list[str]:
    """The call ids that are complete up to the given seq; an id that two tenants use counts only when both are."""
    done = await ledger.complete(calls)
    open_ids = {call.call_id for call in calls if call not in done}
    return sorted({call.call_id for call in done} - open_ids)
