"""What would become of a call: `advance`, step by step, with assumed outcomes; and the tests of plans.

Always: the steps and traces are those that a call with these outcomes would have had, because the same function decides them; a simulation
reads one tenant's configuration and nothing else, and ends.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from carillon_contracts.config import Plan, PlanDraft, PlanTest, Schedule
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.advance import decided as advance_knowing
from carillon_routing.domain.asks import (
    NOTHING,
    AnsweredToday,
    Ask,
    Attend,
    BusyUsers,
    CancelCallBacks,
    ChangeUser,
    CountTry,
    Draw,
    HavePhone,
    Known,
    LoggedIn,
    OrderCallBack,
    TakePlace,
)
from carillon_routing.domain.facts import (
    Advance,
    CallFacts,
    Delegate,
    Entered,
    Gather,
    Gathered,
    Outcome,
    Play,
    Played,
    Rang,
    Ring,
    RingResult,
    RingTarget,
    UserTarget,
)
from carillon_routing.domain.queue_steps import EnterQueue, QueueOver, QueueReason
from carillon_routing.domain.walk import name_of

#: A call that rings, speaks and asks more often is not followed any further.
MAX_TURNS = 100
#: A ring step that nobody answers came to the first of these that a target came to.
_WORST: tuple[RingResult, ...] = ("no_answer", "busy", "rejected", "congested", "unreachable")
#: The cause (Q.850) that a phone or carrier usually gives with it; of who does not answer or is not there, none is heard.
_CAUSES: Mapping[RingResult, int] = {"busy": 17, "rejected": 21, "congested": 41}


@dataclass(frozen=True, slots=True)
class Assumed:
    """What becomes of users (by id) and outside numbers that ring; who is not there answers. `keys`: one entry a question."""

    results: Mapping[str, RingResult] = field(default_factory=lambda: MappingProxyType({}))
    keys: tuple[str, ...] = ()
    queue: QueueReason = "answered"


def simulate(
    config: TenantConfig,
    call: CallFacts,
    at: datetime,
    assumed: Assumed,
    find_out: Callable[[Ask], JsonValue] | None = None,
    first: Outcome | None = None,
    begun: tuple[Advance, ...] = (),
    known: Known = NOTHING,
) -> tuple[Advance, ...]:
    """The decisions in order; the last one is where the call stays. `at` is aware; `find_out` None: `usual`.

    `begun`: the first decisions, where they are known; `known`: what is not to be found out any more.
    """
    found: list[Advance] = []
    cursor, keys = None, list(assumed.keys)
    following: Outcome | None = first or Entered()
    while following is not None and len(found) < MAX_TURNS:
        if len(found) < len(begun):
            decided = begun[len(found)]
        else:
            decided = advance_knowing(config, call, cursor, following, at, find_out or usual, known)
        found.append(decided)
        cursor = decided.at
        following = _outcome(decided, assumed, keys) if cursor is not None else None
    return tuple(found)


def on_a_day(config: TenantConfig, busy: Collection[str], logged_out: Collection[str]) -> Callable[[Ask], JsonValue]:
    """`usual`, but that these users talk, and that all members but these are logged in at their hunt groups."""

    def find_out(ask: Ask) -> JsonValue:
        match ask:
            case BusyUsers(user_ids):
                return [user_id for user_id in user_ids if user_id in busy]
            case LoggedIn(group_id):
                group = config.hunt_groups.get(group_id)
                return [member.user_id for member in group.members if member.user_id not in logged_out] if group is not None else []
            case _:
                return usual(ask)

    return find_out


def usual(ask: Ask) -> JsonValue:
    """A quiet day: the first call at every counter, nobody talks, every change is taken; what only the outside can tell is not known."""
    match ask:
        case Draw():
            return 0
        case TakePlace():
            return {"taken": True, "calls": 0, "starts": 0}
        case AnsweredToday():
            return {}
        case BusyUsers():
            return []
        case ChangeUser() | HavePhone() | Attend() | OrderCallBack():
            return True
        case CancelCallBacks():
            return 0
        case CountTry():
            return {"accepted": True, "wrong": 0}
        case _:
            return None


def _outcome(decided: Advance, assumed: Assumed, keys: list[str]) -> Outcome | None:
    """What the step leads to; None: there the call stays."""
    match decided.step:
        case Ring(targets):
            results = {target.target_id: assumed.results.get(_who(target), "answered") for target in targets}
            if "answered" in results.values():
                return None
            worst: RingResult = next((result for result in _WORST if result in results.values()), "unreachable")
            return Rang(worst, results, _CAUSES.get(worst, 0) if len(targets) == 1 else 0)
        case Play():
            return Played()
        case Gather():
            pressed = keys.pop(0) if keys else ""
            return Gathered(pressed, timed_out=not pressed)
        case EnterQueue():
            return None if assumed.queue == "answered" else QueueOver(assumed.queue)
        case _:
            return None


def _who(target: RingTarget) -> str:
    return target.user_id if isinstance(target, UserTarget) else target.number


def with_draft(config: TenantConfig, draft: PlanDraft) -> TenantConfig:
    """The configuration as it would be with the draft in its plan's place; version and everything else stay."""
    return with_plan(config, draft.plan(config.plans.get(draft.plan_id)))


def with_modes(config: TenantConfig, modes: Mapping[str, str]) -> TenantConfig:
    """The same with schedules set by hand; raises `KeyError` for one that is not there, and `ValidationError` for what is no mode."""
    changed = {name: Schedule.model_validate(config.schedules[name].model_dump() | {"mode": mode}) for name, mode in modes.items()}
    return config.advanced(config.seq, {Schedule.KIND: MappingProxyType({**config.schedules, **changed})})


def with_plan(config: TenantConfig, plan: Plan) -> TenantConfig:
    """The same with a plan in the place of the one of its id."""
    return config.advanced(config.seq, {Plan.KIND: MappingProxyType({**config.plans, plan.id: plan})})


def reached(turns: tuple[Advance, ...]) -> tuple[str, ...]:
    """Where the call came by, as the trace names it."""
    names: dict[str, None] = {}
    for turn in turns:
        names |= dict.fromkeys(line.next for line in turn.trace if line.matched and line.next)
        if isinstance(turn.step, Ring):
            names |= dict.fromkeys(target_name(target) for target in turn.step.targets)
        if isinstance(turn.step, Delegate):
            names.pop(turn.step.application, None)
            whose = [f"{name.removesuffix('_id')}/{value}" for name, value in turn.step.arguments.items() if name.endswith("_id")]
            names |= dict.fromkeys([*whose, turn.step.application])
    return tuple(names)


def target_name(target: RingTarget) -> str:
    """`user/anna`, `external_number/+41791112233`."""
    return f"user/{target.user_id}" if isinstance(target, UserTarget) else f"external_number/{target.number}"


@dataclass(frozen=True, slots=True)
class RanTest:
    """What became of a plan's test: whether the call reaches what it must, and where it came by."""

    test_id: str
    passed: bool
    reached: tuple[str, ...]


def run_tests(active: TenantConfig, config: TenantConfig, plan_id: str) -> Iterator[RanTest | None]:
    """The tests of a plan, and of other plans those that pass in `active` and do not in `config`; None between two, for a breath."""
    for test in config.plan_tests.values():
        passed, came_by = run_test(config, test)
        if test.plan_id == plan_id or (not passed and config is not active and run_test(active, test)[0]):
            yield RanTest(test.id, passed, came_by)
        else:
            yield None


def run_test(config: TenantConfig, test: PlanTest) -> tuple[bool, tuple[str, ...]]:
    """Whether the call reaches what it must, and where it came by."""
    at = datetime.fromisoformat(test.at).replace(tzinfo=ZoneInfo(config.tenant.time_zone))
    call = CallFacts(config.tenant_id, f"plan_test/{test.id}", "inbound", test.dialled, test.caller)
    results: dict[str, RingResult] = {
        **dict.fromkeys(test.busy_user_ids, "busy"),
        **dict.fromkeys(test.absent_user_ids, "no_answer"),
        **dict.fromkeys(test.unreachable_user_ids, "unreachable"),
    }
    came_by = reached(simulate(config, call, at, Assumed(results, test.keys)))
    return name_of(test.reaches) in came_by, came_by
