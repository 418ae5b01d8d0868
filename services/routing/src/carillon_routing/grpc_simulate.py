"""`Simulate`: a call that is not made, in the state of the world that the request describes."""

import re
from datetime import UTC, datetime

from pydantic import ValidationError

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.config import BUILT_IN
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import InvalidArgument
from carillon_routing.domain.advance import VARIABLE
from carillon_routing.domain.facts import CallFacts, Direction, Entered, RingResult
from carillon_routing.domain.queue_steps import REASONS
from carillon_routing.domain.simulate import Assumed, on_a_day, simulate, with_modes
from carillon_routing.domain.walk import MAX_VALUE, MAX_VARIABLES
from carillon_routing.grpc_compare import turn_message
from carillon_routing.grpc_explain import explained, teller_for

MAX_ASSUMED = 1000
_VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_RESULTS: dict[str, RingResult] = {
    "answered": "answered",
    "no_answer": "no_answer",
    "busy": "busy",
    "unreachable": "unreachable",
    "congested": "congested",
    "rejected": "rejected",
}


def simulated(config: TenantConfig, request: pb.SimulateRequest, now: datetime) -> pb.SimulateResponse:
    """See routing.proto. Raises `InvalidArgument` with the fields that make no sense in `config`."""
    call, at, assumed = _call(config, request), _moment(request, now), _assumed(request)
    find_out = on_a_day(config, _users(config, request, "busy_user_ids"), _users(config, request, "logged_out_user_ids"))
    _users(config, request, "unregistered_user_ids")
    world, first = _by_hand(config, request), Entered(_variables(request))
    teller = teller_for(config, request.language) if request.language else None
    turns = []
    for turn in simulate(world, call, at, assumed, find_out, first):
        turns.append(turn_message(turn))
        if teller is not None:
            turns[-1].explained.CopyFrom(explained(teller, turn))
    return pb.SimulateResponse(turns=turns, config_seq=config.seq)


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
    try:
        return request.at.ToDatetime(tzinfo=UTC) if request.HasField("at") else now
    except (ValueError, OverflowError) as error:
        raise InvalidArgument({"at": "is not a moment of the years 1 to 9999"}) from error


def _users(config: TenantConfig, request: pb.SimulateRequest, field: str) -> frozenset[str]:
    named = frozenset(getattr(request, field))
    unknown = sorted(named - config.users.keys())
    if unknown:
        raise InvalidArgument({field: f"no user {unknown[0]!r}"})
    return named


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


def _assumed(request: pb.SimulateRequest) -> Assumed:
    if max(len(request.results), len(request.keys), len(request.busy_user_ids), len(request.unregistered_user_ids)) > MAX_ASSUMED:
        raise InvalidArgument({"results": f"at most {MAX_ASSUMED}, and as many keys and users"})
    wrong = {f"results.{who}": f"{result!r} is no result" for who, result in request.results.items() if result not in _RESULTS}
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
    return Assumed(results, tuple(request.keys), queue)
