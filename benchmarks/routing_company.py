"""A large company for measurements of routing: 1,000 numbers, 5,000 users, 200 plans of a dozen nodes; and its past calls."""

from typing import Any

import orjson

from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.facts import Outcome, Rang, Ring
from carillon_routing.testing import SimulatedCall, World, kept

USERS, NUMBERS, PLANS = 5000, 1000, 200
KINDS = 500


def numbers() -> list[str]:
    """Of the company, in order; each fifth leads to a user, the others to a plan."""
    return [f"+4121555{number:04}" for number in range(NUMBERS)]


def company() -> dict[str, Any]:
    """As `carillon apply` reads it."""
    hours = [
        {"weekdays": [1, 2, 3, 4, 5], "start": "08:00", "end": "12:00"},
        {"weekdays": [1, 2, 3, 4, 5], "start": "13:30", "end": "18:00"},
    ]
    return {
        "tenant": {"id": "acme", "realm": "acme.example", "country": "CH", "language": "fr", "main_number": numbers()[0]},
        "users": [{"id": f"u{n}", "last_name": f"U{n}", "ring_seconds": 20} for n in range(USERS)],
        "extensions": [{"id": f"{20000 + n}", "destination": {"user_id": f"u{n}"}} for n in range(USERS)],
        "mailboxes": [{"id": "main"}],
        "trunks": [{"id": "carrier", "address": "192.0.2.1"}],
        "schedules": [{"id": f"s{n}", "ranges": hours} for n in range(20)],
        "caller_lists": [{"id": "vip", "callers": [{"prefix": f"+4179000{n:04}", "exact": True} for n in range(500)]}],
        "ring_groups": [
            {
                "id": f"g{n}",
                "strategy": ("parallel", "sequential", "progressive")[n % 3],
                "members": [{"user_id": f"u{n * 5 + m}"} for m in range(5)],
            }
            for n in range(PLANS)
        ],
        "plans": [_plan(n) for n in range(PLANS)],
        "plan_drafts": [_draft()],
        "numbers": [
            {"id": number, "destination": {"user_id": f"u{n}"} if n % 5 == 4 else {"plan_id": f"plan{n % PLANS}"}}
            for n, number in enumerate(numbers())
        ],
    }


def _plan(n: int) -> dict[str, Any]:
    return {
        "id": f"plan{n}",
        "entry": "list",
        "nodes": [
            {"id": "list", "caller_list": {"caller_list_id": "vip", "listed": "boss", "otherwise": "origin"}},
            {"id": "boss", "destination": {"destination": {"user_id": f"u{n}"}, "ways": {"otherwise": "hours"}}},
            {
                "id": "origin",
                "origin": {
                    "entries": [{"countries": ["FR", "DE"], "next": "french"}, {"withheld": True, "next": "hours"}],
                    "otherwise": "hours",
                },
            },
            {"id": "french", "language": {"languages": ["fr"], "next": "hours"}},
            {"id": "hours", "calendar": {"entries": [{"schedule_id": f"s{n % 20}", "next": "desk"}], "otherwise": "box"}},
            {"id": "desk", "destination": {"destination": {"user_id": f"u{n + 1}"}, "ways": {"no_answer": "group", "otherwise": "box"}}},
            {"id": "group", "ring_group": {"ring_group_id": f"g{n}", "ways": {"otherwise": "box"}}},
            {"id": "box", "mailbox": {"mailbox_id": "main"}},
        ],
    }


def _draft() -> dict[str, Any]:
    """Plan 0 with a mailbox in its group's place."""
    plan = _plan(0)
    nodes = [{"id": "group", "mailbox": {"mailbox_id": "main"}} if node["id"] == "group" else node for node in plan["nodes"]]
    return {"id": "draft", "plan_id": plan["id"], "entry": plan["entry"], "nodes": nodes}


def past_calls(config: TenantConfig) -> list[list[bytes]]:
    """500 calls that nobody answers, half of them to plan 0: the events of their decisions as cdr keeps them."""
    world, calls = World(), []
    for number in range(KINDS):
        dialled = numbers()[0] if number % 2 else numbers()[number]
        call = SimulatedCall.from_outside(config, dialled, "2026-01-06 10:00", f"+4179{number:07}", world=world, call_id=f"c{number}")
        outcomes: list[Outcome] = []
        while isinstance(call.last.step, Ring) and len(outcomes) < 2:
            outcome = Rang("no_answer", {each.target_id: "no_answer" for each in call.last.step.targets})
            call.becomes(outcome)
            outcomes.append(outcome)
        calls.append(_kept(call, outcomes))
    return calls


def _kept(call: SimulatedCall, outcomes: list[Outcome]) -> list[bytes]:
    """The decisions as the events of the ledger."""
    return [orjson.dumps({"type": "carillon.call.routing_decided.v1", "data": data}) for data in kept(call, *outcomes)]
