"""One advance in the making: the facts it reads, the trace it writes, and where it can go next.

Always: nothing is decided here without a line in the trace; the trace is bounded, and so is the number of visits of a call.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from pydantic import JsonValue

from carillon_contracts.config import Announcement, Destination, Plan, PlanNode, Ways
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.asks import NOTHING, Ask, FreePlace, Known, Lacking, TakePlace
from carillon_routing.domain.compiled import node_of
from carillon_routing.domain.cursor import MAX_HELD, Cursor, Held, Wait
from carillon_routing.domain.facts import CallFacts, FactRead, HangUp, Phrase, Ring, RingResult, RingTarget, Step, TraceLine
from carillon_routing.domain.phrases import spoken

_NO_WAYS = Ways()
#: Visits of nodes and destinations in one call; a caller who wanders through menus for an hour stays below.
MAX_HOPS = 200
#: Forwardings by users in one call.
MAX_FORWARDS = 10
MAX_TRACE = 150
#: Phrases in one step.
MAX_PHRASES = 50
#: Sub-plans inside one another.
MAX_DEPTH = 10
#: Variables of one call, and what each may hold.
MAX_VARIABLES = 16
MAX_VALUE = 200
#: Characters of one phrase: media speaks no longer ones.
MAX_SPOKEN = 2000
_PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")
_NUMBER = re.compile(r"\+?[0-9]{2,}")

#: What forwardings know: a rejected call counts as busy, a congested trunk as unreachable.
LIKE: dict[RingResult, RingResult] = {"rejected": "busy", "congested": "unreachable"}
#: How a call ends that was not answered and has no other way: Q.850 cause, SIP status.
ENDS: dict[RingResult, HangUp] = {
    "answered": HangUp(16, 480, "normal call clearing"),
    "no_answer": HangUp(19, 480, "no answer"),
    "busy": HangUp(17, 486, "user busy"),
    "rejected": HangUp(21, 603, "call rejected"),
    "unreachable": HangUp(20, 480, "not reachable"),
    "congested": HangUp(42, 503, "congestion"),
}
REASONS: dict[str, HangUp] = {
    "normal": HangUp(16, 480, "normal call clearing"),
    "busy": HangUp(17, 486, "user busy"),
    "rejected": HangUp(21, 603, "call rejected"),
}
UNKNOWN_NUMBER = HangUp(1, 404, "unallocated number")
BARRED = HangUp(21, 403, "the number may not be called")
SUSPENDED = HangUp(21, 403, "the tenant is suspended")
NO_TRUNK = HangUp(38, 503, "no trunk takes this number")
NO_FAX = HangUp(63, 480, "no fax service")
BROKEN_PLAN = HangUp(25, 500, "the configuration leads nowhere")
LOOP = HangUp(25, 482, "the call goes round in circles")


@dataclass(frozen=True, slots=True)
class ToDestination:
    """Go to a destination; `ring_seconds` 0: as the destination says."""

    destination: Destination
    ring_seconds: int = 0
    #: The user whose forwarding this is: their rights count for an outside call.
    for_user_id: str = ""


@dataclass(frozen=True, slots=True)
class ToNode:
    """Go to a node of a plan."""

    plan_id: str
    node_id: str


@dataclass(frozen=True, slots=True)
class ToOutside:
    """Call an outside number by the next trunk that was not tried."""

    number: str
    ring_ms: int
    tried: tuple[str, ...] = ()
    #: The user whose rights count; empty: a plan of the tenant's admins.
    for_user_id: str = ""
    #: One of those that were tried was busy.
    busy: bool = False


@dataclass(frozen=True, slots=True)
class ToSender:
    """Back to the node that sent the call, with what became of it; `end` if that node has no way for it."""

    result: RingResult
    end: HangUp
    #: Q.850 that the far end gave; 0: none.
    cause: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """The step that media carries out; None to wait for: routing has nothing more to say."""

    step: Step
    wait: Wait | None = None


Move = ToDestination | ToNode | ToOutside | ToSender | Stop


@dataclass(slots=True)
class Walk:
    """What one advance has at hand."""

    config: TenantConfig
    call: CallFacts
    now: datetime
    known: Known = field(default_factory=lambda: NOTHING)
    sender: tuple[str, str] | None = None
    language: str = ""
    hops: int = 0
    forwards: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    #: Sub-plan nodes that wait for a return, outermost first.
    stack: tuple[tuple[str, str], ...] = ()
    #: Codes that the caller gave, by kind.
    codes: dict[str, str] = field(default_factory=dict)
    trace: list[TraceLine] = field(default_factory=list)
    read: list[FactRead] = field(default_factory=list)
    #: A user has sent the call there, by transfer or deflection: who hears what is said is not who did it.
    sent: bool = False
    #: Of a call that was transferred: the user who stays (empty: somebody outside), and the recording policy of the talk before.
    before: tuple[str, str] | None = None
    #: See `Cursor`.
    places: tuple[Held, ...] = ()
    visits: int = 0
    #: No call stands behind the question yet: it takes no place.
    look_up: bool = False
    #: Every plan (node empty) and node that was looked at, whether it is there or not.
    looked_at: list[tuple[str, str]] = field(default_factory=list)

    def take_up(self, cursor: Cursor) -> None:
        """Go on where the cursor says."""
        self.sender, self.language, self.hops, self.forwards = cursor.sender, cursor.language, cursor.hops, cursor.forwards
        self.variables, self.stack, self.codes = dict(cursor.variables), cursor.stack, dict(cursor.codes)
        self.sent, self.before, self.places, self.visits = cursor.sent, cursor.before, cursor.places, cursor.visits

    def hold(self, counter: str) -> None:
        """The call has the place that it asked for last."""
        others = [each for each in self.places if each.counter != counter]
        self.places = (*others, Held(counter, self.visits))[-MAX_HELD:]

    def arrive(self) -> None:
        """The call is where the limits lead that it came by."""
        self.places = tuple(replace(each, there=True) for each in self.places)

    def depart(self) -> None:
        """The call goes on from where it was: the limits that it came by guard that no longer."""
        for each in self.places:
            if each.there:
                done = self.ask(FreePlace(each.counter, each.visit)) is True
                self.note(f"counter {each.counter}", done, "the place is given back" if done else "the place cannot be given back now")
                if done:
                    self.places = tuple(kept for kept in self.places if kept != each)

    def leave(self) -> None:
        """Nobody waits for what becomes of the call from here on."""
        self.sender, self.stack = None, ()

    def ask(self, ask: Ask) -> JsonValue:
        """What is known of it; None: it could not be found out. Ends the walk if nobody looked yet."""
        if self.look_up and isinstance(ask, TakePlace):
            return {"taken": True, "calls": 0, "starts": 0}
        if ask.key not in self.known:
            raise Lacking(ask)
        value = self.known[ask.key]
        self.read.append(FactRead(ask.key, value))
        return value

    def judged(self, about: str, judge: Callable[[], JsonValue]) -> JsonValue:
        """What was found out of a secret that is kept nowhere: kept in its place, so that the decision can be made again without it."""
        key = f"judged {about}"
        value = self.known[key] if key in self.known else judge()
        self.read.append(FactRead(key, value))
        return value

    def note(self, subject: str, matched: bool, reason: str, following: str = "") -> None:
        """A line of the trace."""
        if len(self.trace) < MAX_TRACE:
            self.trace.append(TraceLine(subject, matched, reason, following))

    def noted(self, lines: Iterable[TraceLine]) -> None:
        """Lines of the trace that a part wrote which has no walk."""
        self.trace += islice(lines, max(0, MAX_TRACE - len(self.trace)))

    def broken(self, subject: str, reason: str) -> Stop:
        """The configuration refers to what is not there: say so and end the call."""
        self.note(subject, False, reason, "hang_up")
        return Stop(BROKEN_PLAN)

    def speak(self, announcements: tuple[Announcement, ...]) -> tuple[Phrase, ...]:
        """Phrases in the call's language, with what `{variable}` in them holds; numbers digit by digit; without those that say nothing."""
        phrases = spoken(announcements, self.language, self.config.tenant.language)
        filled = (replace(each, text=self.filled(each.text, _aloud)[:MAX_SPOKEN]) for each in phrases)
        return tuple(each for each in filled if each.text.strip() or each.audio_id)

    def filled(self, text: str, said: Callable[[str], str] = str) -> str:
        """The text with every `{variable}` replaced by what it holds, as it is `said`."""
        return _PLACE.sub(lambda match: said(self.variable(match.group(1))), text)

    def variable(self, name: str) -> str:
        """What a variable, or one of `BUILT_IN`, holds; empty if nothing."""
        match name:
            case "caller_number":
                return self.call.caller_number
            case "caller_name":
                return self.call.caller_name
            case "caller_user_id":
                return self.call.caller_user_id
            case "dialled":
                return self.call.dialled
            case "trunk_id":
                return self.call.trunk_id
            case "language":
                return self.language.split(",")[0] or self.config.tenant.language
            case _:
                return self.variables.get(name, "")

    def assign(self, name: str, value: str) -> bool:
        """Give a variable a value; False: the call has too many already."""
        if name not in self.variables and len(self.variables) >= MAX_VARIABLES:
            return False
        self.variables[name] = value[:MAX_VALUE]
        return True

    def speak_in(self, languages: Iterable[str]) -> None:
        """The call's languages from here on, each once, in an order that the call alone decides."""
        self.language = ",".join(sorted(dict.fromkeys(languages), key=lambda language: self.rank(f"language {language}")))

    def rank(self, salt: str) -> int:
        """A number that the call alone decides, evenly spread: what elsewhere is a dice roll."""
        digest = hashlib.blake2b(f"{self.call.tenant_id}/{self.call.call_id}/{salt}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big")

    def node(self, sender: tuple[str, str]) -> PlanNode | None:
        """A node by plan and id."""
        self.looked_at.append(sender)
        return node_of(self.config, *sender)

    def plan(self, plan_id: str) -> Plan | None:
        """A plan by id."""
        self.looked_at.append((plan_id, ""))
        return self.config.plans.get(plan_id)

    def sender_ways(self) -> Ways | None:
        """The ways of the node that sent the call, if it has any."""
        node = self.node(self.sender) if self.sender is not None else None
        if node is None:
            return None
        if node.sticky_agent is not None:
            return Ways(otherwise=node.sticky_agent.next)
        rings = node.destination or node.ring_group or node.hunt_group
        return rings.ways if rings is not None else None

    def ring(self, targets: tuple[RingTarget, ...], number: str, name: str) -> Ring:
        """A ring step; it comes back after an answer, or after the caller gave up, if the sender has a way for it."""
        ways = self.sender_ways() or _NO_WAYS
        account = self.codes.get("account", "")
        return Ring(targets, number, name, bool(ways.answered), ask_after_giving_up=bool(ways.gave_up), account_code=account)


def _aloud(value: str) -> str:
    """As a voice is to read it."""
    return " ".join(value) if _NUMBER.fullmatch(value) else value


def name_of(destination: Destination) -> str:
    """As the trace says it: `user/alain`, `announcement`, `hang_up`."""
    kind = destination.kind
    if kind in ("announcement", "hang_up", "operator"):
        return kind
    return f"{kind.removesuffix('_id')}/{getattr(destination, kind)}"


def lacks(user_id: str, service: str) -> str:
    """Why something of a user is not offered."""
    return f"user/{user_id} does not have the service {service}"
