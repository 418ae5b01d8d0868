"""The state of the world that a `SimulateRequest` describes, checked against the configuration."""

from collections.abc import Collection

from pydantic import JsonValue

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import InvalidArgument
from carillon_routing.domain.assumed_facts import Day, addresses_of, counters_of, shares_of

#: Entries of a list or map, and characters of a value.
MAX_ASSUMED, MAX_TEXT = 1000, 1000
_MANY = (
    *("results", "keys", "busy_user_ids", "unregistered_user_ids", "logged_out_user_ids", "causes", "queues", "limits", "shares"),
    *("web_answers", "answered_today", "trunk_calls", "schedule_modes", "answers_after_seconds", "talking_seconds", "idle_seconds"),
)
_COUNTS = ("shares", "answered_today", "trunk_calls")


def checked_sizes(request: pb.SimulateRequest) -> None:
    """Raises `InvalidArgument` for what is too much to be looked at."""
    wrong = {name: f"at most {MAX_ASSUMED}" for name in _MANY if len(getattr(request, name)) > MAX_ASSUMED}
    if wrong:
        raise InvalidArgument(wrong)


def users_of(config: TenantConfig, request: pb.SimulateRequest, field: str) -> frozenset[str]:
    """The users that a field names. Raises `InvalidArgument`."""
    named = frozenset(getattr(request, field))
    _known(field, named, config.users.keys(), "user")
    return named


def _known(field: str, named: Collection[str], known: Collection[str], what: str) -> None:
    unknown = sorted(name for name in set(named) if name not in known)
    if unknown:
        raise InvalidArgument({field: f"no {what} {unknown[0]!r}"})


def day_of(config: TenantConfig, request: pb.SimulateRequest) -> Day:
    """Raises `InvalidArgument` with the field that makes no sense in `config`."""
    if request.limits:
        _known("limits", request.limits, set(counters_of(config)), "limit")
    if request.shares:
        _known("shares", request.shares, set(shares_of(config)), "split or ring group")
    if request.web_answers:
        _known("web_answers", request.web_answers, set(addresses_of(config)), "node asks")
    _known("answered_today", request.answered_today, config.users.keys(), "user")
    _known("trunk_calls", request.trunk_calls, config.trunks.keys(), "trunk")
    if request.last_agent_user_id:
        _known("last_agent_user_id", (request.last_agent_user_id,), config.users.keys(), "user")
    counts = {
        **{f"limits.{name}": min(each.calls, each.starts) for name, each in request.limits.items()},
        **{f"{field}.{name}": each for field in _COUNTS for name, each in getattr(request, field).items()},
        **{f"queues.{name}": min(each.waiting, each.agents_logged_in, each.agents_idle) for name, each in request.queues.items()},
        "wrong_codes": request.wrong_codes,
    }
    if wrong := {name: "must not be less than 0" for name, count in counts.items() if count < 0}:
        raise InvalidArgument(wrong)
    return Day(
        users_of(config, request, "busy_user_ids"),
        users_of(config, request, "logged_out_user_ids"),
        {name: (each.calls, each.starts) for name, each in request.limits.items()},
        dict(request.shares),
        dict(request.answered_today),
        dict(request.trunk_calls),
        {url: _answer(url, each) for url, each in request.web_answers.items()},
        request.last_agent_user_id,
        request.last_caller[:64],
        request.mails_fail,
        request.wrong_codes,
    )


def _answer(url: str, answer: pb.SimulatedAnswer) -> JsonValue:
    if not 100 <= answer.status <= 599:
        raise InvalidArgument({f"web_answers.{url}.status": "must be 100 to 599"})
    if len(answer.fields) > MAX_ASSUMED or any(len(value) > MAX_TEXT for value in answer.fields.values()):
        raise InvalidArgument({f"web_answers.{url}.fields": f"at most {MAX_ASSUMED}, with at most {MAX_TEXT} characters each"})
    return {"status": answer.status, "body": dict[str, JsonValue](answer.fields)}
