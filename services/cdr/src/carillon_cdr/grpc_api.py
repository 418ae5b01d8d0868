"""`RecordService` for people and systems of a tenant, `LedgerService` for our own media nodes.

Always: a record or event is read with the tenant of the caller's token, and for whom it is, so that another tenant's, or one that the
caller does not reach, is as if it were not there.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from carillon.cdr.v1 import cdr_pb2 as pb
from carillon.cdr.v1 import cdr_pb2_grpc as rpc
from carillon_cdr.access import Access
from carillon_cdr.domain.ledger import MAX_SEQ, CallKey
from carillon_cdr.handlers import confirm
from carillon_cdr.ports import Decisions, Ledger, RecordFilter, Records
from carillon_contracts.inherited import below
from carillon_contracts.record import CallRecorded, RecordLeg, RecordParking, RecordPickup, RecordQueue, RecordTransfer
from carillon_contracts.rights import RECORD, Names
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, SERVICE, USER
from carillon_kit.errors import InvalidArgument, NotFound
from carillon_kit.grpc_server import current_tenant
from carillon_kit.pages import decode_token, encode_token, page_size

RECORD_SERVICE = "carillon.cdr.v1.RecordService"
LEDGER_SERVICE = "carillon.cdr.v1.LedgerService"
_READERS = frozenset({ADMIN, OPERATOR, SERVICE})
RECORD_RIGHTS = {
    "ListRecords": _READERS | {DEPARTMENT_ADMIN, USER},
    "GetRecord": _READERS | {DEPARTMENT_ADMIN, USER},
    # Not for people: how a call was led tells what colleagues have set.
    "ListCallEvents": _READERS | {DEPARTMENT_ADMIN},
    "StreamDecisions": _READERS,
}
LEDGER_RIGHTS = {"ConfirmCalls": frozenset({SERVICE})}
#: In one ConfirmCalls.
MOST_CALLS = 1000
#: In one StreamDecisions, unless it says otherwise, and at most.
DECIDED_CALLS, MOST_DECIDED_CALLS = 100_000, 1_000_000
#: Calls in one of its messages: some hundred KB.
_DECISIONS_PAGE = 100
_LONGEST_NAME = 256


class RecordApi(rpc.RecordServiceServicer):
    """Reads records and the ledger."""

    def __init__(self, records: Records, ledger: Ledger, decisions: Decisions, access: Access) -> None:
        self._records = records
        self._decisions = decisions
        self._ledger = ledger
        self._access = access

    async def ListRecords(self, request: pb.ListRecordsRequest, context: Any) -> pb.ListRecordsResponse:
        """One page, newest first."""
        reached = self._access.reached(RECORD)
        where = _filter(request, self._below(request.department_id))
        size = page_size(request.page_size)
        found = await self._records.list(current_tenant(), where, reached, _position(request), size + 1)
        coded = self._access.sees_account_codes()
        response = pb.ListRecordsResponse(records=[_shown(record, coded=coded) for record in found[:size]])
        if len(found) > size:
            last = found[size - 1]
            token = {"at": last.started_at.isoformat(), "call": last.call_id, "where": _fingerprint(request)}
            response.next_page_token = encode_token(token)
        return response

    async def GetRecord(self, request: pb.GetRecordRequest, context: Any) -> pb.GetRecordResponse:
        """The record of one ended call."""
        reached = self._access.reached(RECORD)
        record = await self._records.get(_call(request.call_id), reached)
        if record is None:
            raise NotFound(f"records/{request.call_id}")
        return pb.GetRecordResponse(record=_shown(record, coded=self._access.sees_account_codes()))

    async def ListCallEvents(self, request: pb.ListCallEventsRequest, context: Any) -> pb.ListCallEventsResponse:
        """The events of one call, ended or not; for a department's admin, ended."""
        reached, call = self._access.reached(RECORD), _call(request.call_id)
        hidden = reached is not None and await self._records.get(call, reached) is None
        events = [] if hidden else await self._ledger.events(call)
        if not events:
            raise NotFound(f"calls/{request.call_id}")
        return pb.ListCallEventsResponse(events=[event.decode() for event in events])

    async def StreamDecisions(self, request: pb.StreamDecisionsRequest, context: Any) -> AsyncIterator[pb.StreamDecisionsResponse]:
        """Page by page."""
        self._access.reached(RECORD)
        tenant, after, before = current_tenant(), _instant(request, "after"), _instant(request, "before")
        most = request.max_calls or DECIDED_CALLS
        if not 1 <= most <= MOST_DECIDED_CALLS:
            raise InvalidArgument({"max_calls": f"must be 1 to {MOST_DECIDED_CALLS}"})
        left = total = await self._decisions.count(tenant, after, before, most)
        yield pb.StreamDecisionsResponse(total=total)
        last: tuple[datetime, str] | None = None
        while left > 0 and (page := await self._decisions.page(tenant, after, before, last, min(left, _DECISIONS_PAGE))):
            calls = [pb.DecidedCall(call_id=each.call_id, events=each.events) for each in page]
            yield pb.StreamDecisionsResponse(total=total, calls=calls)
            last, left = (page[-1].started_at, page[-1].call_id), left - len(page)

    def _below(self, department_id: str) -> Names | None:
        if not department_id:
            return None
        return frozenset(f"department/{each}" for each in below(self._access.config, _name(department_id, "department_id")))


class LedgerApi(rpc.LedgerServiceServicer):
    """Tells media nodes what they may forget."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ConfirmCalls(self, request: pb.ConfirmCallsRequest, context: Any) -> pb.ConfirmCallsResponse:
        """Of the calls asked for, those whose events 1 to `last_seq` are all in the ledger."""
        if len(request.calls) > MOST_CALLS:
            raise InvalidArgument({"calls": f"at most {MOST_CALLS}"})
        calls: dict[CallKey, int] = {}
        for index, end in enumerate(request.calls):
            if not 1 <= end.last_seq <= MAX_SEQ:
                raise InvalidArgument({f"calls.{index}.last_seq": "must be 1 or more"})
            key = CallKey(_name(end.tenant_id, f"calls.{index}.tenant_id"), _name(end.call_id, f"calls.{index}.call_id"))
            calls[key] = max(end.last_seq, calls.get(key, 0))
        return pb.ConfirmCallsResponse(call_ids=await confirm(self._ledger, calls) if calls else [])


def record_message(record: CallRecorded) -> pb.Record:
    """The record as its proto message."""
    return pb.Record(
        call_id=record.call_id,
        tenant=record.tenant,
        caller=record.caller,
        dialled=record.dialled,
        answered_by=record.answered_by,
        direction=pb.CallDirection.Value(f"CALL_DIRECTION_{record.direction.upper()}"),
        status=pb.CallStatus.Value(f"CALL_STATUS_{record.status.upper()}"),
        started_at=_timestamp(record.started_at),
        ringing_at=_timestamp(record.ringing_at),
        answered_at=_timestamp(record.answered_at),
        ended_at=_timestamp(record.ended_at),
        talk_seconds=record.talk_seconds,
        cause=record.cause,
        ended_by=record.ended_by,
        legs=[_leg_message(leg) for leg in record.legs],
        trunk_id=record.trunk_id,
        config_seq=record.config_seq,
        transfers=[_transfer_message(transfer) for transfer in record.transfers],
        parkings=[_parking_message(parking) for parking in record.parkings],
        pickup=_pickup_message(record.pickup) if record.pickup else None,
        took_over_call_id=record.took_over_call_id,
        account_code=record.account_code,
        queues=[_queue_message(passage) for passage in record.queues],
    )


def _queue_message(passage: RecordQueue) -> pb.QueuePassage:
    return pb.QueuePassage(
        queue_id=passage.queue_id,
        entered_at=_timestamp(passage.entered_at),
        position=passage.position,
        priority=passage.priority,
        offers=[pb.QueueOffer(at=_timestamp(each.at), agent_id=each.agent_id, result=each.result) for each in passage.offers],
        answered_by=passage.answered_by,
        answered_at=_timestamp(passage.answered_at),
        left_at=_timestamp(passage.left_at),
        left_reason=passage.left_reason,
        waited_seconds=passage.waited_seconds,
    )


def _parking_message(parking: RecordParking) -> pb.Parking:
    return pb.Parking(
        at=_timestamp(parking.at),
        until=_timestamp(parking.until),
        slot=parking.slot,
        parked_by=parking.parked_by,
        taken_by=parking.taken_by,
        result=parking.result,
    )


def _pickup_message(pickup: RecordPickup) -> pb.Pickup:
    return pb.Pickup(at=_timestamp(pickup.at), by=pickup.by, rung=pickup.rung)


def _transfer_message(transfer: RecordTransfer) -> pb.Transfer:
    return pb.Transfer(
        at=_timestamp(transfer.at),
        kind=transfer.kind,
        by_leg=transfer.by_leg,
        by=transfer.by,
        destination=transfer.destination,
        result=transfer.result,
        other_call_id=transfer.other_call_id,
        goes_on=transfer.goes_on,
    )


def _leg_message(leg: RecordLeg) -> pb.Leg:
    return pb.Leg(
        leg_id=leg.leg_id,
        party=leg.party,
        number=leg.number,
        offered_at=_timestamp(leg.offered_at),
        ringing_at=_timestamp(leg.ringing_at),
        answered_at=_timestamp(leg.answered_at),
        ended_at=_timestamp(leg.ended_at),
        cause=leg.cause,
        ended_by=leg.ended_by,
    )


def _timestamp(at: datetime | None) -> Timestamp | None:
    if at is None:
        return None
    message = Timestamp()
    message.FromDatetime(at.astimezone(UTC).replace(tzinfo=None))
    return message


def _shown(record: CallRecorded, *, coded: bool) -> pb.Record:
    """`coded`: with its account code."""
    shown = record_message(record)
    if not coded:
        shown.ClearField("account_code")
    return shown


def _filter(request: pb.ListRecordsRequest, whose: Names | None) -> RecordFilter:
    after = _instant(request, "after")
    before = _instant(request, "before")
    if after is not None and before is not None and after >= before:
        raise InvalidArgument({"before": "must be later than after"})
    return RecordFilter(
        after=after,
        before=before,
        status=_enum(pb.CallStatus, request.status, "status", "CALL_STATUS_"),
        direction=_enum(pb.CallDirection, request.direction, "direction", "CALL_DIRECTION_"),
        party=_name(request.party, "party") if request.party else None,
        rung_user_id=_name(request.rung_user_id, "rung_user_id") if request.rung_user_id else None,
        user_id=_name(request.user_id, "user_id") if request.user_id else None,
        whose=whose,
    )


def _instant(request: Any, field: str) -> datetime | None:
    if not request.HasField(field):
        return None
    try:
        instant: datetime = getattr(request, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument({field: "not a time between the years 1 and 9999"}) from error
    return instant


def _enum(kind: Any, value: int, field: str, prefix: str) -> str | None:
    if value == 0:
        return None
    if value not in kind.values():
        raise InvalidArgument({field: f"{value} is not a value of this field"})
    return str(kind.Name(value)).removeprefix(prefix).lower()


def _position(request: pb.ListRecordsRequest) -> tuple[datetime, str] | None:
    token = decode_token(request.page_token)
    if not token:
        return None
    if token.get("where") != _fingerprint(request):
        raise InvalidArgument({"page_token": "made for a list with other filters"})
    try:
        at = datetime.fromisoformat(token["at"])
        return at if at.tzinfo else at.replace(tzinfo=UTC), _name(token["call"], "page_token")
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidArgument({"page_token": "not a token of this list"}) from error


def _fingerprint(request: pb.ListRecordsRequest) -> str:
    filters = pb.ListRecordsRequest()
    filters.CopyFrom(request)
    filters.ClearField("page_token")
    filters.ClearField("page_size")
    return filters.SerializeToString(deterministic=True).hex()


def _call(call_id: str) -> CallKey:
    return CallKey(current_tenant(), _name(call_id, "call_id"))


def _name(value: Any, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or not value.isprintable():
        raise InvalidArgument({field: f"must be 1 to {_LONGEST_NAME} printable characters"})
    return value
