"""Public short numbers: who may call them, as what, by which trunk."""

from typing import Any

import pytest

from carillon_routing.domain.public_numbers import public_number
from carillon_routing.testing import SimulatedCall, small_company

pytestmark = pytest.mark.feature("R-23", "R-18")


def company(country: str = "CH", **changes: Any) -> Any:
    tenant = {"id": "acme", "realm": "acme.example", "country": country, "main_number": "+41215550100"}
    return small_company(**{"tenant": tenant, **changes})


@pytest.mark.parametrize(
    ("country", "digits", "call_class"),
    [
        ("CH", "116000", "national"),
        ("CH", "163", "national"),
        ("CH", "1811", "premium"),
        ("FR", "116117", "national"),
        ("FR", "118218", "premium"),
        ("FR", "3631", "premium"),
        ("DE", "116117", "national"),
        ("DE", "11833", "premium"),  # what it costs is not known
        ("US", "411", "premium"),
    ],
)
def test_it_goes_out_as_dialled_and_is_barred_by_what_it_costs(country: str, digits: str, call_class: str) -> None:
    call = SimulatedCall.from_user(company(country), "anna", digits)
    assert call.rings == [(f"{digits}@carrier", 0, 120)]
    assert call.shown == ("+41215550100", "")
    others = [each for each in ("internal", "local", "national", "mobile", "international", "premium") if each != call_class]
    for barred, rung in (([call_class], False), (others, True)):
        users = [{"id": "anna", "last_name": "A", "restriction_profile_id": "p"}]
        config = company(country, users=users, restriction_profiles=[{"id": "p", "barred": barred}])
        assert bool(SimulatedCall.from_user(config, "anna", digits).rings) is rung


@pytest.mark.parametrize("digits", ["3939", "199", "01811", "9999999", "", "anna", "1 8 x"])
def test_what_is_for_text_messages_or_no_number_at_all_is_none(digits: str) -> None:
    assert public_number(company(), None, digits) is None
    if digits:
        assert SimulatedCall.from_user(company(), "anna", digits).ends == (1, 404)


def test_what_the_company_has_comes_first() -> None:
    config = company(
        extensions=[{"id": "1811", "destination": {"user_id": "ben"}}],
        short_codes=[{"id": "taxi", "code": "1818", "number": "+41215556677"}],
        trunks=[
            {"id": "carrier", "address": "192.0.2.1"},
            {"id": "works", "address": "192.0.2.2", "prefixes": ["+4100"], "short_ranges": [{"first": "1600", "last": "1699"}]},
        ],
    )
    assert [who for who, _, _ in SimulatedCall.from_user(config, "anna", "1811").rings] == ["ben"]
    assert [who for who, _, _ in SimulatedCall.from_user(config, "anna", "1818").rings] == ["+41215556677@carrier"]
    assert [who for who, _, _ in SimulatedCall.from_user(config, "anna", "1600").rings] == ["1600@works"]


def test_the_trunk_is_one_that_takes_the_country_s_numbers() -> None:
    trunks = [
        {"id": "a-all", "address": "192.0.2.1"},
        {"id": "b-french", "address": "192.0.2.2", "prefixes": ["+33"]},
        {"id": "c-swiss", "address": "192.0.2.3", "prefixes": ["+41"]},
    ]
    users = [{"id": "anna", "last_name": "A"}, {"id": "ben", "last_name": "B", "department_id": "sales"}]
    more: dict[str, Any] = {"users": users, "sites": [{"id": "lyon", "country": "FR"}], "departments": [{"id": "sales", "site_id": "lyon"}]}
    config = company(trunks=trunks, **more)
    call = SimulatedCall.from_user(config, "anna", "1811")
    assert call.rings == [("1811@c-swiss", 0, 120)]
    assert call.rang("congested").rings == [("1811@a-all", 0, 120)]
    assert SimulatedCall.from_user(config, "ben", "118218").rings == [("118218@b-french", 0, 120)]
    assert SimulatedCall.from_user(config, "anna", "118218").ends == (1, 404)
    assert not SimulatedCall.from_user(company(trunks=trunks[1:2], **more), "anna", "1811").rings


def test_prefixes_of_a_profile_deny_it_as_a_number_of_its_country_and_never_allow_it() -> None:
    def called(**profile: Any) -> bool:
        users = [{"id": "anna", "last_name": "A", "restriction_profile_id": "p"}]
        config = company(users=users, restriction_profiles=[{"id": "p", **profile}])
        return bool(SimulatedCall.from_user(config, "anna", "1811").rings)

    assert called()
    assert called(denied_prefixes=["+33"])
    assert not called(denied_prefixes=["+41"])
    assert not called(denied_prefixes=["+"])
    assert not called(barred=["premium"], allowed_prefixes=["+41"])


def test_callers_from_outside_reach_none() -> None:
    assert SimulatedCall.from_outside(company(), "1811", "2026-01-06 10:00").ends == (1, 404)


def test_with_an_area_code_it_is_no_local_number() -> None:
    users = [{"id": "anna", "last_name": "A", "site_id": "berlin"}]
    config = company("DE", users=users, sites=[{"id": "berlin", "area_code": "30"}])
    assert SimulatedCall.from_user(config, "anna", "116117").rings == [("116117@carrier", 0, 120)]


@pytest.mark.parametrize("digits", ["3631", "3900"])
def test_who_mistypes_an_extension_calls_no_premium_number(digits: str) -> None:
    config = company("FR", extensions=[{"id": "3012", "destination": {"user_id": "ben"}}])
    assert SimulatedCall.from_user(config, "anna", digits).ends == (1, 404)
    assert [who for who, _, _ in SimulatedCall.from_user(config, "anna", "3117").rings] == ["3117@carrier"], "it costs nothing"
    assert [who for who, _, _ in SimulatedCall.from_user(config, "anna", "118218").rings] == ["118218@carrier"]
    assert [who for who, _, _ in SimulatedCall.from_user(config, "anna", "3012").rings] == ["ben"]
