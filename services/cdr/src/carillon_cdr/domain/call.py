"""What is known of a call after some of its events: `Call.apply` takes them in the order of `seq`, and never refuses.

Always: the state depends on the events and their `seq` alone, never on when or in which order they arrived. A `Call` is built up in
place, because thousands are folded a second; whoever folds owns it and hands out values only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from carillon_cdr.domain import queues
from carillon_contracts.call import (
    CALL_EVENTS,
    CallBridged,
    CallEnded,
    CallParked,
    CallPickedUp,
    CallStarted,
    CallTookOver,
    CallTransferred,
    DigitsGathered,
    LegAnswered,
    LegEnded,
    LegOffered,
    LegQuality,
    LegRinging,
    LegTransferred,
    ParkEnded,
    PlayEnded,
    RecordingFinished,
    RecordingStarted,
    RingEnded,
    RingResultName,
    RoutingDecided,
    TransferEnded,
)
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.record import RecordParking, RecordPickup, RecordQueue, RecordTransfer

#: The caller's leg.
CALLER_LEG = "a"
TRUNK_PREFIX = "trunk:"
VOICEMAIL = "voicemail"


@dataclass(slots=True)
class Leg:
    """One leg; `answered_seq` orders answers independently of any clock."""

    leg_id: str
    party: str = ""
    number: str = ""
    offered_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    answered_seq: int = 0
    ended_at: datetime | None = None
    cause: str = ""
    ended_by: str = ""
    quality: LegQuality | None = None

    @property
    def trunk_id(self) -> str:
        """The trunk that it leads to, or empty."""
        return self.party.removeprefix(TRUNK_PREFIX) if self.party.startswith(TRUNK_PREFIX) else ""


@dataclass(slots=True)
class Call:
    """A call so far."""

    started: CallStarted | None = None
    started_at: datetime | None = None
    #: The caller's; also there when its beginning could not be read.
    caller_leg: Leg = field(default_factory=lambda: Leg(CALLER_LEG))
    #: Called legs in the order of being offered.
    called: dict[str, Leg] = field(default_factory=dict)
    #: Further devices of a caller for whom the call was made: `a2`, `a3`, ...; `a` is the first.
    caller_devices: dict[str, Leg] = field(default_factory=dict)
    #: In order; the last one of a leg is the one that a later end of it is about.
    transfers: list[RecordTransfer] = field(default_factory=list)
    parkings: list[RecordParking] = field(default_factory=list)
    queues: list[RecordQueue] = field(default_factory=list)
    #: Targets that ring, and since when.
    rung: tuple[str, ...] = ()
    rung_at: datetime | None = None
    pickup: RecordPickup | None = None
    took_over: str = ""
    account_code: str = ""
    #: Called legs that were bridged with the caller, in order, with the seq of the first bridge.
    bridged: dict[str, int] = field(default_factory=dict)
    ring_result: RingResultName | None = None
    mailbox_id: str | None = None
    #: Seq of the first play, gather or record, and of the last decision.
    first_system_step: int = 0
    last_decision: int = 0
    config_seq: int = 0
    ended: CallEnded | None = None
    ended_at: datetime | None = None

    def apply(self, event: Event) -> None:
        """One more event; they come by rising seq. What this version does not understand changes nothing but the time."""
        self.started_at = self.started_at or event.time
        self.ended_at = event.time
        data = read(event)
        if data is not None and (handle := _HANDLERS.get(type(data))) is not None:
            handle(self, event, event.seq or 0, data)

    def leg(self, event: Event) -> Leg:
        """The leg that the event is about."""
        leg_id = event.legid or CALLER_LEG
        if leg_id == CALLER_LEG:
            return self.caller_leg
        legs = self.caller_devices if is_callers(leg_id) else self.called
        return legs.setdefault(leg_id, Leg(leg_id))

    @property
    def caller(self) -> Leg:
        """The caller's device that answered, if one did; else its first."""
        return next((leg for leg in (self.caller_leg, *self.caller_devices.values()) if leg.answered_seq), self.caller_leg)


def is_callers(leg_id: str) -> bool:
    """Whether the leg is a device of the caller's side."""
    return leg_id.startswith(CALLER_LEG)


def read(event: Event) -> EventData | None:
    """The event's data as its type says; None for a type or data that this version does not understand."""
    kind = CALL_EVENTS.get(event.type)
    if kind is None:
        return None
    try:
        return kind.model_validate(event.data)
    except ValidationError:
        return None


def _started(call: Call, event: Event, seq: int, data: CallStarted) -> None:
    call.started, call.started_at = data, event.time
    leg = call.caller_leg
    leg.party = data.caller_user_id or (f"{TRUNK_PREFIX}{data.trunk_id}" if data.trunk_id else "")
    leg.number, leg.offered_at = data.caller, event.time


def _decided(call: Call, event: Event, seq: int, data: RoutingDecided) -> None:
    call.last_decision = seq
    call.config_seq = call.config_seq or event.configseq or 0
    queues.placed(call.queues, event.time, data.details)
    if data.step == "ring":
        call.rung, call.rung_at = _targets(data.details), event.time
        call.account_code = str(data.details.get("account_code", "")) or call.account_code
    if data.step != "delegate":
        return
    details = data.details.get("delegate", data.details)
    if isinstance(details, dict) and details.get("application") == VOICEMAIL:
        arguments = details.get("arguments")
        call.mailbox_id = str(arguments.get("mailbox_id", "")) if isinstance(arguments, dict) else ""


def _targets(details: Mapping[str, Any]) -> tuple[str, ...]:
    targets = details.get("targets")
    found = (target.get("target_id", "") for target in targets if isinstance(target, dict)) if isinstance(targets, list) else ()
    return tuple(str(target_id) for target_id in found)


def _offered(call: Call, event: Event, seq: int, data: LegOffered) -> None:
    leg = call.leg(event)
    leg.party, leg.number, leg.offered_at = data.party, data.number, event.time


def _ringing(call: Call, event: Event, seq: int, data: LegRinging) -> None:
    leg = call.leg(event)
    leg.ringing_at = leg.ringing_at or event.time


def _answered(call: Call, event: Event, seq: int, data: LegAnswered) -> None:
    leg = call.leg(event)
    if not leg.answered_seq:
        leg.answered_at, leg.answered_seq = event.time, seq


def _bridged(call: Call, event: Event, seq: int, data: CallBridged) -> None:
    for leg_id in data.legs:
        if not is_callers(leg_id):
            call.bridged.setdefault(leg_id, seq)


def _leg_ended(call: Call, event: Event, seq: int, data: LegEnded) -> None:
    leg = call.leg(event)
    leg.ended_at, leg.cause, leg.ended_by, leg.quality = event.time, data.cause, data.by, data.quality


def _leg_transferred(call: Call, event: Event, seq: int, data: LegTransferred) -> None:
    leg = call.leg(event)
    call.transfers.append(RecordTransfer(at=event.time, kind="blind", by_leg=leg.leg_id, by=leg.party, destination=data.destination))


def _transfer_ended(call: Call, event: Event, seq: int, data: TransferEnded) -> None:
    for place in reversed(range(len(call.transfers))):
        known = call.transfers[place]
        if known.kind == "blind" and known.by_leg == event.legid and not known.result:
            call.transfers[place] = known.model_copy(update={"result": data.result})
            return


def _transferred(call: Call, event: Event, seq: int, data: CallTransferred) -> None:
    leg = call.leg(event)
    attended = RecordTransfer(
        at=event.time,
        kind="attended",
        by_leg=leg.leg_id,
        by=leg.party,
        result="answered",
        other_call_id=data.other_call_id,
        goes_on=data.goes_on,
    )
    call.transfers.append(attended)


def _parked(call: Call, event: Event, seq: int, data: CallParked) -> None:
    call.parkings.append(RecordParking(at=event.time, slot=data.slot, parked_by=data.parked_by))


def _park_ended(call: Call, event: Event, seq: int, data: ParkEnded) -> None:
    if call.parkings and not call.parkings[-1].result:
        ended = {"until": event.time, "result": data.result, "taken_by": data.by}
        call.parkings[-1] = call.parkings[-1].model_copy(update=ended)


def _picked_up(call: Call, event: Event, seq: int, data: CallPickedUp) -> None:
    call.pickup = RecordPickup(at=event.time, by=data.by, rung=data.rung_party)


def _took_over(call: Call, event: Event, seq: int, data: CallTookOver) -> None:
    call.took_over = data.other_call_id


def _ring_ended(call: Call, event: Event, seq: int, data: RingEnded) -> None:
    call.ring_result = data.result
    queues.rang(call.queues, call.rung_at or event.time, event.time, data.targets)
    call.rung = ()


def _system_step(call: Call, event: Event, seq: int, data: PlayEnded | DigitsGathered) -> None:
    call.first_system_step = call.first_system_step or seq


def _recording(call: Call, event: Event, seq: int, data: RecordingStarted | RecordingFinished) -> None:
    call.first_system_step = call.first_system_step or seq
    if data.labels.get("purpose") == VOICEMAIL:
        call.mailbox_id = data.labels.get("mailbox_id", call.mailbox_id or "")


def _ended(call: Call, event: Event, seq: int, data: CallEnded) -> None:
    call.ended = data
    queues.over(call.queues, event.time, call.rung, call.rung_at or event.time)


_HANDLERS: Mapping[type[EventData], Callable[[Call, Event, int, Any], None]] = {
    CallStarted: _started,
    RoutingDecided: _decided,
    LegOffered: _offered,
    LegRinging: _ringing,
    LegAnswered: _answered,
    CallBridged: _bridged,
    LegTransferred: _leg_transferred,
    TransferEnded: _transfer_ended,
    CallTransferred: _transferred,
    CallParked: _parked,
    ParkEnded: _park_ended,
    CallPickedUp: _picked_up,
    CallTookOver: _took_over,
    LegEnded: _leg_ended,
    RingEnded: _ring_ended,
    PlayEnded: _system_step,
    DigitsGathered: _system_step,
    RecordingStarted: _recording,
    RecordingFinished: _recording,
    CallEnded: _ended,
}
