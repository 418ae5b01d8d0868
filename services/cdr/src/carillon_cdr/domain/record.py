"""The record of a call, folded from its events: the same events give the same record, whenever and however they arrived.

A record is made only of a complete call: every event from 1 to the one that ended it. What comes after the end, or does not
make sense to this version, changes nothing. How a status is found is the table `BY_CAUSE` and the few rules above it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from carillon_cdr.domain.call import Call, Leg
from carillon_cdr.domain.ledger import CALL_ENDED
from carillon_contracts.envelope import Event
from carillon_contracts.record import CallRecorded, RecordLeg, RecordStatus

Direction = Literal["inbound", "outbound", "internal"]

#: ITU-T Q.850 causes of a call that nobody and nothing answered; what is not here is `failed`.
BY_CAUSE: Mapping[str, RecordStatus] = {
    "caller_gave_up": "cancelled",
    "user_busy": "busy",
    "no_answer": "unanswered",
    "no_answer_from_user": "unanswered",
    "no_user_responding": "unanswered",
    "call_rejected": "rejected",
    "outgoing_call_barred": "rejected",
    "incoming_call_barred": "rejected",
    "incoming_calls_barred": "rejected",
}
#: When the cause says nothing (`normal_clearing`), what became of the last ring step does.
BY_RING_RESULT: Mapping[str, RecordStatus] = {"no_answer": "unanswered", "busy": "busy", "rejected": "rejected"}
_UNSPECIFIC = frozenset({"", "normal_clearing", "normal_unspecified"})


class Incomplete(Exception):
    """The events are not all there yet: `missing` is the first seq that is not; 0 when the end itself is not."""

    def __init__(self, missing: int) -> None:
        super().__init__(f"event {missing} is missing" if missing else "the call has not ended")
        self.missing = missing


def complete(events: Iterable[Event]) -> Sequence[Event]:
    """The events 1 to n by seq, where n ended the call. Raises `Incomplete`."""
    by_seq = {event.seq: event for event in events}
    ended = min((seq for seq, event in by_seq.items() if seq and event.type == CALL_ENDED), default=0)
    if not ended:
        raise Incomplete(0)
    for seq in range(1, ended + 1):
        if seq not in by_seq:
            raise Incomplete(seq)
    return [by_seq[seq] for seq in range(1, ended + 1)]


def fold(tenant: str, call_id: str, events: Iterable[Event]) -> CallRecorded:
    """The record of a complete call. Raises `Incomplete`."""
    call = Call()
    for event in complete(events):
        call.apply(event)
    assert call.started_at is not None
    assert call.ended_at is not None
    who = answerer(call)
    status = status_of(call, who)
    return CallRecorded(
        call_id=call_id,
        tenant=tenant,
        caller=call.started.caller if call.started else "",
        dialled=call.started.dialled if call.started else "",
        answered_by=_answered_by(call, status, who),
        direction=direction_of(call, who),
        status=status,
        started_at=call.started_at,
        ringing_at=min((leg.ringing_at for leg in call.called.values() if leg.ringing_at), default=None),
        answered_at=(who or call.caller).answered_at,
        ended_at=call.ended_at,
        talk_seconds=talk_ms(call, who) / 1000,
        cause=call.ended.cause if call.ended else "",
        ended_by=call.ended.by if call.ended else "",
        trunk_id=_trunk_id(call, who),
        config_seq=call.config_seq,
        legs=tuple(_record_leg(leg) for leg in (call.caller_leg, *call.caller_devices.values(), *call.called.values())),
        transfers=tuple(call.transfers),
        parkings=tuple(call.parkings),
        queues=tuple(call.queues),
        pickup=call.pickup,
        took_over_call_id=call.took_over,
        account_code=call.account_code,
    )


def answerer(call: Call) -> Leg | None:
    """The called leg that the caller was connected to first; a fork's late answer that was never connected is nobody."""
    if call.bridged:
        return call.called.get(min(call.bridged, key=lambda leg_id: call.bridged[leg_id]))
    return min((leg for leg in call.called.values() if leg.answered_seq), key=lambda leg: leg.answered_seq, default=None)


def status_of(call: Call, who: Leg | None) -> RecordStatus:
    """How the call ended, seen from its caller."""
    if who is not None or call.took_over:
        return "answered"
    if call.caller.answered_seq and (call.first_system_step or not _made_for_caller(call)):
        return "self_service" if call.mailbox_id is None else "voicemail"
    cause, by = (call.ended.cause, call.ended.by) if call.ended else ("", "system")
    if cause not in _UNSPECIFIC:
        return BY_CAUSE.get(cause, "failed")
    if by == "caller":
        return "cancelled"
    return BY_RING_RESULT.get(call.ring_result or "", "failed")


def direction_of(call: Call, who: Leg | None) -> Direction:
    """Inbound from a trunk; else outbound when a trunk answered or was called first, or nobody was and the number is an outside one."""
    if call.started is None or call.started.direction == "inbound":
        return "inbound"
    towards = who or next(iter(call.called.values()), None)
    if towards is not None:
        return "outbound" if towards.trunk_id else "internal"
    outside = call.mailbox_id is None and not call.caller.answered_seq and call.started.dialled.startswith(("+", "0"))
    return "outbound" if outside else "internal"


def talk_ms(call: Call, who: Leg | None) -> int:
    """Milliseconds that the caller was connected to who answered, or to the system if nobody did.

    Media measures from the moment leg `a` was answered by a monotonic clock. That is the answer unless the system talked with the caller
    before or after the one who answered, or called it first; then the legs' times are, as far as they fit into what was measured. A call
    that was sent elsewhere counts as a whole.
    """
    measured = call.ended.talk_ms if call.ended else 0
    if who is None or who.answered_at is None or call.transfers or not _shared_with_system(call, who):
        return measured
    legs = [call.called[leg_id] for leg_id in call.bridged if leg_id in call.called] or [who]
    connected = sum(_milliseconds(leg.answered_at, leg.ended_at or call.ended_at) for leg in legs)
    return connected if 0 <= connected <= measured else measured


def _shared_with_system(call: Call, who: Leg) -> bool:
    if _made_for_caller(call):
        return True
    before = 0 < call.first_system_step < who.answered_seq and call.caller.answered_seq < who.answered_seq
    return before or call.last_decision > max(who.answered_seq, call.bridged.get(who.leg_id, 0))


def _made_for_caller(call: Call) -> bool:
    """The caller did not dial but was called first: that it picked up answers nothing."""
    return call.started is not None and bool(call.started.requested_by)


def _milliseconds(start: datetime | None, end: datetime | None) -> int:
    return round((end - start).total_seconds() * 1000) if start and end else 0


def _answered_by(call: Call, status: RecordStatus, who: Leg | None) -> str:
    if who is not None:
        return who.number or who.party if who.trunk_id else who.party or who.number
    return call.mailbox_id or "" if status == "voicemail" else ""


def _trunk_id(call: Call, who: Leg | None) -> str:
    if call.started is not None and call.started.trunk_id:
        return call.started.trunk_id
    if who is not None:
        return who.trunk_id
    return next((leg.trunk_id for leg in call.called.values() if leg.trunk_id), "")


def _record_leg(leg: Leg) -> RecordLeg:
    return RecordLeg(
        leg_id=leg.leg_id,
        party=leg.party,
        number=leg.number,
        offered_at=leg.offered_at,
        ringing_at=leg.ringing_at,
        answered_at=leg.answered_at,
        ended_at=leg.ended_at,
        cause=leg.cause,
        ended_by=leg.ended_by,
        quality=leg.quality,
    )
