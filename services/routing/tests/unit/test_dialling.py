"""Numbers as people dial them."""

from typing import Any

import pytest

from carillon_routing.domain.dialling import ToEmergency, ToExtension, dialled_by_user, to_e164
from carillon_routing.testing import SimulatedCall, small_company


@pytest.mark.feature("R-18")
@pytest.mark.parametrize(
    ("dialled", "country", "expected"),
    [
        ("+41791234567", "CH", "+41791234567"),
        ("0041791234567", "CH", "+41791234567"),
        ("0791234567", "CH", "+41791234567"),
        ("0612345678", "FR", "+33612345678"),
        ("0699123456", "IT", "+390699123456"),
        ("011442079460000", "US", "+442079460000"),
        ("12", "CH", ""),
        ("+999123456789", "CH", ""),
        ("+41791234567;ext=5", "CH", ""),
        ("anna", "CH", ""),
        ("+" + "4" * 30, "CH", ""),
    ],
)
def test_numbers_are_understood_as_people_of_the_country_dial_them(dialled: str, country: str, expected: str) -> None:
    assert to_e164(dialled, country) == expected


def of_country(country: str, **more: Any) -> Any:
    tenant = {"id": "acme", "realm": "acme.example", "country": country, "main_number": "+41215550100"}
    return small_company(tenant=tenant, **more)


@pytest.mark.feature("R-18", "D-16")
@pytest.mark.parametrize(
    ("country", "numbers"),
    [
        ("CH", "112 117 118 143 144 147 1414"),
        ("FR", "112 15 17 18 114 115 119 196"),
        ("DE", "112 110"),
        ("AT", "112 122 133 144"),
        ("BE", "112 100 101 110"),
        ("NL", "112 113"),
        ("IT", "112 113 115 118"),
        ("LU", "112 113"),
        ("GB", "112 999"),
        ("US", "112 911"),
        ("AU", "112 000"),
    ],
)
def test_every_emergency_number_of_the_country_is_called(country: str, numbers: str) -> None:
    for number in numbers.split():
        config = of_country(country, extensions=[{"id": number, "destination": {"user_id": "ben"}}])
        assert dialled_by_user(config, number, "anna") == ToEmergency(number)
        assert SimulatedCall.from_user(config, "anna", number).rings == [(f"{number}@carrier", 0, 120)]


@pytest.mark.feature("R-18", "D-16")
def test_help_is_called_from_a_site_abroad_as_it_is_dialled_there_and_at_home() -> None:
    config = of_country(
        "CH",
        users=[
            {"id": "anna", "last_name": "Anna", "site_id": "berlin", "restriction_profile_id": "house"},
            {"id": "ben", "last_name": "Ben", "department_id": "sales"},
            {"id": "carl", "last_name": "Carl"},
        ],
        sites=[{"id": "berlin", "country": "DE"}],
        departments=[{"id": "sales", "site_id": "berlin", "limits": {"max_calls_out": 1}}],
        restriction_profiles=[{"id": "house", "barred": ["internal", "local", "national", "mobile", "international", "premium"]}],
        extensions=[{"id": "110", "destination": {"user_id": "carl"}}],
        trunks=[{"id": "carrier", "address": "192.0.2.1", "prefixes": ["+33"]}],
    )
    for user in ("anna", "ben"):
        for number in ("110", "112", "117"):
            call = SimulatedCall.from_user(config, user, number)
            assert call.rings == [(f"{number}@carrier", 0, 120)]
            assert f"+ emergency number {number}: {number} is one in CH or DE; by any trunk -> {number}" in call.trace()
    assert isinstance(dialled_by_user(config, "110", "carl"), ToExtension)
    assert isinstance(dialled_by_user(config, "110"), ToExtension)
