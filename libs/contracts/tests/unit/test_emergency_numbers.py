"""Which digits call for help, where."""

from typing import Any

import phonenumbers
import pytest
from phonenumbers import PhoneMetadata

from carillon_contracts.config import ConfigChanged
from carillon_contracts.emergency_numbers import countries_in, countries_of, is_emergency
from carillon_contracts.tenant_config import TenantConfig, evolve

pytestmark = pytest.mark.feature("D-16")
COUNTRIES = sorted(phonenumbers.SUPPORTED_REGIONS)


def company(*resources: tuple[str, dict[str, Any]]) -> TenantConfig:
    found = TenantConfig("acme")
    tenant = ("tenant", {"id": "acme", "realm": "acme.example", "country": "CH"})
    for seq, (kind, after) in enumerate((tenant, *resources), 1):
        found = evolve(found, seq, ConfigChanged(resource=kind, resource_id=after["id"], action="created", after=after, actor="t"))
    return found


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
def test_emergency_numbers_of_a_country(country: str, numbers: str) -> None:
    for number in numbers.split():
        assert is_emergency(number, frozenset({country})), number
        assert is_emergency(number, frozenset({"JP", country})), number


@pytest.mark.parametrize("country", COUNTRIES)
def test_no_number_of_the_numbering_plan_is_missed(country: str) -> None:
    countries = frozenset({country})
    assert is_emergency("112", countries)
    metadata = PhoneMetadata.short_metadata_for_region(country)
    example = metadata.emergency.example_number if metadata is not None and metadata.emergency is not None else None
    if example:
        assert phonenumbers.is_emergency_number(example, country)
        assert is_emergency(example, countries)


@pytest.mark.parametrize("country", ["CH", "DE", "FR", "US", "AU", "BR", "JP", "ZA"])
def test_nothing_else_calls_for_help(country: str) -> None:
    countries, left_out = frozenset({country}), {"112", "143", "147", "114", "115", "119", "196"}
    for number in (f"{each:03}" for each in range(1000)):
        if number not in left_out:
            assert is_emergency(number, countries) == phonenumbers.is_emergency_number(number, country), number
    for text in ("", "1120", "1122", "0112", "+112", "112\n", "1 12", "١١٢", "112" * 100, "anna", "*112", "(?:112)"):
        assert not is_emergency(text, countries), text


def test_of_no_country_only_112_is_known() -> None:
    assert is_emergency("112", frozenset())
    assert not is_emergency("117", frozenset())
    assert not is_emergency("117", frozenset({"XX", ""}))


def test_the_country_of_the_users_site_counts_besides_the_tenants() -> None:
    config = company(
        ("site", {"id": "berlin", "country": "DE"}),
        ("site", {"id": "bern"}),
        ("department", {"id": "sales", "site_id": "berlin"}),
        ("user", {"id": "anna", "last_name": "A", "site_id": "berlin"}),
        ("user", {"id": "ben", "last_name": "B", "department_id": "sales"}),
        ("user", {"id": "carl", "last_name": "C", "site_id": "bern"}),
        ("user", {"id": "dora", "last_name": "D"}),
    )
    assert countries_of(config, ("anna",)) == countries_of(config, ("ben",)) == {"CH", "DE"}
    assert countries_of(config, ("carl", "dora", "", "nobody")) == countries_of(config) == {"CH"}
    assert countries_in(config) == {"CH", "DE"}
    assert countries_in(TenantConfig("acme")) == frozenset()
