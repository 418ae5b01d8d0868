"""A call as a ladder: the caller, Carillon and each called leg as columns, what passed between them as arrows, time downward.

Always: made from the call's published events alone, one row per event, in the order of `seq`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from carillon_contracts.call import (
    CALL_EVENTS,
    CallBridged,
    CallControlled,
    CallEnded,
    CallEvent,
    CallParked,
    CallPickedUp,
    CallResumed,
    CallStarted,
    CallSupervised,
    CallTookOver,
    CallTransferred,
    ConferenceJoined,
    ConferenceLeft,
    DigitsGathered,
    DoorOpened,
    LegAnswered,
    LegDeflected,
    LegEnded,
    LegHeld,
    LegOffered,
    LegReplaced,
    LegResumed,
    LegRinging,
    LegTransferred,
    PageEnded,
    ParkEnded,
    PlayEnded,
    RecordingFinished,
    RecordingStarted,
    RingEnded,
    RoutingDecided,
    ToneDetected,
    TransferEnded,
    WaitEnded,
)
from carillon_contracts.envelope import Event

WIDTH = 30
TIME_WIDTH = 11
CALLER = "a"
SYSTEM = "carillon"


@dataclass(frozen=True, slots=True)
class Arrow:
    """Something that passes from one column to another; `both` ways for audio."""

    source: str
    target: str
    text: str
    both: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Something that Carillon does by itself."""

    text: str


def parse(event: Event) -> CallEvent | None:
    """The event's data, typed; None for an event of a kind that this version does not know."""
    kind = CALL_EVENTS.get(event.type)
    return None if kind is None else kind.model_validate(event.data)  # type: ignore[return-value]


def ended_text(data: LegEnded) -> str:
    """`486 user_busy`"""
    return f"{data.sip_status} {data.cause}" if data.sip_status >= 300 else data.cause


def feature_text(data: CallParked | ParkEnded | CallPickedUp | CallTookOver | CallSupervised | PageEnded | DoorOpened) -> str:
    """`parked at 701 by elise`"""
    match data:
        case CallParked():
            return f"parked at {data.slot} by {data.parked_by or 'itself'}"
        case ParkEnded(by=by):
            return f"{data.slot}: {data.result.replace('_', ' ')}" + (f" by {by}" if by else "")
        case CallPickedUp():
            return f"picked up by {data.by}"
        case CallTookOver():
            return f"{data.how.replace('_', ' ')} {data.other_call_id[-8:]}"
        case CallSupervised():
            return f"{data.supervisor}: {data.mode} {data.supervised}"
        case PageEnded():
            return f"page over, {data.reached} listened"
        case DoorOpened():
            return f"door opened by {data.by}"


def mark(leg: str, data: CallEvent) -> Arrow | Note:
    """What an event looks like in the ladder."""
    match data:
        case CallStarted():
            return Arrow(CALLER, SYSTEM, f"calls {data.dialled}")
        case RoutingDecided():
            return Note(f"{data.application}: {data.step.replace('_', ' ')}")
        case LegOffered():
            return Arrow(SYSTEM, leg, f"rings {data.number}".strip())
        case LegRinging():
            return Arrow(leg, SYSTEM, "ringing" if data.sip_status == 180 else f"{data.sip_status} progress")
        case LegAnswered():
            return Arrow(SYSTEM, CALLER, "answered") if leg == CALLER else Arrow(leg, SYSTEM, "answers")
        case CallBridged():
            return Arrow(data.legs[0], data.legs[1], "audio both ways", both=True)
        case LegHeld():
            return Arrow(leg, SYSTEM, "holds")
        case LegResumed():
            return Arrow(leg, SYSTEM, "resumes")
        case LegTransferred():
            return Arrow(leg, SYSTEM, f"sends {data.kept} to {data.destination}")
        case LegDeflected():
            return Arrow(leg, SYSTEM, f"names {data.destination}")
        case TransferEnded():
            return Note(f"transfer {data.result.replace('_', ' ')}")
        case CallTransferred():
            return Arrow(leg, SYSTEM, "joins its other call" if data.goes_on else "hands over to its other call")
        case CallParked() | ParkEnded() | CallPickedUp() | CallTookOver() | CallSupervised() | PageEnded() | DoorOpened():
            return Note(feature_text(data))
        case CallControlled():
            return Note(f"{data.requested_by} asks: {data.action.replace('_', ' ')}")
        case LegReplaced():
            return Arrow(leg, SYSTEM, f"goes on as {data.replaced_by}")
        case CallResumed():
            return Note(f"another process goes on after {data.away_ms / 1000:.1f} s, audio went on")
        case LegEnded():
            own = data.by == ("caller" if leg == CALLER else "callee")
            text = "hangs up" if own and data.cause == "normal_clearing" else ended_text(data)
            return Arrow(leg, SYSTEM, text) if own else Arrow(SYSTEM, leg, text)
        case RingEnded():
            return Note(f"ringing is over: {data.result.replace('_', ' ')}")
        case PlayEnded():
            return Arrow(SYSTEM, CALLER, f"speaks {data.duration_ms / 1000:.1f} s")
        case ToneDetected():
            return Arrow(leg, SYSTEM, f"tone: {data.tone}")
        case DigitsGathered():
            return Arrow(CALLER, SYSTEM, "keys (secret)" if data.digits is None else f"keys {data.digits}" if data.digits else "no key")
        case WaitEnded():
            return Note(f"the wait is over: {data.end.replace('_', ' ')} {data.digit}".rstrip())
        case ConferenceJoined():
            return Arrow(leg, SYSTEM, f"in {data.room_id}" + (", creator" if data.creator else ""))
        case ConferenceLeft():
            return Arrow(leg, SYSTEM, f"out of {data.room_id}: {data.result}")
        case RecordingStarted():
            return Arrow(SYSTEM, CALLER, "records")
        case RecordingFinished():
            return Arrow(CALLER, SYSTEM, f"message {data.duration_ms / 1000:.1f} s")
        case CallEnded():
            return Note(f"call ended by {data.by}: {data.cause}, talk {data.talk_ms / 1000:.1f} s")
    assert_never(data)


@dataclass(slots=True)
class _Grid:
    """Columns by name with the character position of each; `alive` says whose life line is drawn."""

    columns: list[str]
    alive: set[str]

    def at(self, column: str) -> int:
        return TIME_WIDTH + self.columns.index(column) * WIDTH

    def row(self, time: str) -> list[str]:
        cells = list(f"{time:>{TIME_WIDTH - 3}}".ljust(TIME_WIDTH + len(self.columns) * WIDTH))
        for column in self.alive:
            cells[self.at(column)] = "|"
        return cells

    def note(self, cells: list[str], text: str) -> None:
        start = self.at(SYSTEM) + 2
        cells[start : start + len(text)] = list(text)

    def arrow(self, cells: list[str], arrow: Arrow) -> None:
        left, right = sorted((self.at(arrow.source), self.at(arrow.target)))
        line: Literal["=", "-"] = "=" if arrow.both else "-"
        span = right - left - 1
        body = list(f" {arrow.text[: span - 6]} ".center(span, line))
        if arrow.both or self.at(arrow.target) > self.at(arrow.source):
            body[-1] = ">"
        if arrow.both or self.at(arrow.target) < self.at(arrow.source):
            body[0] = "<"
        cells[left], cells[right] = "|", "|"
        cells[left + 1 : right] = body


def titles(parsed: Sequence[tuple[Event, CallEvent]]) -> dict[str, str]:
    """Column -> title, in the order of appearance, the caller and Carillon first."""
    found = {CALLER: "caller", SYSTEM: "Carillon"}
    for event, data in parsed:
        if isinstance(data, CallStarted):
            found[CALLER] = f"a {data.caller_user_id or data.caller or 'withheld'}"
        elif isinstance(data, LegOffered):
            found[event.legid or ""] = f"{event.legid} {data.party}"
        elif event.legid:
            found.setdefault(event.legid, event.legid)
    return found


def ladder(events: Sequence[Event]) -> list[str]:
    """The rows. Events of other calls must not be among them."""
    ordered = sorted(events, key=lambda event: event.seq or 0)
    parsed = [(event, data) for event in ordered if (data := parse(event)) is not None]
    if not parsed:
        return ["(no events of this call)"]
    heads = titles(parsed)
    grid = _Grid(list(heads), {CALLER, SYSTEM})
    start = parsed[0][0].time
    rows = ["".join([" " * (TIME_WIDTH - 2), *(title[: WIDTH - 2].ljust(WIDTH) for title in heads.values())])]
    for event, data in parsed:
        leg = event.legid or CALLER
        shown = mark(leg, data)
        if isinstance(data, LegOffered):
            grid.alive.add(leg)
        cells = grid.row(f"+{(event.time - start).total_seconds():.3f}")
        if isinstance(shown, Note):
            grid.note(cells, shown.text)
        else:
            grid.arrow(cells, shown)
        if isinstance(data, LegEnded):
            grid.alive.discard(leg)
        rows.append("".join(cells))
    return [row.rstrip() for row in rows]
