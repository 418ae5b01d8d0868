"""Where the dialogue of who listens to messages stands, what is known, and what is decided. See `listening`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.message import Message, MessageState
from carillon_voicemail.domain.steps import CallFacts, Step, Trace

#: What the digits were: the box's PIN (or, of a new one, the same again), something else, or nobody may try now; empty: not looked at.
Verdict = Literal["right", "wrong", "locked", ""]


class State(StrEnum):
    """What the caller is doing when media asks again."""

    BOX = "box"
    PIN = "pin"
    MAIN = "main"
    MESSAGE = "message"
    GREETING = "greeting"
    SPEAKING = "speaking"
    RECORDING = "recording"
    KEEPING = "keeping"
    NEW_PIN = "new_pin"
    PIN_AGAIN = "pin_again"
    GOODBYE = "goodbye"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the dialogue stands; travels with the call."""

    state: State
    mailbox_id: str
    language: str
    #: The extension that was typed, whether it has a box or not.
    box: str = ""
    #: Messages that are gone through, and which of them is heard.
    messages: tuple[str, ...] = ()
    at: int = 0
    #: It is deleted: the key takes it back.
    deleted: bool = False
    #: Nothing, or nothing that is known, was pressed; or the PIN was wrong.
    tries: int = 0
    #: What was recorded last.
    object: str = ""
    #: A hash of the new PIN, until it is typed again.
    pin_hash: str = ""
    #: A user's own phone dialled to listen: who hears this has the user's rights. Whom a user sent to a box, by transfer or deflection,
    #: comes in the user's name, but is somebody else.
    calls_back: bool = False

    def to_bytes(self) -> bytes:
        """As JSON."""
        return json.dumps({"listening": asdict(self)}, separators=(",", ":")).encode()


def cursor_of(raw: bytes) -> Cursor | None:
    """What `to_bytes` made; None: it is of another dialogue. Raises ValueError, KeyError or TypeError."""
    fields = json.loads(raw) if raw else {}
    if "listening" not in fields:
        return None
    found = fields["listening"]
    return Cursor(**{**found, "state": State(found["state"]), "messages": tuple(found["messages"])})


@dataclass(frozen=True, slots=True)
class Mark:
    """The message is in this state from now on."""

    message_id: UUID
    state: MessageState


@dataclass(frozen=True, slots=True)
class HashPin:
    """The cursor gets a hash of it."""

    pin: str


@dataclass(frozen=True, slots=True)
class SetPin:
    """It is the box's PIN from now on; then `done` decides."""

    pin: str


@dataclass(frozen=True, slots=True)
class KeepGreeting:
    """It is the box's greeting from now on; then `done` decides."""

    object: str


@dataclass(frozen=True, slots=True)
class DropGreeting:
    """The box's greeting is that of the configuration again; then `done` decides."""


Act = Mark | HashPin | SetPin | KeepGreeting | DropGreeting


@dataclass(frozen=True, slots=True)
class Decision:
    """The step, where the dialogue stands then, why, and what is to be done before the step, in order."""

    step: Step
    cursor: Cursor
    trace: Trace
    acts: tuple[Act, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known: of the call, the configuration, and the box's messages, those of the cursor that are deleted among them."""

    call: CallFacts
    config: TenantConfig
    now: datetime
    messages: Sequence[Message] = ()
