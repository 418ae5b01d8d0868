"""How a caller comes into a conference room: `advance(call, cursor, outcome, config, now, verdict)` is the step that comes next.

Always: the same arguments give the same decision. Secrets are not looked at here: the shell says by `verdict` what the digits were. A call
has `TRIES` tries; those of a caller and of a room are counted by the shell, and survive restarts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args

from carillon_contracts.config import ConferenceRoom, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.conference_phrases import ConferencePhrases, phrases_in

TRIES = 3
FINISH = "#"
#: `**` and 12 digits.
MAX_DIGITS = 14
CREATOR_PREFIX = "**"
#: What the digits were: the creator's PIN, the participants' password, neither, or nobody may try now.
Verdict = Literal["creator", "participant", "wrong", "locked", ""]
#: `warned`: is told that the room is recorded, then enters it, as a creator or not.
State = Literal["asking", "warned", "warned_creator", "inside", "goodbye"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    number: str = ""
    name: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the dialogue stands; travels with the call."""

    room_id: str
    language: str
    state: State
    tries: int = 0
    config_seq: int = 0

    def to_bytes(self) -> bytes:
        """As JSON."""
        fields = {"conference": self.room_id, "language": self.language, "state": self.state, "tries": self.tries, "seq": self.config_seq}
        return json.dumps(fields, separators=(",", ":")).encode()


def cursor_of(raw: bytes) -> Cursor | None:
    """What `to_bytes` made; None: it is of another dialogue. Raises ValueError or KeyError."""
    fields = json.loads(raw) if raw else {}
    if "conference" not in fields:
        return None
    states: tuple[State, ...] = get_args(State)
    state: State = next((known for known in states if known == fields["state"]), "goodbye")
    return Cursor(str(fields["conference"]), str(fields["language"]), state, int(fields["tries"]), int(fields["seq"]))


@dataclass(frozen=True, slots=True)
class Say:
    """Speak, then ask again."""

    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Speak and gather what may be a secret, until `#`."""

    text: str


@dataclass(frozen=True, slots=True)
class Enter:
    """Into the room."""

    room: ConferenceRoom
    creator: bool
    waits: bool
    party_name: str
    language: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """The end."""


Step = Say | Ask | Enter | HangUp


@dataclass(frozen=True, slots=True)
class Decision:
    """The step, where the dialogue stands then, and why."""

    step: Step
    cursor: Cursor
    subject: str
    matched: bool
    reason: str


def begin(caller: Caller, arguments: Mapping[str, str], config: TenantConfig, now: datetime) -> Decision:
    """The caller was sent here."""
    room_id = arguments.get("conference_room_id", "")
    room = config.conference_rooms.get(room_id)
    language = arguments.get("language", "") or (room.language if room is not None else "") or _tenant_language(config)
    cursor, phrases = Cursor(room_id, language, "asking", 0, config.seq), phrases_in(language)
    if room is None:
        return _end(cursor, phrases.unknown, "there is no such room")
    if (room.period_from and now < room.period_from) or (room.period_to and now >= room.period_to):
        return _end(cursor, phrases.closed, f"outside {room.period_from or 'always'} to {room.period_to or 'always'}")
    if room.owner_user_id and room.owner_user_id == caller.user_id:
        return _enter(caller, cursor, room, creator=True, reason="the owner's own line")
    if not room.creator_pin_hash and not room.participant_password_hash:
        return _enter(caller, cursor, room, creator=True, reason="the room has neither PIN nor password")
    return _ask(cursor, room, phrases, "asks for PIN or password")


def typed(caller: Caller, cursor: Cursor, config: TenantConfig, digits: str, verdict: Verdict) -> Decision:
    """The caller typed something, or nothing."""
    room, phrases = config.conference_rooms.get(cursor.room_id), phrases_in(cursor.language)
    if room is None:
        return _end(cursor, phrases.unknown, "the room is there no more")
    if verdict == "creator":
        return _enter(caller, cursor, room, creator=True, reason="the creator's PIN")
    if verdict == "participant" or (not room.participant_password_hash and not digits.startswith("*")):
        return _enter(caller, cursor, room, creator=False, reason="a participant")
    if verdict == "locked":
        return _end(cursor, phrases.locked_out, "too many wrong tries; nobody may try now")
    tried = replace(cursor, tries=cursor.tries + 1)
    if tried.tries >= TRIES:
        return _end(tried, phrases.wrong, f"{TRIES} wrong tries in this call")
    return _ask(tried, room, phrases, f"wrong, try {tried.tries} of {TRIES}", before=phrases.wrong)


def warned(caller: Caller, cursor: Cursor, config: TenantConfig) -> Decision:
    """The caller knows that the room is recorded."""
    room = config.conference_rooms.get(cursor.room_id)
    if room is None:
        return _end(cursor, phrases_in(cursor.language).unknown, "the room is there no more")
    return _inside(caller, cursor, room, creator=cursor.state == "warned_creator", reason="was told that it is recorded")


def came_out(cursor: Cursor, result: str) -> Decision:
    """Out of the room, or not let in."""
    phrases = phrases_in(cursor.language)
    text = {"full": phrases.full, "locked": phrases.locked, "kicked": phrases.kicked, "closed": phrases.over}.get(result, phrases.over)
    return _end(cursor, text, f"out of the room: {result}")


def goodbye(cursor: Cursor) -> Decision:
    """All is said."""
    return Decision(HangUp(), cursor, _subject(cursor), True, "all is said")


def wants_creator(digits: str) -> str:
    """The PIN in `**PIN`; empty: none was typed."""
    return digits.removeprefix(CREATOR_PREFIX) if digits.startswith(CREATOR_PREFIX) else ""


def _ask(cursor: Cursor, room: ConferenceRoom, phrases: ConferencePhrases, reason: str, before: str = "") -> Decision:
    text = phrases.ask_password if room.participant_password_hash else phrases.ask_creator
    return Decision(Ask(f"{before} {text}".strip()), cursor, _subject(cursor), True, reason)


def _enter(caller: Caller, cursor: Cursor, room: ConferenceRoom, *, creator: bool, reason: str) -> Decision:
    if not room.recording:
        return _inside(caller, cursor, room, creator=creator, reason=reason)
    state: State = "warned_creator" if creator else "warned"
    said = Say(phrases_in(cursor.language).recorded)
    return Decision(said, replace(cursor, state=state), _subject(cursor), True, f"{reason}; the room is recorded")


def _inside(caller: Caller, cursor: Cursor, room: ConferenceRoom, *, creator: bool, reason: str) -> Decision:
    name = caller.name or caller.number
    step = Enter(room, creator, bool(room.creator_pin_hash), name, cursor.language)
    return Decision(step, replace(cursor, state="inside"), _subject(cursor), True, reason)


def _end(cursor: Cursor, text: str, reason: str) -> Decision:
    return Decision(Say(text), replace(cursor, state="goodbye"), _subject(cursor), False, reason)


def _subject(cursor: Cursor) -> str:
    return f"conference_room/{cursor.room_id}"


def _tenant_language(config: TenantConfig) -> str:
    return config.tenant.language if config.all(Tenant) else "en"
