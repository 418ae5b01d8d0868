"""What the four transactions of RFC 3261 section 17 have in common: states, inputs, effects, timers as data, and `feed`.

Invariant: a transaction only moves along its table; what is not in the table changes nothing and has no effect.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, TypeAlias

from carillon_sip.flow import Flow
from carillon_sip.message import Message, Response
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.outputs import Send
from carillon_sip.reply import ReplyHead
from carillon_sip.timers import Timing


class State(StrEnum):
    """States of all four transactions, in RFC words; INITIAL is before the first input."""

    INITIAL = "initial"
    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Input(StrEnum):
    """Everything that can happen to a transaction: messages, its user's wishes, its timers, its transport."""

    REQUEST = "request"
    ACK = "ack"
    STATUS_1XX = "1xx"
    STATUS_2XX = "2xx"
    STATUS_ERROR = "300-699"
    USER_1XX = "1xx from user"
    USER_2XX = "2xx from user"
    USER_ERROR = "300-699 from user"
    TRANSPORT_ERROR = "transport error"
    TIMER_A = "timer_a"
    TIMER_B = "timer_b"
    TIMER_D = "timer_d"
    TIMER_E = "timer_e"
    TIMER_F = "timer_f"
    TIMER_G = "timer_g"
    TIMER_H = "timer_h"
    TIMER_I = "timer_i"
    TIMER_J = "timer_j"
    TIMER_K = "timer_k"
    TIMER_L = "timer_l"
    TIMER_M = "timer_m"
    #: Not of RFC 3261: our user has not answered a request within 64*T1; too late by RFC 4320 section 4.2.
    TIMER_USER = "timer_user"


class Effect(StrEnum):
    """What a transition does besides changing state; an Input among the effects of a table means: arm that timer."""

    SEND = "send what came from the user and keep it"
    RESEND = "send again what was sent last"
    ACKNOWLEDGE = "send ACK for the final response and keep it"
    DELIVER = "give the message to the user"
    SLOW_DOWN = "retransmit every T2 from now on"
    TIMED_OUT = "tell the user: timeout"
    TRANSPORT_FAILED = "tell the user: transport failure"


class Failure(StrEnum):
    """Why a transaction came to nothing."""

    TIMEOUT = "timeout"
    TRANSPORT = "transport"


class SetTimer(NamedTuple):
    """Feed `timer` at time `at`."""

    timer: Input
    at: float


class Deliver(NamedTuple):
    """Give this message to the transaction user."""

    message: Message


class Failed(NamedTuple):
    """Tell the transaction user."""

    why: Failure


TransactionOutput: TypeAlias = Send | SetTimer | Deliver | Failed
Transitions: TypeAlias = Mapping[tuple[State, Input], State]
Effects: TypeAlias = Mapping[tuple[State, Input], tuple[Effect | Input, ...]]

#: Timers that retransmit: T1 first, then doubling; E and G not above T2. Only over unreliable transports.
RETRANSMIT_TIMERS: Mapping[Input, bool] = {Input.TIMER_A: False, Input.TIMER_E: True, Input.TIMER_G: True}
#: Timers that wait for the network to be empty: zero over reliable transports. True: 64*T1, False: T4.
LINGER_TIMERS: Mapping[Input, bool] = {Input.TIMER_D: True, Input.TIMER_J: True, Input.TIMER_I: False, Input.TIMER_K: False}
# All others (B, F, H, L, M, and our own) are 64*T1.


# Looking a member up in its enum costs more than the rest of a step: these are asked for in every one.
_SEND, _DELIVER, _INITIAL, _TERMINATED = Effect.SEND, Effect.DELIVER, State.INITIAL, State.TERMINATED
_STATUS_1XX, _STATUS_2XX, _STATUS_ERROR = Input.STATUS_1XX, Input.STATUS_2XX, Input.STATUS_ERROR
_USER_1XX, _USER_2XX, _USER_ERROR = Input.USER_1XX, Input.USER_2XX, Input.USER_ERROR


def steps(transitions: Transitions, effects: Effects) -> dict[tuple[State, Input], tuple[State, tuple[Effect | Input, ...]]]:
    """Both tables as one; an effect without a transition is a mistake in the table."""
    unknown = set(effects) - set(transitions)
    if unknown:
        raise ValueError(f"effects without a transition: {unknown}")
    return {key: (after, effects.get(key, ())) for key, after in transitions.items()}


class Transaction:
    """One transaction; subclasses bring their table in `STEPS`."""

    STEPS: ClassVar[dict[tuple[State, Input], tuple[State, tuple[Effect | Input, ...]]]] = {}

    __slots__ = ("flow", "interval", "last", "owner", "state", "timing")

    def __init__(self, flow: Flow, timing: Timing) -> None:
        self.flow = flow
        self.timing = timing
        self.state = _INITIAL
        self.interval = timing.t1
        self.last = b""
        self.owner: Any = None

    @property
    def done(self) -> bool:
        """Whether the transaction is over; timers of one that is done mean nothing."""
        return self.state is _TERMINATED

    def feed(self, event: Input, now: float, message: Message | None = None, data: bytes = b"") -> list[TransactionOutput]:
        """One input; `message` came from the network, `data` is to be sent for the user. Returns what to do, in order."""
        step = self.STEPS.get((self.state, event))
        if step is None:
            return []  # Not in the table: nothing happens.
        self.state, effects = step
        outputs: list[TransactionOutput] = []
        for effect in effects:
            if effect is _SEND:
                self.last = data
                outputs.append(Send(self.flow, data))
            elif effect is _DELIVER:
                if message is not None:
                    outputs.append(Deliver(message))
            elif type(effect) is Input:
                self._arm(effect, now, outputs)
            else:
                self._rarely(effect, message, outputs)
        if self.state is _TERMINATED:
            self.last = b""
        return outputs

    def _rarely(self, effect: Effect | Input, message: Message | None, outputs: list[TransactionOutput]) -> None:
        if effect is Effect.RESEND:
            if self.last:
                outputs.append(Send(self.flow, self.last))
        elif effect is Effect.ACKNOWLEDGE:
            self.last = self.acknowledgement(message)
            outputs.append(Send(self.flow, self.last))
        elif effect is Effect.SLOW_DOWN:
            self.interval = self.timing.t2
        elif effect is Effect.TIMED_OUT:
            outputs.append(Failed(Failure.TIMEOUT))
        elif effect is Effect.TRANSPORT_FAILED:
            outputs.append(Failed(Failure.TRANSPORT))

    def _arm(self, timer: Input, now: float, outputs: list[TransactionOutput]) -> None:
        timing, unreliable = self.timing, self.flow.transport == "udp"
        if timer in RETRANSMIT_TIMERS:
            if unreliable:
                outputs.append(SetTimer(timer, now + self.interval))
                doubled = 2 * self.interval
                self.interval = min(doubled, timing.t2) if RETRANSMIT_TIMERS[timer] else doubled
        elif timer not in LINGER_TIMERS:
            outputs.append(SetTimer(timer, now + timing.timeout))
        elif unreliable:
            outputs.append(SetTimer(timer, now + (timing.timeout if LINGER_TIMERS[timer] else timing.t4)))
        else:
            outputs += self.feed(timer, now)

    def acknowledgement(self, message: Message | None) -> bytes:
        """The ACK for a final response other than 2xx; only INVITE client transactions have one."""
        raise NotImplementedError


class ClientTransaction(Transaction):
    """A request of ours; `listener` hears of its responses, or of its failure."""

    __slots__ = ("listener", "request")

    request: OutgoingRequest
    listener: "ClientListener"


class ServerTransaction(Transaction):
    """A request of the far end, known by `key`; `listener` hears that its transport failed.

    `name` is by which the user answers it; `merge_key` finds merged copies (RFC 3261 section 8.2.2.2).
    """

    __slots__ = ("cseq", "head", "key", "listener", "merge_key", "name")

    cseq: int
    head: ReplyHead
    key: tuple[str | int | None, ...]
    listener: "ServerListener | None"
    merge_key: tuple[str, str, int, str] | None
    name: str


ClientListener: TypeAlias = Callable[[ClientTransaction, Response | Failure, float], None]
ServerListener: TypeAlias = Callable[[ServerTransaction, Failure, float], None]


def status_input(status: int) -> Input:
    """The input that a response of this status is."""
    if status < 200:
        return _STATUS_1XX
    return _STATUS_2XX if status < 300 else _STATUS_ERROR


def user_input(status: int) -> Input:
    """The input that our user's response of this status is."""
    if status < 200:
        return _USER_1XX
    return _USER_2XX if status < 300 else _USER_ERROR
