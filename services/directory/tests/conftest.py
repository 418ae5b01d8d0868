"""A small company that has one of each kind of resource, as documents."""

import copy
from typing import Any

import pytest

from carillon_kit.testing import nats_server, nats_url, postgres_dsn  # noqa: F401

COMPANY: dict[str, Any] = {
    "tenant": {"id": "acme", "realm": "acme.example", "language": "en", "main_number": "+41215550900"},
    "users": [
        {"id": "ann", "last_name": "Archer", "mailbox_id": "box", "caller_number": "+41215550900"},
        {"id": "bob", "last_name": "Baker", "forwarding": {"busy": {"ring_group_id": "team"}}},
    ],
    "sip_credentials": [{"id": "acme-101", "user_id": "ann", "password": "correct-horse"}],
    "mailboxes": [{"id": "box", "emails": ["box@acme.example"]}],
    "schedules": [{"id": "day", "ranges": [{"weekdays": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00"}]}],
    "ring_groups": [
        {"id": "team", "members": [{"user_id": "ann"}, {"external_number": "+41795550901"}], "no_answer": {"mailbox_id": "box"}}
    ],
    "menus": [{"id": "choice", "prompt": [{"text": "Press 1."}], "keys": [{"key": "1", "destination": {"user_id": "ann"}}]}],
    "plans": [
        {
            "id": "main",
            "entry": "hours",
            "nodes": [
                {"id": "hours", "calendar": {"entries": [{"schedule_id": "day", "next": "ring"}], "otherwise": "box"}},
                {"id": "ring", "ring_group": {"ring_group_id": "team", "ways": {"otherwise": "box"}}},
                {"id": "box", "mailbox": {"mailbox_id": "box"}},
            ],
        }
    ],
    "extensions": [{"id": "101", "destination": {"user_id": "ann"}}, {"id": "200", "destination": {"menu_id": "choice"}}],
    "numbers": [{"id": "+41215550900", "label": "main", "destination": {"plan_id": "main"}}],
    "trunks": [{"id": "carrier", "address": "127.0.0.2"}],
}


@pytest.fixture
def company() -> dict[str, Any]:
    """A copy of its own for each test."""
    return copy.deepcopy(COMPANY)
