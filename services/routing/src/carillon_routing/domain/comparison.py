"""Past calls followed again, with the plans of now and with another plan in place of one of them: who would go elsewhere.

A call is followed with what is known of it: its moment, who was busy or did not answer, which keys were pressed, what was read of the
outside. Whoever was not rung then answers; what was not read then is as on a quiet day. Only calls that come by the plan are followed
twice, because all others go the same way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from carillon_contracts.config import Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import made_of
from carillon_routing.domain.assumed import Assumed
from carillon_routing.domain.cursor import MenuWait
from carillon_routing.domain.facts import Advance, Delegate, Gather, Gathered, HangUp, Outcome, Play, Rang, Ring
from carillon_routing.domain.made_of import MadeOf
from carillon_routing.domain.queue_steps import EnterQueue, QueueReason
from carillon_routing.domain.simulate import simulate, target_name, with_plan

Course = tuple[str, ...]
#: Kinds of change that are told apart, and that one `Comparison` tells apart; more are counted together.
MAX_GROUPS, MAX_GROUPS_EACH = 200, 300


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call, or what became of it after somebody sent it elsewhere: its first question, and what is known of the rest."""

    first: MadeOf
    assumed: Assumed
    read: Mapping[str, JsonValue]

    def followed(self, config: TenantConfig, begun: tuple[Advance, ...] = ()) -> tuple[Advance, ...]:
        """The decisions with a configuration; `begun`: the first ones, where they are known. Raises nothing that `simulate` does not."""

        return simulate(config, self.first.call, self.first.now, self.assumed, None, self.first.outcome, begun, self.read)


def past_calls(tenant_id: str, call_id: str, decisions: Iterable[Mapping[str, Any]]) -> list[PastCall]:
    """From the data of a call's `routing_decided` events, in order; raises `BadRecord`. Those without inputs are passed over."""
    found: list[PastCall] = []
    rung: dict[str, str] = {}
    for data in decisions:
        kept = data.get("inputs")
        if data.get("application") != "routing" or not isinstance(kept, dict):
            continue
        if made_of.went_on(kept):
            if found:
                found[-1] = _with(found[-1], *made_of.what_became(kept), rung)
        else:
            made = made_of.decode(kept, tenant_id, call_id)
            found.append(PastCall(made, Assumed(), made.read))
        rung = _rung(data)
    return found


def _rung(data: Mapping[str, Any]) -> dict[str, str]:
    """Who stands behind the targets of a ring step: users by id, numbers of trunks."""
    targets = data["details"].get("targets", ()) if isinstance(data.get("details"), dict) else ()
    return {str(each.get("target_id")): str(each.get("user_id") or (each.get("trunk") or {}).get("number", "")) for each in targets}


def _with(
    call: PastCall, outcome: Outcome | None, read: Mapping[str, JsonValue], left: tuple[QueueReason, ...], rung: Mapping[str, str]
) -> PastCall:
    results, keys, queue = call.assumed.results, call.assumed.keys, call.assumed.queue
    match outcome:
        case Rang(_, targets):
            results = {**results, **{rung[target]: each for target, each in targets.items() if target in rung}}
        case Gathered(digits):
            keys = (*keys, digits)
        case _:
            pass
    return PastCall(call.first, Assumed(results, keys, left[-1] if left else queue), {**call.read, **read} if read else call.read)


def course(turns: tuple[Advance, ...]) -> Course:
    """Where a call went, one name a turn; what nodes are called, and what is spoken, is no part of it."""
    return tuple(_station(turn) for turn in turns)


def _station(turn: Advance) -> str:
    step = turn.step
    match step:
        case Ring(targets):
            return "ring " + ", ".join(dict.fromkeys(map(target_name, targets)))
        case Delegate(application, arguments):
            return " ".join([application, *(value for _, value in sorted(arguments.items()))])
        case HangUp(cause):
            return f"hang_up {cause}"
        case EnterQueue(queue_id):
            return f"queue/{queue_id}"
        case Play() | Gather():
            wait = turn.at.wait if turn.at is not None else None
            return f"menu/{wait.menu_id}" if isinstance(wait, MenuWait) else "announcement"
        case _:
            return type(step).__name__.lower()


def _changed(before: Plan | None, after: Plan) -> frozenset[tuple[str, str]]:
    """What reads otherwise, as `Advance.looked_at` names it."""
    then = {node.id: node for node in before.nodes} if before is not None else {}
    now = {node.id: node for node in after.nodes}
    nodes = {(after.id, name) for name in then.keys() | now.keys() if then.get(name) != now.get(name)}
    same = before is not None and before.model_copy(update={"nodes": after.nodes, "etag": after.etag}) == after
    return frozenset(nodes if same else nodes | {(after.id, "")})


@dataclass(frozen=True, slots=True)
class Counts:
    """Calls: all, those that come by the plan, those of them that would go elsewhere, and those that cannot be followed."""

    read: int = 0
    by_plan: int = 0
    elsewhere: int = 0
    not_followed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        added = self.by_plan + other.by_plan, self.elsewhere + other.elsewhere, self.not_followed + other.not_followed
        return Counts(self.read + other.read, *added)


@dataclass(frozen=True, slots=True)
class Sample:
    """A call both ways; `place`: the how manieth of all."""

    place: int
    call_id: str
    now: tuple[Advance, ...]
    then: tuple[Advance, ...]


@dataclass(slots=True)
class Group:
    """Calls that would go the same other way; the first ones as samples."""

    now: Course
    then: Course
    calls: int = 0
    samples: list[Sample] = field(default_factory=list)


@dataclass(slots=True)
class Found:
    """What a `Comparison` found; `ungrouped`: calls elsewhere in no group."""

    groups: list[Group] = field(default_factory=list)
    ungrouped: int = 0


def together(parts: Iterable[Found], samples: int) -> Found:
    """What several found out about calls that were dealt out to them: the same as one would have, the largest groups first."""
    groups: dict[tuple[Course, Course], Group] = {}
    ungrouped = 0
    for part in parts:
        ungrouped += part.ungrouped
        for each in part.groups:
            known = groups.setdefault((each.now, each.then), Group(each.now, each.then))
            known.calls += each.calls
            known.samples = sorted([*known.samples, *each.samples], key=lambda sample: sample.place)[:samples]
    largest = sorted(groups.values(), key=lambda group: (-group.calls, group.now, group.then))
    return Found(largest[:MAX_GROUPS], ungrouped + sum(group.calls for group in largest[MAX_GROUPS:]))


class Comparison:
    """Counts calls, one `add` each."""

    def __init__(self, config: TenantConfig, plan: Plan, samples: int) -> None:
        self._config = config
        self._other = with_plan(config, plan)
        self._plan_id = plan.id
        self._changed = _changed(config.plans.get(plan.id), plan)
        self._samples = samples
        self._ungrouped = 0
        self._groups: dict[tuple[Course, Course], Group] = {}

    @property
    def found(self) -> Found:
        """For `together`."""
        return Found(list(self._groups.values()), self._ungrouped)

    def add(self, place: int, call_id: str, decisions: Iterable[Mapping[str, Any]]) -> Counts:
        """Follow a call both ways, the how manieth it is of all."""
        try:
            parts = past_calls(self._config.tenant_id, call_id, decisions)
        except made_of.BadRecord:
            parts = []
        if not parts:
            return Counts(read=1, not_followed=1)
        pairs = [(part, now) for part in parts if self._comes_by(now := part.followed(self._config))]
        other = next(((now, then) for part, now in pairs if (then := self._other_way(part, now)) is not None), None)
        if other is not None:
            self._put(Sample(place, call_id, *other))
        return Counts(1, int(bool(pairs)), int(other is not None))

    def _comes_by(self, turns: tuple[Advance, ...]) -> bool:
        return any(plan_id == self._plan_id and node_id for turn in turns for plan_id, node_id in turn.looked_at)

    def _other_way(self, part: PastCall, now: tuple[Advance, ...]) -> tuple[Advance, ...] | None:
        """The decisions with the other plan, if they lead elsewhere: the same until one looks at what is changed."""
        same = next((place for place, turn in enumerate(now) if not self._changed.isdisjoint(turn.looked_at)), None)
        if same is None:
            return None
        then = part.followed(self._other, now[:same])
        return then if course(now[same:]) != course(then[same:]) else None

    def _put(self, sample: Sample) -> None:
        key = (course(sample.now), course(sample.then))
        if key not in self._groups and len(self._groups) >= MAX_GROUPS_EACH:
            self._ungrouped += 1
            return
        group = self._groups.setdefault(key, Group(*key))
        group.calls += 1
        if len(group.samples) < self._samples:
            group.samples.append(sample)
