"""Who is told of a call for help, and what."""

from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_routing.domain.emergencies import Notice, notice
from carillon_routing.domain.facts import CallFacts
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("D-16")
AT = datetime(2026, 1, 6, 9, 30, tzinfo=UTC)
COMPANY: dict[str, Any] = {
    "users": [
        {"id": "anna", "last_name": "Rochat", "first_name": "Anna", "department_id": "line-2", "caller_number": "+41215550109"},
        {"id": "ben", "last_name": "Ben", "site_id": "depot"},
        {"id": "carl", "last_name": "Carl"},
    ],
    "sites": [{"id": "works", "display_name": "Usine", "address": "Rue du Lac 1, Renens"}, {"id": "depot"}],
    "departments": [
        {"id": "production", "site_id": "works"},
        {"id": "line-2", "display_name": "Ligne 2", "parent_id": "production"},
        {"id": "office"},
    ],
    "emergency_recipients": [
        {"id": "all", "emails": ["chief@acme.example"]},
        {"id": "production", "department_id": "production", "emails": ["safety@acme.example", "chief@acme.example"]},
        {"id": "office", "department_id": "office", "emails": ["office@acme.example"]},
        {"id": "depot", "site_id": "depot", "emails": ["depot@acme.example"]},
    ],
}


def told(user_id: str, dialled: str = "117", **changes: Any) -> Notice | None:
    config = small_company(**{**COMPANY, **changes})
    direction = "from_user" if user_id else "inbound"
    return notice(config, CallFacts("acme", "c1", direction, dialled, "101", caller_user_id=user_id), AT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("user_id", "recipients"),
    [
        ("anna", {"chief@acme.example", "safety@acme.example"}),
        ("ben", {"chief@acme.example", "depot@acme.example"}),
        ("carl", {"chief@acme.example"}),
    ],
)
def test_those_of_the_department_or_above_it_and_of_the_site_are_told_once(user_id: str, recipients: set[str]) -> None:
    found = told(user_id)
    assert found is not None
    assert len(found.recipients) == len(recipients)
    assert set(found.recipients) == recipients == set(found.event.recipients)


def test_the_letter_says_who_called_from_where() -> None:
    found = told("anna")
    assert found is not None
    assert (found.subject, found.language) == ("Appel d'urgence au 117 par Anna Rochat", "fr")
    assert found.text.splitlines() == [
        "Appelé: 117",
        "Appelant: Anna Rochat",
        "Numéro interne: 101",
        "Numéro de rappel: +41215550109",
        "Site: Usine",
        "Adresse: Rue du Lac 1, Renens",
        "Service: Ligne 2",
        "Heure: 2026-01-06 10:30:00 Europe/Zurich",
    ]
    assert (found.event.site_id, found.event.address, found.event.department_id) == ("works", "Rue du Lac 1, Renens", "line-2")


@pytest.mark.parametrize("dialled", ["112", "1 4 4", "*31*117"])
def test_however_it_is_dialled(dialled: str) -> None:
    codes = [{"feature": "withhold", "code": "*31*"}]
    tenant = {
        "id": "acme",
        "realm": "acme.example",
        "country": "CH",
        "language": "de",
        "main_number": "+41215550100",
        "feature_codes": codes,
    }
    found = told("carl", dialled, tenant=tenant)
    assert found is not None
    assert found.subject.startswith("Notruf an 1")


@pytest.mark.parametrize(("user_id", "dialled"), [("anna", "101"), ("anna", "0791234567"), ("", "117"), ("nobody", "117")])
def test_other_calls_are_nobody_s_business(user_id: str, dialled: str) -> None:
    assert told(user_id, dialled) is None


def test_without_recipients_the_event_alone_tells() -> None:
    found = told("anna", emergency_recipients=[])
    assert found is not None
    assert found.recipients == ()


def test_departments_in_a_circle_end() -> None:
    found = told("anna", departments=[{"id": "line-2", "parent_id": "production"}, {"id": "production", "parent_id": "line-2"}])
    assert found is not None
    assert "safety@acme.example" in found.recipients
