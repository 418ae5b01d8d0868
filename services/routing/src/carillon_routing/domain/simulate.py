"""What would become of a call: `advance`, step by step, with assumed outcomes, on a clock that goes on with them.

Always: the steps and traces are those that a call with these outcomes would have had, because the same function decides them; a simulation
reads one tenant's configuration and nothing else, and ends.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from carillon_contracts.config import Plan, PlanDraft, Schedule
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.advance import decided as advance_knowing
from carillon_routing.domain.asks import NOTHING, Known
from carillon_routing.domain.assumed import Assumed, Became, became
from carillon_routing.domain.assumed_facts import Day, FindOut, on_a_day
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Delegate, Entered, Outcome, Ring, RingTarget, UserTarget
from carillon_routing.domain.queue_steps import Waited
from carillon_routing.domain.simulated_queues import SimulatedQueues

#: A call that rings, speaks and asks more often, or waits and is offered more often in queues, or longer, is not followed any further.
MAX_TURNS, MAX_QUEUE_TURNS, MAX_MS = 100, 400, 86_400_000


NOT_FOLLOWED = Became("not_followed", None)


@dataclass(frozen=True, slots=True)
class Turn:
    """A decision, when it is made, and what becomes of its step; None: there the call stays."""

    at: datetime
    decided: Advance
    became: Became | None


def simulate(
    config: TenantConfig,
    call: CallFacts,
    at: datetime,
    assumed: Assumed,
    find_out: FindOut | None = None,
    first: Outcome | None = None,
    begun: tuple[Advance, ...] = (),
    known: Known = NOTHING,
) -> tuple[Advance, ...]:
    """The decisions of `followed`."""
    return tuple(turn.decided for turn in followed(config, call, at, assumed, find_out, first, begun, known))


def followed(
    config: TenantConfig,
    call: CallFacts,
    at: datetime,
    assumed: Assumed,
    find_out: FindOut | None = None,
    first: Outcome | None = None,
    begun: tuple[Advance, ...] = (),
    known: Known = NOTHING,
    queues: SimulatedQueues | None = None,
) -> Iterator[Turn]:
    """The decisions in order, each at its moment; the last one is where the call stays, or `not_followed` any further. `at` is aware;
    `find_out` None: a quiet day.

    `begun`: the first decisions, where they are known; `known`: what is not to be found out any more; `queues` None: they are one step.
    """
    keys, find_out = list(assumed.keys), find_out or on_a_day(config, Day())
    outcome: Outcome | Waited | None = first or Entered()
    cursor, elapsed, number, in_queues = None, 0, 0, 0

    def engine(cursor: Cursor | None, outcome: Outcome, now: datetime) -> Advance:
        return advance_knowing(config, call, cursor, outcome, now, find_out, known)

    while outcome is not None:
        now = at + timedelta(milliseconds=elapsed)
        if number < len(begun):
            decided = begun[number]
        elif queues is not None:
            decided = queues.decide(engine, cursor, outcome, now)
        else:
            assert not isinstance(outcome, Waited)
            decided = engine(cursor, outcome, now)
        found = became(config, decided, assumed, keys, elapsed, queues.became if queues is not None else None)
        cursor, number = decided.at, number + 1
        if queues is not None and cursor is not None and isinstance(cursor.wait, QueueWait):
            in_queues += 1
            if isinstance(decided.step, Ring) and found is not None:
                queues.answers(decided.step, found)
        elapsed += found.ms + found.talk_ms if found is not None else 0
        if number - in_queues >= MAX_TURNS or in_queues >= MAX_QUEUE_TURNS or elapsed > MAX_MS:
            found = NOT_FOLLOWED if found is not None and found.outcome is not None else found
        yield Turn(now, decided, found)
        outcome = found.outcome if found is not None else None


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
