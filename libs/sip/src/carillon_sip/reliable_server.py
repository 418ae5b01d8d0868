"""Reliable provisional responses that we send (RFC 3262 section 3): one table, one machine for each unanswered INVITE.

Invariant: at most one response is unacknowledged; those after it wait in order; RSeq counts up by one.
"""

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from carillon_sip.errors import WrongState
from carillon_sip.timers import Alarm

#: Provisional responses that may wait behind the unacknowledged one.
MAX_WAITING = 16


class State(StrEnum):
    """Whether a response waits for its PRACK, with a session description or without; whether our 200 waits too."""

    FREE = "free"
    UNACKED = "unacked"
    DESCRIBED = "described"
    HELD = "held"
    OVER = "over"


class Input(StrEnum):
    """What the user wants, a PRACK that matches, and the two timers."""

    PROVISIONAL = "1xx without description"
    DESCRIPTION = "1xx with description"
    ACCEPT = "2xx"
    REFUSE = "300-699"
    PRACK = "prack"
    TIMER_RETRANSMIT = "timer_retransmit"
    TIMER_GIVE_UP = "timer_give_up"


class Effect(StrEnum):
    """What a transition does besides changing state."""

    SEND = "number it, send it, arm both timers"
    QUEUE = "keep it for later"
    RESEND = "send it again, wait twice as long"
    ACKED = "stop the timers"
    NEXT = "take the next from the queue"
    HOLD = "keep the 2xx until the PRACK"
    ACCEPT = "send the 2xx"
    GIVE_UP = "refuse the INVITE with 504"


_S, _I, _E = State, Input, Effect

#: RFC 3262 section 3, in order of its paragraphs.
TRANSITIONS: Mapping[tuple[State, Input], tuple[State, tuple[Effect, ...]]] = {
    (_S.FREE, _I.PROVISIONAL): (_S.UNACKED, (_E.SEND,)),
    (_S.FREE, _I.DESCRIPTION): (_S.DESCRIBED, (_E.SEND,)),
    (_S.FREE, _I.ACCEPT): (_S.OVER, (_E.ACCEPT,)),
    (_S.FREE, _I.REFUSE): (_S.OVER, ()),
    # "A UAS MUST NOT send a second reliable provisional response until the first is acknowledged."
    (_S.UNACKED, _I.PROVISIONAL): (_S.UNACKED, (_E.QUEUE,)),
    (_S.UNACKED, _I.DESCRIPTION): (_S.UNACKED, (_E.QUEUE,)),
    (_S.UNACKED, _I.ACCEPT): (_S.OVER, (_E.ACKED, _E.ACCEPT)),
    (_S.UNACKED, _I.REFUSE): (_S.OVER, (_E.ACKED,)),
    (_S.UNACKED, _I.PRACK): (_S.FREE, (_E.ACKED, _E.NEXT)),
    (_S.UNACKED, _I.TIMER_RETRANSMIT): (_S.UNACKED, (_E.RESEND,)),
    (_S.UNACKED, _I.TIMER_GIVE_UP): (_S.OVER, (_E.ACKED, _E.GIVE_UP)),
    (_S.DESCRIBED, _I.PROVISIONAL): (_S.DESCRIBED, (_E.QUEUE,)),
    (_S.DESCRIBED, _I.DESCRIPTION): (_S.DESCRIBED, (_E.QUEUE,)),
    # "if ... any of the unacknowledged reliable provisional responses contained a session description ... it MUST NOT send a
    # final response until those provisional responses are acknowledged."
    (_S.DESCRIBED, _I.ACCEPT): (_S.HELD, (_E.HOLD,)),
    (_S.DESCRIBED, _I.REFUSE): (_S.OVER, (_E.ACKED,)),
    (_S.DESCRIBED, _I.PRACK): (_S.FREE, (_E.ACKED, _E.NEXT)),
    (_S.DESCRIBED, _I.TIMER_RETRANSMIT): (_S.DESCRIBED, (_E.RESEND,)),
    # "If a reliable provisional response is retransmitted for 64*T1 seconds without reception of a corresponding PRACK, the
    # UAS SHOULD reject the original request with a 5xx response."
    (_S.DESCRIBED, _I.TIMER_GIVE_UP): (_S.OVER, (_E.ACKED, _E.GIVE_UP)),
    (_S.HELD, _I.REFUSE): (_S.OVER, (_E.ACKED,)),
    (_S.HELD, _I.PRACK): (_S.OVER, (_E.ACKED, _E.ACCEPT)),
    (_S.HELD, _I.TIMER_RETRANSMIT): (_S.HELD, (_E.RESEND,)),
    (_S.HELD, _I.TIMER_GIVE_UP): (_S.OVER, (_E.ACKED, _E.GIVE_UP)),
    # "the UAS ... MUST be prepared to process PRACK requests for those outstanding responses" after its final one.
    (_S.OVER, _I.PRACK): (_S.OVER, ()),
}


class Provisional(NamedTuple):
    """A response to send: `fields` are ready lines, each with CRLF."""

    status: int
    fields: str
    body: bytes


class Held(NamedTuple):
    """A 2xx that waits."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


class ReliableProvisionals:
    """The machine of one INVITE; `rseq` is the number of the last response sent, `last` its bytes."""

    __slots__ = ("accepting", "alarms", "interval", "last", "outstanding", "queue", "rseq", "state")

    def __init__(self, first_rseq: int) -> None:
        self.state = State.FREE
        self.rseq = first_rseq - 1
        self.outstanding: Provisional | None = None
        self.queue: deque[Provisional] = deque()
        self.accepting: Held | None = None
        self.last = b""
        self.interval = 0.0
        self.alarms: tuple[Alarm, ...] = ()

    def feed(self, event: Input) -> tuple[Effect, ...]:
        """One input; returns what to do, in order. What is not in the table changes nothing and does nothing."""
        step = TRANSITIONS.get((self.state, event))
        if step is None:
            return ()
        if Effect.QUEUE in step[1] and len(self.queue) >= MAX_WAITING:
            raise WrongState(f"{MAX_WAITING} provisional responses wait for a PRACK")
        self.state = step[0]
        return step[1]

    def stop(self) -> None:
        """No timer fires any more, nothing waits."""
        for alarm in self.alarms:
            alarm.stop()
        self.alarms = ()
        self.queue.clear()
