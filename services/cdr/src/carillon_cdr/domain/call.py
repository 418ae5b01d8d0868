"""What is known of a call after some of its events: `evolve` folds them in the order of `seq`, and never refuses.

Always: the state depends on the events and their `seq` alone, never on when or in which order they arrived.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import ValidationError

from carillon_contracts.call import (
    CALL_EVENTS,
    CallBridged,
    CallEnded,
    CallStarted,
    DigitsGathered,
    LegAnswered,
    LegEnded,
    LegOffered,
    LegRinging,
    PlayEnded,
    RecordingFinished,
    RecordingStarted,
    RingEnded,
    RingResultName,
    RoutingDecided,
)
from carillon_contracts.envelope import Event, EventData

#: The caller's leg.
CALLER_LEG = "a"
TRUNK_PREFIX = "trunk:"
VOICEMAIL = "voicemail"


@dataclass(frozen=True, slots=True)
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

    @property
    def trunk_id(self) -> str:
        """The trunk that it leads to, or empty."""
        return self.party.removeprefix(TRUNK_PREFIX) if self.party.startswith(TRUNK_PREFIX) else ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call so far."""

    started: CallStarted | None = None
    started_at: datetime | None = None
    #: In the order of being offered, the caller's first.
    legs: dict[str, Leg] = field(default_factory=dict)
    #: Called legs that were bridged with the caller, in order, with the seq of the first bridge.
    bridged: dict[str, int] = field(default_factory=dict)
    ring_result: RingResultName | None = None
    mailbox_id: str | None = None
    #: Seq of the last play, gather or record, and of the last decision.
    first_system_step: int = 0
    last_decision: int = 0
    config_seq: int = 0
    ended: CallEnded | None = None
    ended_at: datetime | None = None


def read(event: Event) -> EventData | None:
    """The event's data as its type says; None for a type or data that this version does not understand."""
    kind = CALL_EVENTS.get(event.type)
    if kind is None:
        return None
    try:
        return kind.model_validate(event.data)
    except ValidationError:
        return None


def evolve(call: Call, event: Event) -> Call:
    """The call after one more event; events come by rising seq."""
    if call.started_at is None:
        call = replace(call, started_at=event.time)
    call = replace(call, ended_at=event.time)
    seq = event.seq or 0
    match read(event):
        case CallStarted() as started:
            return _started(call, event, started)
        case RoutingDecided() as decided:
            return _decided(call, event, seq, decided)
        case LegOffered(party=party, number=number):
            return _leg(call, event, party=party, number=number, offered_at=event.time)
        case LegRinging():
            return _leg_once(call, event, "ringing_at")
        case LegAnswered():
            return _answered(call, event, seq)
        case CallBridged(legs=legs):
            new = {leg: seq for leg in legs if leg != CALLER_LEG and leg not in call.bridged}
            return replace(call, bridged={**call.bridged, **new})
        case LegEnded(cause=cause, by=by):
            return _leg(call, event, ended_at=event.time, cause=cause, ended_by=by)
        case RingEnded(result=result):
            return replace(call, ring_result=result)
        case PlayEnded() | DigitsGathered():
            return _system_step(call, seq)
        case RecordingStarted(labels=labels) | RecordingFinished(labels=labels):
            return _mailbox(_system_step(call, seq), labels if labels.get("purpose") == VOICEMAIL else {})
        case CallEnded() as ended:
            return replace(call, ended=ended)
        case _:
            return call


def _started(call: Call, event: Event, started: CallStarted) -> Call:
    party = started.caller_user_id or (f"{TRUNK_PREFIX}{started.trunk_id}" if started.trunk_id else "")
    leg = Leg(CALLER_LEG, party, started.caller, offered_at=event.time)
    return replace(call, started=started, started_at=event.time, legs={CALLER_LEG: leg, **call.legs})


def _decided(call: Call, event: Event, seq: int, decided: RoutingDecided) -> Call:
    call = replace(call, last_decision=seq, config_seq=call.config_seq or event.configseq or 0)
    if decided.step != "delegate":
        return call
    details = decided.details.get("delegate", decided.details)
    if not isinstance(details, dict) or details.get("application") != VOICEMAIL:
        return call
    arguments = details.get("arguments")
    return _mailbox(call, arguments if isinstance(arguments, dict) else {}, entered=True)


def _mailbox(call: Call, names: dict[str, str], *, entered: bool = False) -> Call:
    mailbox_id = names.get("mailbox_id")
    if mailbox_id is None and not entered:
        return call
    return replace(call, mailbox_id=str(mailbox_id or ""))


def _system_step(call: Call, seq: int) -> Call:
    return replace(call, first_system_step=call.first_system_step or seq)


def _answered(call: Call, event: Event, seq: int) -> Call:
    leg = call.legs.get(event.legid or CALLER_LEG)
    if leg is not None and leg.answered_seq:
        return call
    return _leg(call, event, answered_at=event.time, answered_seq=seq)


def _leg_once(call: Call, event: Event, field_name: str) -> Call:
    leg = call.legs.get(event.legid or CALLER_LEG)
    if leg is not None and getattr(leg, field_name) is not None:
        return call
    return _leg(call, event, **{field_name: event.time})


def _leg(call: Call, event: Event, **changes: object) -> Call:
    leg_id = event.legid or CALLER_LEG
    leg = replace(call.legs.get(leg_id, Leg(leg_id)), **changes)  # type: ignore[arg-type]
    return replace(call, legs={**call.legs, leg_id: leg})
