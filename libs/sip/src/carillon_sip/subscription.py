"""One subscription at its notifier (RFC 6665 section 4.2): states as a table, and what waits to be sent.

Invariant: one NOTIFY is under way at a time; in state OVER nothing follows the last one.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from carillon_sip.dialog import Dialog
from carillon_sip.flow import Flow
from carillon_sip.timers import Alarm
from carillon_sip.transaction import ServerTransaction


class State(StrEnum):
    """ASKED: the SUBSCRIBE has no answer; the others as in Subscription-State."""

    ASKED = "asked"
    PENDING = "pending"
    ACTIVE = "active"
    OVER = "terminated"


class Input(StrEnum):
    """SUBSCRIBEs of the watcher, wishes of the user, timers and failures."""

    ACCEPT = "accept"
    ACCEPT_PENDING = "accept as pending"
    FETCH = "accept one with Expires 0"
    REJECT = "reject"
    REFRESH = "SUBSCRIBE"
    UNSUBSCRIBE = "SUBSCRIBE with Expires 0"
    NOTIFY = "notify"
    TERMINATE = "terminate"
    NOTIFY_FAILED = "notify failed"
    TIMER_EXPIRES = "timer_expires"
    TIMER_USER = "timer_user"


class Effect(StrEnum):
    """What a transition does besides changing state."""

    OK = "200 to the SUBSCRIBE"
    REFUSE = "refuse the SUBSCRIBE"
    NOTIFY = "send the state, or queue it"
    LAST = "send the last state, terminated"
    WANT_STATE = "ask the user for the whole state"
    ENDED = "tell the user that it is over"
    FORGET = "drop what waits"


_S, _I, _E = State, Input, Effect
_Step = tuple[State, tuple[Effect, ...]]

#: RFC 6665 sections 4.2.1 and 4.2.2.
TRANSITIONS: Mapping[tuple[State, Input], _Step] = {
    # "a NOTIFY message MUST be sent immediately after the 200-class response"
    (_S.ASKED, _I.ACCEPT): (_S.ACTIVE, (_E.OK, _E.NOTIFY)),
    (_S.ASKED, _I.ACCEPT_PENDING): (_S.PENDING, (_E.OK, _E.NOTIFY)),
    # "a SUBSCRIBE ... with an Expires of 0 ... fetch": its only NOTIFY ends it (section 4.4.3).
    (_S.ASKED, _I.FETCH): (_S.OVER, (_E.OK, _E.LAST, _E.ENDED)),
    (_S.ASKED, _I.REJECT): (_S.OVER, (_E.REFUSE, _E.FORGET)),
    (_S.ASKED, _I.TIMER_USER): (_S.OVER, (_E.REFUSE, _E.FORGET, _E.ENDED)),
    (_S.PENDING, _I.ACCEPT): (_S.ACTIVE, (_E.NOTIFY,)),
    (_S.PENDING, _I.REFRESH): (_S.PENDING, (_E.OK, _E.WANT_STATE)),
    (_S.PENDING, _I.UNSUBSCRIBE): (_S.OVER, (_E.OK, _E.LAST, _E.ENDED)),
    (_S.PENDING, _I.NOTIFY): (_S.PENDING, (_E.NOTIFY,)),
    (_S.PENDING, _I.TERMINATE): (_S.OVER, (_E.LAST,)),
    (_S.PENDING, _I.NOTIFY_FAILED): (_S.OVER, (_E.FORGET, _E.ENDED)),
    (_S.PENDING, _I.TIMER_EXPIRES): (_S.OVER, (_E.LAST, _E.ENDED)),
    # "the NOTIFY ... triggered by a SUBSCRIBE ... refresh ... contains the full state"
    (_S.ACTIVE, _I.REFRESH): (_S.ACTIVE, (_E.OK, _E.WANT_STATE)),
    (_S.ACTIVE, _I.UNSUBSCRIBE): (_S.OVER, (_E.OK, _E.LAST, _E.ENDED)),
    (_S.ACTIVE, _I.NOTIFY): (_S.ACTIVE, (_E.NOTIFY,)),
    (_S.ACTIVE, _I.TERMINATE): (_S.OVER, (_E.LAST,)),
    (_S.ACTIVE, _I.NOTIFY_FAILED): (_S.OVER, (_E.FORGET, _E.ENDED)),
    (_S.ACTIVE, _I.TIMER_EXPIRES): (_S.OVER, (_E.LAST, _E.ENDED)),
}


class Notice(NamedTuple):
    """One state to tell; `full`: it makes those before it needless. `state`: the Subscription-State, "" for the running one."""

    body: bytes
    content_type: str
    full: bool = True
    state: str = ""


#: No state has been told yet.
NOTHING = Notice(b"", "")


@dataclass(slots=True, eq=False)
class Subscription:
    """`ended` and `wanted` are told of its end (with the reason) and that its watcher needs the whole state."""

    id: str
    dialog: Dialog
    flow: Flow
    contact: str
    event: str
    event_id: str
    ended: Callable[[str, float], None]
    wanted: Callable[[float], None]
    state: State = State.ASKED
    expires: int = 0
    expires_at: float = 0.0
    server: ServerTransaction | None = None
    alarm: Alarm | None = None
    sending: bool = False
    failures: int = 0
    last: Notice = NOTHING
    waiting: deque[Notice] = field(default_factory=deque)

    def feed(self, event: Input) -> tuple[Effect, ...]:
        """One input; returns what to do, in order. What is not in the table changes nothing and does nothing."""
        step = TRANSITIONS.get((self.state, event))
        if step is None:
            return ()
        self.state = step[0]
        return step[1]

    @property
    def event_line(self) -> str:
        """The Event header of its NOTIFYs."""
        return f"Event: {self.event}{';id=' + self.event_id if self.event_id else ''}\r\n"


def read_event(value: str | None) -> tuple[str, str]:
    """Package and id of an Event header; ("", "") without one."""
    package, *parameters = (value or "").split(";")
    pairs = (part.partition("=") for part in parameters)
    found = next((text.strip() for name, _, text in pairs if name.strip().lower() == "id"), "")
    return package.strip().lower(), found
