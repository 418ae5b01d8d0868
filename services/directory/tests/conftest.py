"""A small company that has the usual kinds of resources, and one that has them all, as documents."""

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

#: With one of every other kind of resource.
WHOLE: dict[str, Any] = COMPANY | {
    "sites": [{"id": "lausanne", "address": "Rue du Lac 1", "area_code": "21", "operator": {"user_id": "ann"}}],
    "departments": [
        {"id": "company", "site_id": "lausanne", "limits": {"max_calls_out": 5}},
        {"id": "trade", "parent_id": "company", "main_number": "+41215550900"},
    ],
    "rights_profiles": [{"id": "reader", "rights": [{"resource": "user"}, {"resource": "contact", "level": "write"}]}],
    "house_rule_sets": [{"id": "default", "messages_inside_only": True, "users_may_change": ["forwarding"]}],
    "short_number_rules": [{"id": "default", "lengths": [2]}],
    "restriction_profiles": [{"id": "inland", "barred": ["international", "premium"], "pin_needed": ["mobile"]}],
    "account_code_policies": [{"id": "codes", "codes": [{"code": "77"}], "needed": ["mobile"], "validated": False, "max_length": 4}],
    "provisioning_profiles": [{"id": "desk", "call_waiting": False, "time_format": "h12", "screen_timeout_seconds": 0}],
    "origin_zones": [{"id": "romandie", "prefixes": ["+4121", "+4122"], "countries": ["CH"]}],
    "caller_lists": [
        {"id": "nuisance", "department_id": "trade", "callers": [{"prefix": "+41795550666", "exact": True}], "withheld": True}
    ],
    "devices": [
        {"id": "desk-1", "mac": "001565000001", "site_id": "lausanne", "lines": [{"port": 1, "sip_credential_id": "acme-101"}]},
        {"id": "spare", "type": "base", "ports": 8, "provisioning_profile_id": "desk"},
    ],
    "contacts": [
        {"id": "customer", "company": "Customer SA", "phone": "+41445550000", "short_number": "500", "department_id": "trade"},
        {"id": "friend", "last_name": "Friend", "owner_user_id": "bob"},
    ],
    "fax_boxes": [{"id": "fax", "emails": ["fax@acme.example"], "station_name": "+41 21 555 09 09"}],
    "number_groups": [{"id": "service", "destination": {"plan_id": "main"}}],
    "number_blocks": [{"id": "block", "first": "+41215550900", "last": "+41215550909", "ordered_on": "2026-01-31", "trunk_id": "carrier"}],
    "extension_ranges": [{"id": "first", "first": "300", "last": "399"}],
    "short_codes": [{"id": "taxi", "code": "77", "number": "+41215550111"}],
    "emergency_recipients": [{"id": "doorman", "department_id": "company", "emails": ["door@acme.example"], "phones": ["+41795550911"]}],
    "users": [
        {
            "id": "ann",
            "last_name": "Archer",
            "mailbox_id": "box",
            "caller_number": "+41215550900",
            "department_id": "company",
            "login": "ann.archer",
            "role": "department_admin",
            "rights_profile_id": "reader",
            "services": {"fax": False},
            "restriction_profile_id": "inland",
            "account_code_policy_id": "codes",
            "trunk_ids": ["carrier"],
            "function_keys": [{"key": 1, "user_id": "bob"}, {"key": 2, "number": "101"}],
        },
        {"id": "bob", "last_name": "Baker", "forwarding": {"busy": {"ring_group_id": "team"}}},
    ],
    "numbers": [{"id": "+41215550900", "label": "main", "destination": {"plan_id": "main"}, "number_block_id": "block"}],
}


@pytest.fixture
def whole() -> dict[str, Any]:
    """A copy of its own for each test."""
    return copy.deepcopy(WHOLE)


@pytest.fixture
def company() -> dict[str, Any]:
    """A copy of its own for each test."""
    return copy.deepcopy(COMPANY)
