"""A large company for measurements of routing: 1,000 numbers, 5,000 users, 200 plans of a dozen nodes."""

from typing import Any

USERS, NUMBERS, PLANS = 5000, 1000, 200


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
