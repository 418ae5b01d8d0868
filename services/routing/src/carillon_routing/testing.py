"""For tests and simulations: a configuration from plain data, and a call that is led through `advance` step by step.

Always: the cursor goes through its bytes at every step, as it does between media and routing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from google.protobuf.json_format import MessageToDict
from pydantic import JsonValue

from carillon_contracts.config import RESOURCES, SECRET_FIELDS, ConfigChanged
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG, config_subject
from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_kit.bus import Bus, MemoryBus
from carillon_routing.domain.advance import decided
from carillon_routing.domain.asks import (
    AcknowledgeNotice,
    AnsweredToday,
    Ask,
    Attend,
    BusyUsers,
    CallsOnTrunks,
    CancelCallBacks,
    ChangeUser,
    CountTry,
    Draw,
    Fetch,
    FreePlace,
    HavePhone,
    LastAgent,
    LastCaller,
    LoggedIn,
    Mail,
    NoticeWords,
    OrderCallBack,
    TakePlace,
)
from carillon_routing.domain.cursor import decode
from carillon_routing.domain.facts import (
    Advance,
    CallFacts,
    Delegate,
    Entered,
    Gather,
    Gathered,
    HangUp,
    Outcome,
    Phrase,
    Play,
    Played,
    Rang,
    Ring,
    RingResult,
    TrunkTarget,
)
from carillon_routing.domain.made_of import MadeOf, as_read, encode
from carillon_routing.grpc_api import step_message

Plain = Mapping[str, Any]


def changes_of(company: Mapping[str, Any]) -> list[ConfigChanged]:
    """A company as `carillon apply` reads it (`tenant`, then lists by plural), as the events that make it."""
    changes = []
    for kind in RESOURCES.values():
        found: Sequence[Plain] = [company["tenant"]] if kind.KIND == "tenant" else company.get(kind.PLURAL, ())
        for plain in found:
            secrets = SECRET_FIELDS.get(kind.KIND, {})
            shown = {name: value for name, value in plain.items() if name not in secrets}
            after = kind.model_validate(shown).model_dump(mode="json")
            changes.append(ConfigChanged(resource=kind.KIND, resource_id=plain["id"], action="created", after=after, actor="test"))
    return changes


async def publish_company(bus: Bus | MemoryBus, company: Mapping[str, Any]) -> None:
    """The same events on the bus, in a stream that is there."""
    tenant = company["tenant"]["id"]
    for seq, change in enumerate(changes_of(company), 1):
        event = Event(
            id=UUID(int=seq),
            source="test",
            type=change.event_type,
            subject=change.resource_id,
            time=datetime(2026, 1, 6, tzinfo=UTC),
            data=change.model_dump(mode="json"),
            tenantid=tenant,
            configseq=seq,
        )
        await bus.publish(CONFIG.name, config_subject(tenant, change.resource, change.action), event.to_json(), f"{tenant} {seq}")


def config_of(company: Mapping[str, Any]) -> TenantConfig:
    """The configuration of a company in plain data."""
    config = TenantConfig(company["tenant"]["id"])
    for seq, change in enumerate(changes_of(company), 1):
        config = evolve(config, seq, change)
    return config


@dataclass(slots=True)
class World:
    """What calls ask about beside configuration and clock: the twin in memory of `adapters.facts`. Plain values, to be set by a test."""

    draws: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict)
    places: dict[str, set[str]] = field(default_factory=dict)
    #: By counter and call: the last visit for which a place was asked, and whether there was one.
    visits: dict[tuple[str, str], tuple[int, bool]] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    #: In a row, by user and kind.
    wrong_codes: dict[tuple[str, str], int] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    logged_in: dict[str, set[str]] = field(default_factory=dict)
    attended: list[Attend] = field(default_factory=list)
    agents: dict[str, str] = field(default_factory=dict)
    #: By address; absent: no answer.
    web: dict[str, JsonValue] = field(default_factory=dict)
    fetched: list[Fetch] = field(default_factory=list)
    #: None: the mail cannot be taken.
    mails: list[Mail] | None = field(default_factory=list)
    #: What codes asked other services.
    changes: list[ChangeUser] = field(default_factory=list)
    #: Who logged in on which phone, by credential.
    phones: dict[str, str] = field(default_factory=dict)
    last_callers: dict[str, str] = field(default_factory=dict)
    #: Calls by trunk; None: nobody can be called back.
    on_trunks: dict[str, int] | None = None
    call_backs: list[OrderCallBack] = field(default_factory=list)
    #: Words by order, and those that were understood.
    notices: dict[str, str] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    #: Nobody answers, and nothing can be found out.
    dark: bool = False

    def over(self, call_id: str) -> None:
        """The call ends, and another one may be called like it."""
        for held in self.places.values():
            held.discard(call_id)
        self.visits = {key: kept for key, kept in self.visits.items() if key[1] != call_id}

    def _place(self, call_id: str, asked: TakePlace) -> JsonValue:
        held = self.places.setdefault(asked.counter, set())
        others = len(held - {call_id})
        last, taken = self.visits.get((asked.counter, call_id), (0, False))
        if not asked.visit or last < asked.visit:
            room = (not asked.max_calls or others < asked.max_calls) and (not asked.max_starts or others < asked.max_starts)
            taken = call_id in held or room
            if taken:
                held.add(call_id)
            if asked.visit:
                self.visits[asked.counter, call_id] = (asked.visit, taken)
        return {"taken": taken, "calls": others, "starts": others}

    def find(self, call: CallFacts, ask: Ask) -> JsonValue:
        """Answer."""
        if self.dark:
            return None
        match ask:
            case Draw(counter, hop):
                drawn = self.draws.setdefault(counter, {})
                return drawn.setdefault((call.call_id, hop), len(drawn))
            case TakePlace() as place:
                return self._place(call.call_id, place)
            case FreePlace(counter, visit):
                last, taken = self.visits.get((counter, call.call_id), (0, False))
                if last <= visit:
                    self.places.setdefault(counter, set()).discard(call.call_id)
                    self.visits[counter, call.call_id] = (visit, taken and last == visit)
                return True
            case AnsweredToday(user_ids):
                return {user_id: self.answered.get(user_id, 0) for user_id in user_ids}
            case BusyUsers(user_ids):
                return list[JsonValue](user_id for user_id in user_ids if user_id in self.busy)
            case LoggedIn(group_id):
                return list[JsonValue](sorted(self.logged_in.get(group_id, set())))
            case Attend(attending, user_id, _, groups):
                self.attended.append(ask)
                for group in groups:
                    there = self.logged_in.setdefault(group, set())
                    (there.add if attending == "log_in" else there.discard)(user_id)
                return True
            case CountTry(user_id, kind, right, limit):
                before = self.wrong_codes.get((user_id, kind), 0)
                accepted = right and before < limit
                self.wrong_codes[user_id, kind] = 0 if accepted else before + (not right)
                return {"accepted": accepted, "wrong": self.wrong_codes[user_id, kind]}
            case LastAgent(number):
                return self.agents.get(number, "")
            case ChangeUser():
                self.changes.append(ask)
                return True
            case HavePhone(phone, user_id):
                self.phones[phone] = user_id
                return True
            case LastCaller(user_id):
                return self.last_callers.get(user_id, "")
            case CallsOnTrunks(trunk_ids):
                return None if self.on_trunks is None else {each: self.on_trunks.get(each, 0) for each in trunk_ids}
            case NoticeWords(order_id):
                text = self.notices.get(order_id, "")
                return {"text": text, "language": "fr"} if text else None
            case AcknowledgeNotice(order_id):
                self.acknowledged.append(order_id)
                return True
            case OrderCallBack():
                self.call_backs.append(ask)
                return True
            case CancelCallBacks(user_id):
                kept = [each for each in self.call_backs if each.user_id != user_id]
                gone, self.call_backs = len(self.call_backs) - len(kept), kept
                return gone
            case Fetch():
                self.fetched.append(ask)
                return self.web.get(ask.url)
            case Mail():
                if self.mails is not None:
                    self.mails.append(ask)
                return self.mails is not None


@dataclass(slots=True)
class SimulatedCall:
    """A call on its way: `step` is what media would carry out now. `at` is wall-clock time in the tenant's zone."""

    config: TenantConfig
    facts: CallFacts
    at: datetime
    advances: list[Advance] = field(default_factory=list)
    world: "World" = field(default_factory=lambda: World())

    @classmethod
    def from_outside(
        cls,
        config: TenantConfig,
        number: str,
        at: str,
        caller: str = "+41791112233",
        *,
        world: World | None = None,
        call_id: str = "c1",
        trunk_id: str = "carrier",
        hops_spent: int = 0,
    ) -> "SimulatedCall":
        """A carrier brings a call to one of the tenant's numbers."""
        facts = CallFacts(config.tenant_id, call_id, "inbound", number, caller, trunk_id=trunk_id, hops_spent=hops_spent)
        return cls._begin(config, facts, at, world=world)

    @classmethod
    def from_user(
        cls,
        config: TenantConfig,
        user_id: str,
        dialled: str,
        at: str = "2026-01-06 10:00",
        *,
        withheld: bool = False,
        transferred: bool = False,
        arguments: Mapping[str, str] | None = None,
        world: World | None = None,
    ) -> "SimulatedCall":
        """A user dials, or sends the other side of its call there; media gives the user's extension as the caller's number."""
        number = "" if withheld else config.extension_of(user_id)
        facts = CallFacts(config.tenant_id, "c1", "from_user", dialled, number, caller_user_id=user_id, sip_credential_id=f"acme-{user_id}")
        return cls._begin(config, facts, at, {"transferred_by": user_id} if transferred else arguments, world)

    @classmethod
    def _begin(
        cls, config: TenantConfig, facts: CallFacts, at: str, arguments: Mapping[str, str] | None = None, world: World | None = None
    ) -> "SimulatedCall":
        local, world = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(config.tenant.time_zone)), world or World()
        return cls(config, facts, local, world=world).becomes(Entered(arguments or {}))

    def becomes(self, outcome: Outcome) -> "SimulatedCall":
        """The step's outcome; the same call, at its next step."""
        cursor = decode(self.last.cursor) if self.advances else None
        self.advances.append(decided(self.config, self.facts, cursor, outcome, self.at, lambda ask: self.world.find(self.facts, ask)))
        return self

    def rang(self, result: RingResult, cause: int = 0) -> "SimulatedCall":
        """The ring step is over."""
        return self.becomes(Rang(result, cause=cause))

    def pressed(self, digits: str) -> "SimulatedCall":
        """The caller pressed these, or nothing."""
        return self.becomes(Gathered(digits, timed_out=not digits))

    def played(self) -> "SimulatedCall":
        """What is spoken was spoken to its end."""
        return self.becomes(Played())

    @property
    def last(self) -> Advance:
        """The newest decision."""
        return self.advances[-1]

    @property
    def says(self) -> tuple[Phrase, ...]:
        """What the caller hears now."""
        step = self.last.step
        return step.phrases if isinstance(step, Play | Gather) else ()

    @property
    def rings(self) -> list[tuple[str, float, float]]:
        """Who rings now, from and to which second: users by id, numbers with the trunk (`+4179...@carrier`)."""
        step = self.last.step
        if not isinstance(step, Ring):
            return []
        return [
            (f"{t.number}@{t.trunk_id}" if isinstance(t, TrunkTarget) else t.user_id, t.start_ms / 1000, t.stop_ms / 1000)
            for t in step.targets
        ]

    @property
    def shown(self) -> tuple[str, str]:
        """Number and name on the called side's display."""
        step = self.last.step
        return (step.caller_number, step.caller_name) if isinstance(step, Ring) else ("", "")

    @property
    def mailbox(self) -> str:
        """The mailbox that takes over, or empty."""
        step = self.last.step
        return step.arguments["mailbox_id"] if isinstance(step, Delegate) else ""

    @property
    def ends(self) -> tuple[int, int] | None:
        """Cause and SIP status, if this is the end."""
        step = self.last.step
        return (step.cause, step.sip_status) if isinstance(step, HangUp) else None

    def trace(self) -> list[str]:
        """Readable lines of the newest decision."""
        return [f"{'+' if t.matched else '-'} {t.subject}: {t.reason}{f' -> {t.next}' if t.next else ''}" for t in self.last.trace]


def kept(call: SimulatedCall, *outcomes: Outcome) -> list[dict[str, Any]]:
    """The call's decisions as media keeps them: data of `routing_decided`. `outcomes`: what became of each step but the last."""
    found, cursor = list[dict[str, Any]](), None
    for outcome, decision in zip((Entered(), *outcomes), call.advances, strict=True):
        made = MadeOf(call.facts, cursor, outcome, call.at, decision.config_seq, as_read(decision.read))
        step = step_message(decision.step)
        details = MessageToDict(getattr(step, str(step.WhichOneof("kind"))), preserving_proto_field_name=True)
        trace = [{"subject": x.subject, "matched": x.matched, "reason": x.reason, "next": x.next} for x in decision.trace]
        found.append({"application": "routing", "inputs": json.loads(encode(made)), "details": details, "trace": trace})
        cursor = decode(decision.cursor) if decision.cursor else None
    return found


def small_company(**changes: Any) -> TenantConfig:
    """Users anna (101), ben (102), carl (103), mailbox main, one trunk, the numbers ...00 (plan p) and ...01 (anna), ...09 free."""
    names = ("anna", "ben", "carl")
    company: Plain = {
        "tenant": {"id": "acme", "realm": "acme.example", "country": "CH", "language": "fr", "main_number": "+41215550100"},
        "users": [{"id": name, "last_name": name.capitalize(), "ring_seconds": 25} for name in names],
        "extensions": [{"id": f"10{n}", "destination": {"user_id": name}} for n, name in enumerate(names, 1)],
        "mailboxes": [{"id": "main"}],
        "trunks": [{"id": "carrier", "address": "192.0.2.1"}],
        "numbers": [
            {"id": "+41215550100", "destination": {"plan_id": "p"}},
            {"id": "+41215550101", "destination": {"user_id": "anna"}},
            {"id": "+41215550109"},
        ],
    }
    return config_of({**company, **changes})


def with_plan(*nodes: Plain, **changes: Any) -> TenantConfig:
    """The small company with these nodes as plan p, which number ...00 leads to."""
    return small_company(plans=[{"id": "p", "entry": nodes[0]["id"], "nodes": list(nodes)}], **changes)


def to_plan(
    *nodes: Plain, at: str = "2026-01-06 10:00", caller: str = "+41791112233", world: World | None = None, **changes: Any
) -> SimulatedCall:
    """A call from outside to that plan."""
    return SimulatedCall.from_outside(with_plan(*nodes, **changes), "+41215550100", at, caller, world=world)
