"""Short codes, contacts' short numbers, local dialling and other exchanges."""

from typing import Any

import pytest

from carillon_routing.testing import SimulatedCall, small_company

pytestmark = pytest.mark.feature("R-23", "D-7", "D-8")
TAXI, GARAGE, DOCTOR, NOTARY = "+41215556677", "+41215558899", "+41223334455", "+41791234567"


def company(**changes: Any) -> Any:
    users = [
        {"id": "anna", "last_name": "Anna", "department_id": "line-2", "site_id": "renens"},
        {"id": "ben", "last_name": "Ben", "restriction_profile_id": "house"},
        {"id": "carl", "last_name": "Carl", "site_id": "lyon"},
    ]
    trunks = [
        {"id": "carrier", "address": "192.0.2.1"},
        {"id": "works", "address": "192.0.2.7", "prefixes": ["+4100"], "short_ranges": [{"first": "7000", "last": "7999"}]},
        {
            "id": "works-2",
            "address": "192.0.2.8",
            "priority": 1,
            "prefixes": ["+4100"],
            "short_ranges": [{"first": "7500", "last": "7599"}],
        },
    ]
    resources = {
        "users": users,
        "trunks": trunks,
        "departments": [{"id": "production"}, {"id": "line-2", "parent_id": "production"}],
        "sites": [{"id": "renens", "area_code": "21"}, {"id": "lyon", "country": "FR"}],
        "restriction_profiles": [{"id": "house", "barred": ["local", "national", "mobile", "international", "premium"]}],
        "short_codes": [
            {"id": "taxi", "code": "77", "number": TAXI},
            {"id": "garage", "code": "77", "number": GARAGE, "department_id": "production"},
            {"id": "office", "code": "88", "number": "+41215550101"},
        ],
        "contacts": [
            {"id": "doctor", "last_name": "D", "phone": DOCTOR, "mobile": NOTARY, "short_number": "555"},
            {"id": "notary", "last_name": "N", "mobile": NOTARY, "short_number": "555", "owner_user_id": "anna"},
        ],
    }
    return small_company(**{**resources, **changes})


def rings(user_id: str, dialled: str) -> list[str]:
    return [who for who, _, _ in SimulatedCall.from_user(company(), user_id, dialled).rings]


@pytest.mark.parametrize(
    ("user_id", "dialled", "rung"),
    [
        ("anna", "77", f"{GARAGE}@carrier"),  # her department is below the one that has the code
        ("carl", "77", f"{TAXI}@carrier"),
        ("carl", "88", "anna"),
        ("anna", "555", f"{NOTARY}@carrier"),  # her own contact
        ("carl", "555", f"{DOCTOR}@carrier"),
        ("anna", "101", "anna"),  # an extension comes before everything
    ],
)
def test_short_numbers_stand_for_numbers(user_id: str, dialled: str, rung: str) -> None:
    assert rings(user_id, dialled) == [rung]


def test_what_a_short_code_stands_for_needs_the_right_to_call_it() -> None:
    call = SimulatedCall.from_user(company(), "ben", "77")
    assert not call.rings
    assert call.played().ends == (21, 403)
    assert f"+ short_code/taxi: 77 stands for {TAXI} -> {TAXI}" in SimulatedCall.from_user(company(), "carl", "77").trace()


@pytest.mark.parametrize(
    ("user_id", "dialled", "number"),
    [
        ("anna", "3154321", "+41213154321"),  # without the area code of her site
        ("anna", "0443154321", "+41443154321"),
        ("carl", "0472000000", "+33472000000"),  # as it is dialled in France
    ],
)
def test_numbers_are_dialled_as_at_the_user_s_site(user_id: str, dialled: str, number: str) -> None:
    assert rings(user_id, dialled) == [f"{number}@carrier"]


def test_without_a_site_local_numbers_are_none() -> None:
    config = company(users=[{"id": "anna", "last_name": "A"}])
    assert SimulatedCall.from_user(config, "anna", "315432").ends == (1, 404)


def test_another_exchange_s_range_is_called_by_its_trunk_as_an_internal_call() -> None:
    call = SimulatedCall.from_user(company(), "ben", "7512")
    assert call.rings == [("7512@works", 0, 120)]
    assert call.shown == ("102", "Ben")
    assert call.rang("congested").rings == [("7512@works-2", 0, 120)]
    assert rings("ben", "7012") == ["7012@works"]
    assert SimulatedCall.from_user(company(), "ben", "8012").ends == (1, 404)


def test_nothing_of_it_is_for_callers_from_outside() -> None:
    for dialled in ("77", "555", "7012"):
        assert SimulatedCall.from_outside(company(), dialled, "2026-01-06 10:00").ends == (1, 404)


def from_works(dialled: str, caller: str = "7012", trunk_id: str = "works", **changes: Any) -> SimulatedCall:
    return SimulatedCall.from_outside(company(**changes), dialled, "2026-01-06 10:00", caller, trunk_id=trunk_id)


def test_another_exchange_calls_our_extensions_as_a_colleague_would() -> None:
    call = from_works("102")
    assert call.rings == [("ben", 0, 20)]
    assert call.shown == ("7012", "")
    assert "+ extension 102: 7012 dialled 102 by trunk/works -> user/ben" in call.trace()
    assert from_works("102", "").shown == ("", "")
    assert [who for who, _, _ in from_works("+41215550101").rings] == ["anna"]


@pytest.mark.parametrize("dialled", ["77", "555", "7512", "8012", "+41791112233", "0791112233", "112", "*21", "999"])
def test_another_exchange_reaches_nothing_outside_by_us(dialled: str) -> None:
    assert from_works(dialled).ends == (1, 404)


def test_a_carrier_reaches_no_extension() -> None:
    assert from_works("102", trunk_id="carrier").ends == (1, 404)


def test_help_that_another_exchange_calls_for_rings_no_extension() -> None:
    assert from_works("117", extensions=[{"id": "117", "destination": {"user_id": "ben"}}]).ends == (1, 404)


def test_a_short_number_of_another_exchange_is_shown_to_nobody_outside() -> None:
    users = [{"id": "ben", "last_name": "Ben", "forwarding": {"unconditional": {"external_number": NOTARY}}}]
    call = from_works("102", users=users, extensions=[{"id": "102", "destination": {"user_id": "ben"}}])
    assert call.rings == [(f"{NOTARY}@carrier", 0, 60)]
    assert call.shown == ("+41215550100", "")


def test_who_calls_from_another_exchange_calls_from_inside() -> None:
    origin = {"entries": [{"internal": True, "next": "in"}], "otherwise": "out"}
    plan = {
        "id": "p",
        "entry": "who",
        "nodes": [
            {"id": "who", "origin": origin},
            *({"id": name, "destination": {"destination": {"user_id": user}}} for name, user in (("in", "anna"), ("out", "ben"))),
        ],
    }
    changes: dict[str, Any] = {"plans": [plan], "extensions": [{"id": "200", "destination": {"plan_id": "p"}}]}
    inside, outside = from_works("200", **changes), from_works("200", "+41791112233", **changes)
    assert [who for call in (inside, outside) for who, _, _ in call.rings] == ["anna", "ben"]
    assert any("7012 is one of that exchange's" in line for line in inside.trace())
