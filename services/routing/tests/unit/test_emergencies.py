"""Who is told of a call for help, and what."""

from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_routing.domain.emergencies import WITHHELD, Notice, notice
from carillon_routing.domain.emergency_notices import ARGUMENT, MAX_TURNS
from carillon_routing.domain.facts import CallFacts, Gather
from carillon_routing.testing import SimulatedCall, World, small_company

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


def told(user_id: str, dialled: str = "117", connects: str = "", **changes: Any) -> Notice | None:
    config = small_company(**{**COMPANY, **changes})
    direction = "from_user" if user_id else "inbound"
    return notice(config, CallFacts("acme", "c1", direction, dialled, "101", caller_user_id=user_id), AT, connects)  # type: ignore[arg-type]


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


def test_a_call_for_help_from_a_site_abroad_as_it_is_dialled_there_is_told_of() -> None:
    found = told("ben", "110", sites=[{"id": "works"}, {"id": "depot", "country": "DE"}])
    assert found is not None
    assert (found.event.number, found.event.site_id) == ("110", "depot")
    assert told("anna", "110", sites=[{"id": "works"}, {"id": "depot", "country": "DE"}]) is None


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


def test_who_is_connected_by_a_transfer_is_told_of_too() -> None:
    found = told("anna", connects="+41791112233")
    assert found is not None
    assert found.text.splitlines()[-1] == "Mis en relation: +41791112233"
    assert found.event.connects == "+41791112233"


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "a withheld number"), ("fr-CH", "un numéro masqué"), ("de", "eine unterdrückte Nummer"), ("it", "un numero nascosto")],
)
def test_who_is_connected_without_a_number_is_told_in_the_language(language: str, said: str) -> None:
    tenant = {"id": "acme", "realm": "acme.example", "country": "CH", "language": language}
    found = told("anna", connects=WITHHELD, tenant=tenant, emergency_recipients=PHONES[:1])
    assert found is not None
    assert found.text.splitlines()[-1].endswith(f": {said}")
    assert f" {said}," in found.phones[0].words
    assert found.event.connects == WITHHELD


PHONES = [
    {"id": "all", "phones": ["+41795550911", "+41795550912"]},
    {"id": "guard", "department_id": "production", "phones": ["+41795550911"], "language": "de"},
]


def test_phones_are_told_in_the_language_of_who_comes_first_and_numbers_digit_by_digit() -> None:
    found = told("anna", emergency_recipients=PHONES, connects="+4179")
    assert found is not None
    assert found.event.phones == tuple(each.phone for each in found.phones) == ("+41795550911", "+41795550912")
    assert {each.language for each in found.phones} == {"fr"}
    assert found.phones[0].words == (
        "Appel d'urgence. Anna Rochat a appelé le 1 1 7, à 10:30, numéro interne 1 0 1, pour + 4 1 7 9, site Usine, Rue du Lac 1, Renens, "
        "à rappeler au + 4 1 2 1 5 5 5 0 1 0 9."
    )
    alone = told("anna", emergency_recipients=PHONES[1:])
    assert alone is not None
    assert alone.phones[0].words.startswith("Notruf. Anna Rochat hat 1 1 7 angerufen, um 10:30, Nebenstelle 1 0 1, Standort Usine,")


@pytest.mark.parametrize("language", ["en", "fr-CH", "de", "nl", "it", "pt"])
def test_what_is_not_known_is_left_out_in_every_language(language: str) -> None:
    found = told("carl", emergency_recipients=[PHONES[0] | {"language": language}], extensions=[])
    assert found is not None
    (told_one, _) = found.phones
    assert told_one.language == (language if language != "pt" else "en")
    assert "Carl" in told_one.words
    assert "{" not in told_one.words
    assert ", ," not in told_one.words


def notice_call(world: World) -> SimulatedCall:
    return SimulatedCall.from_user(small_company(), "", "emergency-notice", arguments={ARGUMENT: "o1"}, world=world)


def test_a_phone_hears_it_again_and_again_until_a_key_says_that_it_was_understood() -> None:
    world = World(notices={"o1": "Appel d'urgence."})
    call = notice_call(world)
    for _ in range(2):
        assert isinstance(call.last.step, Gather)
        assert [phrase.text for phrase in call.says] == ["Appel d'urgence.", "Appuyez sur le un si vous avez compris."]
        call.pressed("")
    assert call.pressed("1").says[0].text == "Merci. Vous ne serez plus appelé."
    assert world.acknowledged == ["o1"]
    assert call.played().ends == (16, 480)


def test_who_never_presses_the_key_has_not_acknowledged_it() -> None:
    world = World(notices={"o1": "Appel d'urgence."})
    call = notice_call(world)
    for _ in range(MAX_TURNS):
        assert call.ends is None
        call.pressed("2")
    assert call.ends == (16, 480)
    assert not world.acknowledged


def test_a_notice_that_is_over_says_nothing() -> None:
    assert notice_call(World()).ends == (31, 480)
