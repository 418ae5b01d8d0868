"""`Simulate`: a call that is not made, in the state of the world that the request describes."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import ValidationError

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.config import BUILT_IN
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import InvalidArgument
from carillon_routing.domain.advance import VARIABLE
from carillon_routing.domain.assumed import Assumed, QueueAssumed
from carillon_routing.domain.assumed_facts import on_a_day
from carillon_routing.domain.explain import happened
from carillon_routing.domain.facts import CallFacts, Direction, Entered, RingResult
from carillon_routing.domain.queue_steps import REASONS
from carillon_routing.domain.sentences import Teller
from carillon_routing.domain.simulate import NOT_FOLLOWED, Turn, followed, with_modes
from carillon_routing.domain.simulated_queues import MOST_AHEAD, SimulatedQueues
from carillon_routing.domain.walk import MAX_VALUE, MAX_VARIABLES
from carillon_routing.grpc_assumed_facts import checked_sizes, day_of, users_of
from carillon_routing.grpc_compare import turn_message
from carillon_routing.grpc_explain import explained, teller_for

MAX_SECONDS = 86_400
_BY_USER = ("talking_seconds", "idle_seconds")
_SECONDS = ("gives_up_at_seconds", "talk_seconds", "answer_seconds", "queue_seconds")
_VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_RESULTS: dict[str, RingResult] = {
    "answered": "answered",
    "no_answer": "no_answer",
    "busy": "busy",
    "unreachable": "unreachable",
    "congested": "congested",
    "rejected": "rejected",
}


def simulated(
    config: TenantConfig, request: pb.SimulateRequest, now: datetime, is_over: Callable[[], bool] = lambda: False
) -> pb.SimulateResponse:
    """See routing.proto. Raises `InvalidArgument` with the fields that make no sense in `config`. `is_over`: it has taken long enough."""
    checked_sizes(request)
    call, at, assumed = _call(config, request), _moment(request, now), _assumed(config, request)
    find_out = on_a_day(config, day_of(config, request))
    users_of(config, request, "unregistered_user_ids")
    world, first = _by_hand(config, request), Entered(_variables(request))
    teller = teller_for(config, request.language) if request.language else None
    turns = []
    for turn in followed(world, call, at, assumed, find_out, first, queues=SimulatedQueues(world, call, assumed, is_over)):
        last = turn.became is not None and turn.became.outcome is not None and is_over()
        turns.append(_turn(replace(turn, became=NOT_FOLLOWED) if last else turn, teller))
        if last:
            break
    return pb.SimulateResponse(turns=turns, config_seq=config.seq)


def _turn(turn: Turn, teller: Teller | None) -> pb.SimulatedTurn:
    told = turn_message(turn.decided)
    told.at.FromDatetime(turn.at)
    if teller is not None:
        told.explained.CopyFrom(explained(teller, turn.decided))
    if turn.became is not None:
        told.outcome = turn.became.kind
        told.outcome_values.update(turn.became.values)
        if teller is not None:
            told.outcome_sentence = happened(teller, turn.became.kind, turn.became.values)
    return told


def _call(config: TenantConfig, request: pb.SimulateRequest) -> CallFacts:
    if not 1 <= len(request.dialled) <= 128:
        raise InvalidArgument({"dialled": "must be 1 to 128 characters"})
    user_id = request.caller_user_id
    if user_id and user_id not in config.users:
        raise InvalidArgument({"caller_user_id": f"no user {user_id!r}"})
    if request.trunk_id and (user_id or request.trunk_id not in config.trunks):
        raise InvalidArgument({"trunk_id": "a user calls" if user_id else f"no trunk {request.trunk_id!r}"})
    caller = config.extension_of(user_id) if user_id else request.caller[:64]
    direction: Direction = "from_user" if user_id else "inbound"
    name = "" if user_id else request.caller_name[:128]
    return CallFacts(config.tenant_id, "simulation", direction, request.dialled, caller, name, user_id, request.trunk_id)


def _moment(request: pb.SimulateRequest, now: datetime) -> datetime:
    """In whole seconds; in every time zone, and as long as a call lasts, inside the years that there are."""
    try:
        moment = request.at.ToDatetime(tzinfo=UTC) if request.HasField("at") else now
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not 2 <= moment.year <= 9998:
        raise InvalidArgument({"at": "is not a moment of the years 2 to 9998"})
    return moment.replace(microsecond=0)


def _by_hand(config: TenantConfig, request: pb.SimulateRequest) -> TenantConfig:
    unknown = {f"schedule_modes.{name}": "there is no such schedule" for name in request.schedule_modes if name not in config.schedules}
    if unknown:
        raise InvalidArgument(unknown)
    try:
        return with_modes(config, request.schedule_modes) if request.schedule_modes else config
    except ValidationError as error:
        raise InvalidArgument({"schedule_modes": "must be automatic, day, night, lunch or closed"}) from error


def _variables(request: pb.SimulateRequest) -> dict[str, str]:
    wrong = {
        f"variables.{name}": f"must be a name of a variable, with at most {MAX_VALUE} characters"
        for name, value in request.variables.items()
        if _VARIABLE.fullmatch(name) is None or name in BUILT_IN or len(value) > MAX_VALUE
    }
    if len(request.variables) > MAX_VARIABLES:
        wrong["variables"] = f"at most {MAX_VARIABLES}"
    if wrong:
        raise InvalidArgument(wrong)
    return {f"{VARIABLE}{name}": value for name, value in request.variables.items()}


def _assumed(config: TenantConfig, request: pb.SimulateRequest) -> Assumed:
    wrong = {
        f"results.{who}": f"{result!r} is no result: {', '.join(_RESULTS)}"
        for who, result in request.results.items()
        if result not in _RESULTS
    }
    wrong |= {f"causes.{who}": "must be 1 to 127" for who, cause in request.causes.items() if not 1 <= cause <= 127}
    wrong |= {f"queues.{each}": "there is no such queue" for each in request.queues if each not in config.queues}
    wrong |= {name: f"must be 0 to {MAX_SECONDS}" for name in _SECONDS if not 0 <= getattr(request, name) <= MAX_SECONDS}
    for name in ("answers_after_seconds", *_BY_USER):
        by_whom = getattr(request, name)
        wrong |= {f"{name}.{who}": f"must be 0 to {MAX_SECONDS}" for who, seconds in by_whom.items() if not 0 <= seconds <= MAX_SECONDS}
    for name in _BY_USER:
        wrong |= {f"{name}.{who}": "there is no such user" for who in getattr(request, name) if who not in config.users}
    wrong |= {f"queues.{each}.waiting": _TOO_MANY for each, found in request.queues.items() if _too_many(config, each, found)}
    queue = next((reason for reason in REASONS if reason == (request.queue_result or "answered")), None)
    if queue is None:
        wrong["queue_result"] = f"must be one of {', '.join(REASONS)}"
    if wrong or queue is None:
        raise InvalidArgument(wrong)
    results: dict[str, RingResult] = {
        **dict.fromkeys(request.busy_user_ids, "busy"),
        **dict.fromkeys(request.unregistered_user_ids, "unreachable"),
        **{who: _RESULTS[result] for who, result in request.results.items()},
    }
    return Assumed(
        results,
        tuple(request.keys),
        queue,
        {name: _queue(found) for name, found in request.queues.items()},
        request.queue_seconds,
        frozenset(request.logged_out_user_ids),
        frozenset(request.busy_user_ids),
        dict(request.talking_seconds),
        dict(request.idle_seconds),
        dict(request.causes),
        request.answer_seconds,
        dict(request.answers_after_seconds),
        request.talk_seconds if request.HasField("talk_seconds") else None,
        request.gives_up_at_seconds if request.HasField("gives_up_at_seconds") else None,
    )


_TOO_MANY = f"must be at most {MOST_AHEAD}, or so many that the queue is full"


def _too_many(config: TenantConfig, queue_id: str, found: pb.SimulatedQueue) -> bool:
    queue = config.queues.get(queue_id)
    return queue is not None and MOST_AHEAD < found.waiting < queue.size_limit


def _queue(found: pb.SimulatedQueue) -> QueueAssumed:
    logged_in = found.agents_logged_in if found.HasField("agents_logged_in") else None
    return QueueAssumed(found.waiting, logged_in, found.agents_idle if found.HasField("agents_idle") else None)
