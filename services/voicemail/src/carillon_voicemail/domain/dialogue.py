"""What a caller hears in a mailbox: `advance(call, cursor, outcome, config)` is the step that comes next, with its trace.

Always: the same arguments give the same decision; the dialogue ends in at most four steps; what the configuration says is settled at
the first one and travels in the cursor, so that a change in between, or another replica, gives no other answer. The message itself
is not taken here but when its recording is published, because a caller may just hang up.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from carillon_contracts.config import Announcement, Mailbox, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.phrases import Phrases, phrases_in
from carillon_voicemail.domain.steps import (
    CallFacts,
    Entered,
    Gather,
    Gathered,
    HangUp,
    Outcome,
    Play,
    Played,
    Prompt,
    Record,
    Recorded,
    Speech,
    Step,
    Trace,
    Voice,
)

PURPOSE = "voicemail"
#: What is shorter is a caller who changed their mind.
MIN_MS = 1000
FINISH_DIGITS = "#"
#: Pressed during the greeting of a box that has a PIN: whose box it is listens.
LISTEN_DIGIT = "*"
#: Between the end of the greeting and the beep where a digit may come. A digit ends the greeting when it begins and is told when it ends:
#: longer than a key is held.
_LISTEN_MS = 1000
_LANGUAGE = re.compile(r"[a-z]{2}(-[A-Z]{2})?")


class State(StrEnum):
    """What the caller is doing when media asks again."""

    GREETING = "greeting"
    RECORDING = "recording"
    GOODBYE = "goodbye"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the dialogue stands; travels with the call."""

    state: State
    mailbox_id: str
    language: str
    config_seq: int
    max_seconds: int = 0
    silence_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The step, where the dialogue stands then, and why."""

    step: Step
    cursor: Cursor
    trace: tuple[Trace, ...]


def advance(call: CallFacts, cursor: Cursor | None, outcome: Outcome, config: TenantConfig, spoken: str = "") -> Decision:
    """The next step; `spoken`: the greeting that was spoken by phone, if there is one. An outcome that does not belong to the cursor ends
    the call, and the trace says so."""
    match (cursor.state if cursor else None), outcome:
        case None, Entered(arguments):
            return _enter(arguments.get("mailbox_id", ""), arguments.get("language", ""), config, spoken)
        case State.GREETING, Played() | Gathered():
            assert cursor is not None
            return _record(call, cursor)
        case State.RECORDING, Recorded(kept):
            assert cursor is not None
            return _goodbye(cursor, bool(kept))
        case State.GOODBYE, Played():
            assert cursor is not None
            return Decision(HangUp(), cursor, (Trace(_subject(cursor), True, "all is said", "hang up"),))
        case state, _:
            seen = cursor or Cursor(State.GOODBYE, "", "", config.seq)
            reason = f"{type(outcome).__name__.lower()} does not follow {state or 'the beginning'}"
            return Decision(HangUp(), seen, (Trace(_subject(seen), False, reason, "hang up"),))


def _enter(mailbox_id: str, chosen: str, config: TenantConfig, spoken: str) -> Decision:
    """The language that the caller chose in a menu speaks the standard phrases; an own greeting keeps the one it is written in."""
    mailbox = config.mailboxes.get(mailbox_id)
    written_in = language_of(mailbox, config)
    language = chosen if _LANGUAGE.fullmatch(chosen) else written_in
    if mailbox is None:
        cursor = Cursor(State.GOODBYE, mailbox_id, language, config.seq)
        reason = f"no such mailbox in configuration {config.seq}" if mailbox_id else "no mailbox_id was given"
        step = Play((Speech(phrases_in(language).unknown_mailbox, language),))
        return Decision(step, cursor, (Trace(_subject(cursor), False, reason, "apology"),))
    cursor = Cursor(State.GREETING, mailbox_id, language, config.seq, mailbox.max_seconds, mailbox.silence_seconds)
    own: tuple[Prompt, ...] = tuple(_speech(announcement, written_in) for announcement in mailbox.greeting)
    if spoken:
        own, reason = (Voice(spoken),), "the greeting that was spoken by phone"
    else:
        reason = f"own greeting of {len(own)} phrases" if own else f"standard greeting in {language}"
    prompts = own or (Speech(phrases_in(language).greeting, language),)
    greeting = Gather(prompts, first_ms=_LISTEN_MS) if mailbox.pin_hash else Play(prompts)
    return Decision(greeting, cursor, (Trace(_subject(cursor), True, reason, "greeting"),))


def _record(call: CallFacts, cursor: Cursor) -> Decision:
    labels = {
        "purpose": PURPOSE,
        "mailbox_id": cursor.mailbox_id,
        "caller_number": call.caller_number,
        "caller_name": call.caller_name,
        "dialled": call.dialled,
    }
    labels = {name: value for name, value in labels.items() if value}
    step = Record(cursor.max_seconds * 1000, cursor.silence_seconds * 1000, MIN_MS, FINISH_DIGITS, labels)
    reason = f"at most {cursor.max_seconds} s, until {cursor.silence_seconds} s of silence or {FINISH_DIGITS}"
    return Decision(step, _at(cursor, State.RECORDING), (Trace(_subject(cursor), True, reason, "record"),))


def _goodbye(cursor: Cursor, kept: bool) -> Decision:
    phrases: Phrases = phrases_in(cursor.language)
    text = phrases.goodbye if kept else phrases.nothing_recorded
    reason = "a message was recorded" if kept else f"nothing of {MIN_MS} ms or more was said"
    step = Play((Speech(text, cursor.language),))
    return Decision(step, _at(cursor, State.GOODBYE), (Trace(_subject(cursor), kept, reason, "goodbye"),))


def language_of(mailbox: Mailbox | None, config: TenantConfig) -> str:
    """The mailbox's own language, or the tenant's."""
    if mailbox is not None and mailbox.language:
        return mailbox.language
    tenant = config.get(Tenant, config.tenant_id)
    return tenant.language if tenant else "en"


def _speech(announcement: Announcement, language: str) -> Speech:
    return Speech(announcement.text, announcement.language or language, announcement.audio_id)


def _at(cursor: Cursor, state: State) -> Cursor:
    return replace(cursor, state=state)


def _subject(cursor: Cursor) -> str:
    return f"mailbox/{cursor.mailbox_id}" if cursor.mailbox_id else "mailbox"
