"""What a decision needs to know that neither configuration nor clock can tell: counters, who is busy, what others answer.

`advance` names what it lacks; the shell finds it out, within a deadline, and asks again. An answer is JSON and never missing: what could
not be found out is `None`, and each place that asks says what it does then. Answers are recorded with the decision, so that a replay reads
what was read then. Every ask is idempotent by tenant, call and `key`: a question that is asked again after a lost answer gets the same one,
and no e-mail goes out twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import JsonValue

from carillon_contracts.call_order import Blocked

#: By `key` of what was asked.
Known = Mapping[str, JsonValue]
Attending = Literal["log_in", "log_out", "pause"]
NOTHING: Known = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Draw:
    """The how manieth visit of a counter this is, from 0; one more for every visit. Answer: int."""

    counter: str
    #: Which visit of the call: it may come by again.
    hop: int

    @property
    def key(self) -> str:
        """`draw plan/p/node/a 3`"""
        return f"draw {self.counter} {self.hop}"


@dataclass(frozen=True, slots=True)
class TakePlace:
    """A place under a limit, held until the call ends or gives it back. Answer: `{"taken": bool, "calls": int, "starts": int}`, as they
    stand without us."""

    counter: str
    max_calls: int = 0
    max_starts: int = 0
    per_seconds: int = 0
    #: Which of the call's places this is, from 1: told again it gets the same answer, and takes nothing once it was given back. 0: there
    #: is one place for the whole call.
    visit: int = 0

    @property
    def key(self) -> str:
        """`place support`, `place support 2`"""
        return f"place {self.counter}" + (f" {self.visit}" if self.visit > 1 else "")


@dataclass(frozen=True, slots=True)
class FreePlace:
    """The call has left what the limit guards: its place is free, unless it was taken again on a later visit. Answer: True when done."""

    counter: str
    visit: int

    @property
    def key(self) -> str:
        """`free support 1`"""
        return f"free {self.counter} {self.visit}"


@dataclass(frozen=True, slots=True)
class AnsweredToday:
    """How many calls each of the users answered on a day (ISO 8601). Answer: `{user: int}`; who is not there: none."""

    user_ids: tuple[str, ...]
    day: str

    @property
    def key(self) -> str:
        """`answered 2026-01-06 anna,ben`"""
        return f"answered {self.day} {','.join(self.user_ids)}"


@dataclass(frozen=True, slots=True)
class BusyUsers:
    """Which of the users talk or are being rung. Answer: list of user ids."""

    user_ids: tuple[str, ...]
    hop: int

    @property
    def key(self) -> str:
        """`busy 3 anna,ben`"""
        return f"busy {self.hop} {','.join(self.user_ids)}"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who is logged in at a hunt group. Answer: list of user ids."""

    hunt_group_id: str
    hop: int

    @property
    def key(self) -> str:
        """`logged in support 3`"""
        return f"logged in {self.hunt_group_id} {self.hop}"


@dataclass(frozen=True, slots=True)
class Attend:
    """A user begins, ends or interrupts the work at hunt groups and, as these agents, at queues; the same twice is one.

    Logging in ends a pause. Answer: True when it is done."""

    attending: Attending
    user_id: str
    agent_ids: tuple[str, ...]
    hunt_group_ids: tuple[str, ...]

    @property
    def key(self) -> str:
        """`attend log_in anna anna-agent,support`"""
        return f"attend {self.attending} {self.user_id} {','.join((*self.agent_ids, *self.hunt_group_ids))}"


@dataclass(frozen=True, slots=True)
class LastAgent:
    """The user who talked last with this outside number, in so many days. Answer: user id, or empty."""

    number: str
    days: int

    @property
    def key(self) -> str:
        """`last agent +41791112233`"""
        return f"last agent {self.number} {self.days}"


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask a web address; with a body it is a signed POST. Answer: `{"status": int, "body": {text: text}}`; None: no answer in time."""

    url: str
    timeout_ms: int
    hop: int
    body: Mapping[str, str] | None = None

    @property
    def key(self) -> str:
        """`fetch https://crm.example/x 3`"""
        return f"fetch {self.url} {self.hop}"


@dataclass(frozen=True, slots=True)
class Mail:
    """Take an e-mail for delivery. Answer: whether it is taken."""

    recipients: tuple[str, ...]
    subject: str
    text: str
    hop: int

    @property
    def key(self) -> str:
        """`mail 3`"""
        return f"mail {self.hop}"


@dataclass(frozen=True, slots=True)
class CountTry:
    """The caller gave a code, rightly or not; a right one counts no more once there were `limit` wrong ones in a row.

    Answer: `{"accepted": bool, "wrong": int}`, wrong ones in a row with this one."""

    user_id: str
    #: `pin`, `account`, `phone`.
    kind: str
    right: bool
    limit: int
    #: Which try of the call.
    turn: str

    @property
    def key(self) -> str:
        """`try pin anna +41791112233 0`: whether it was right is in the answer alone."""
        return f"try {self.kind} {self.user_id} {self.turn}"


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """Change a user's own settings in the user's name. `document`: the fields of `carillon.directory.v1.User`; a path that it does not
    hold goes back to its default. The same change twice is one. Answer: whether it is done."""

    user_id: str
    document: tuple[tuple[str, JsonValue], ...]
    paths: tuple[str, ...]
    #: Why, for the history: the code that was dialled.
    reason: str

    @property
    def key(self) -> str:
        """`change anna *21*079...`"""
        return f"change {self.user_id} {self.reason}"


@dataclass(frozen=True, slots=True)
class HavePhone:
    """A user logs in on the phone of a credential (`user_id` empty: out). The same twice is one. Answer: whether it is done."""

    sip_credential_id: str
    user_id: str

    @property
    def key(self) -> str:
        """`phone acme-101 anna`"""
        return f"phone {self.sip_credential_id} {self.user_id}"


@dataclass(frozen=True, slots=True)
class LastCaller:
    """Whose call rang last at a phone of the user, but for the user's own calls.

    Answer: number as dialled inside, or E.164; empty: nobody's, or a withheld one."""

    user_id: str

    @property
    def key(self) -> str:
        """`last caller anna`"""
        return f"last caller {self.user_id}"


@dataclass(frozen=True, slots=True)
class CallsOnTrunks:
    """How many calls each trunk has now. Answer: `{trunk: int}`; None also where nobody could be called back anyway."""

    trunk_ids: tuple[str, ...]
    hop: int

    @property
    def key(self) -> str:
        """`calls on trunks 3 carrier,second`"""
        return f"calls on trunks {self.hop} {','.join(self.trunk_ids)}"


@dataclass(frozen=True, slots=True)
class OrderCallBack:
    """Call the user back as soon as the number can be called; the same while one is open keeps its place.

    Answer: True when it is kept; False: there are too many."""

    user_id: str
    number: str
    #: Whose talk must end; empty: it is the trunks that are busy.
    colleague_id: str
    blocked: Blocked

    @property
    def key(self) -> str:
        """`order call back anna +41791112233`"""
        return f"order call back {self.user_id} {self.number}"


@dataclass(frozen=True, slots=True)
class CancelCallBacks:
    """None of the user's call-backs is made any more. Answer: how many there were."""

    user_id: str

    @property
    def key(self) -> str:
        """`cancel call backs anna`"""
        return f"cancel call backs {self.user_id}"


@dataclass(frozen=True, slots=True)
class NoticeWords:
    """What a phone is told of a call for help. Answer: `{"text": str, "language": str}`; None: it is over, or cannot be read."""

    order_id: str
    turn: int

    @property
    def key(self) -> str:
        """`notice words 0190... 0`"""
        return f"notice words {self.order_id} {self.turn}"


@dataclass(frozen=True, slots=True)
class AcknowledgeNotice:
    """Whoever was told has understood; the phone is called no more. Answer: True when it is kept."""

    order_id: str
    turn: int

    @property
    def key(self) -> str:
        """`acknowledge notice 0190... 0`"""
        return f"acknowledge notice {self.order_id} {self.turn}"


Ask = (
    NoticeWords
    | AcknowledgeNotice
    | CallsOnTrunks
    | OrderCallBack
    | CancelCallBacks
    | CountTry
    | ChangeUser
    | HavePhone
    | LastCaller
    | Draw
    | TakePlace
    | FreePlace
    | AnsweredToday
    | BusyUsers
    | LoggedIn
    | Attend
    | LastAgent
    | Fetch
    | Mail
)


@dataclass(frozen=True, slots=True)
class Needs:
    """The decision cannot be made before this is known; asking again with it gets further. `read`: what was read on the way, to be
    known then too: a secret that was judged is not judged again."""

    ask: Ask
    read: Known


class Lacking(Exception):
    """Ends a walk inside `advance`; never leaves it."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask.key)
        self.ask = ask
