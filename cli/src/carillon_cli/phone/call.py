"""What a test phone is, what it does when it is called, and what is known of each of its calls.

Always: a call's diary is in the order of what happened, with the loop's time.
"""

import asyncio
from dataclasses import dataclass, field

from carillon_cli.phone.rtp import AudioPort
from carillon_cli.phone.tones import Heard


class PhoneError(Exception):
    """The phone could not do what it was asked (register, be answered in time)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the phone is: SIP user, domain, and the password if it registers (a carrier has none)."""

    user: str
    domain: str
    password: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the phone does when it is called: refuse with `reject`, ring for ever, or answer after `ring_seconds`."""

    ring_seconds: float | None = 0.5
    reject: int | None = None
    #: Hang up after so long; None: leave it to the other side.
    talk_seconds: float | None = None

    def __str__(self) -> str:
        if self.reject is not None:
            return f"refuses with {self.reject}"
        if self.ring_seconds is None:
            return "rings and is not answered"
        then = "" if self.talk_seconds is None else f", and hangs up after {self.talk_seconds:g} s"
        return f"is answered after {self.ring_seconds:g} s{then}"


ANSWERS = Behaviour()
NEVER = Behaviour(ring_seconds=None)
BUSY = Behaviour(reject=486)


@dataclass(slots=True)
class PhoneCall:
    """One call of a phone, either way."""

    session: str
    peer: str
    incoming: bool
    audio: AudioPort
    sip_call_id: str
    #: Number of the caller as an incoming call shows it.
    shown: str = ""
    diary: list[tuple[float, str]] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    #: Final status of a call that was not answered; 0 otherwise.
    status: int = 0
    reason: str = ""
    #: Reason header of a CANCEL (RFC 3326).
    cancelled: str = ""
    up: bool = False
    version: int = 1
    answer_timer: asyncio.TimerHandle | None = None

    @property
    def heard(self) -> Heard:
        """What this side heard so far."""
        return self.audio.heard()

    def note(self, text: str) -> None:
        """A line of the diary, with the loop's time."""
        self.diary.append((asyncio.get_running_loop().time(), text))
