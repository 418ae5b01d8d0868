"""Announcements in the call's language, or in several, in an order that the call decides."""

from typing import Any

import pytest

from carillon_contracts.config import Announcement, Queue
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.phrases import spoken
from carillon_routing.domain.queues.speech import called_back, offered_back
from carillon_routing.testing import SimulatedCall, small_company, to_plan

BOTH = (Announcement(text="Bonjour", language="fr"), Announcement(text="Hello", language="en"), Announcement(text="Salut"))


@pytest.mark.feature("R-17")
@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("", ["Bonjour", "Hello", "Salut"]),
        ("en", ["Hello"]),
        ("fr", ["Bonjour", "Salut"]),
        ("en-GB", ["Hello"]),
        ("de", ["Bonjour", "Hello", "Salut"]),
    ],
)
def test_only_the_calls_language_is_spoken_once_it_is_known_and_there(language: str, texts: list[str]) -> None:
    assert [phrase.text for phrase in spoken(BOTH, language, "fr")] == texts


def test_an_announcement_without_a_language_is_in_the_tenants() -> None:
    assert [phrase.language for phrase in spoken(BOTH, "", "fr-CH")] == ["fr", "en", "fr-CH"]


@pytest.mark.feature("R-15")
def test_what_says_nothing_is_left_out_and_what_is_too_long_for_a_voice_is_cut() -> None:
    spoken_only = [{"text": "{nobody}"}, {"text": "Bonjour"}, {"audio_id": "jingle"}, {"text": "é" * 1980 + "{caller_number}"}]
    call = to_plan({"id": "n", "announcement": {"announcements": spoken_only}})
    assert [(phrase.text, phrase.audio_id) for phrase in call.says] == [
        ("Bonjour", ""),
        ("", "jingle"),
        ("é" * 1980 + "+ 4 1 7 9 1 1 1 2 2 ", ""),
    ]


def test_the_exact_language_is_preferred_to_a_near_one() -> None:
    both = (Announcement(text="Septante", language="fr-CH"), Announcement(text="Soixante-dix", language="fr"))
    assert [phrase.text for phrase in spoken(both, "fr-CH", "en")] == ["Septante"]
    assert [phrase.text for phrase in spoken(both, "fr-BE", "en")] == ["Septante", "Soixante-dix"]


def bilingual(**fields: Any) -> TenantConfig:
    """Callers are greeted in French and English by a menu that knows German too."""
    says = [{"text": "Bonjour", "language": "fr"}, {"text": "Hello", "language": "en"}, {"text": "Hallo", "language": "de"}]
    menus = [{"id": "m", "prompt": says, "keys": [{"key": "1", "language": "de", "destination": {"menu_id": "m"}}]}]
    numbers = [{"id": "+41215550100", "destination": {"menu_id": "m"}}]
    config = small_company(menus=menus, numbers=numbers, **fields)
    own = config.tenant.model_copy(update={"caller_languages": ("fr", "en")})
    return TenantConfig(config.tenant_id, config.seq, {**config.resources, "tenant": {own.id: own}})


def greeted(config: TenantConfig, call_id: str) -> tuple[str, ...]:
    return tuple(phrase.text for phrase in SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00", call_id=call_id).says)


@pytest.mark.feature("M-8", "R-17")
def test_callers_are_spoken_to_in_the_tenant_s_languages_in_an_order_that_each_call_decides_by_itself() -> None:
    config = bilingual()
    orders = [greeted(config, f"c{number}") for number in range(200)]
    assert set(orders) == {("Bonjour", "Hello"), ("Hello", "Bonjour")}
    assert 60 < orders.count(("Hello", "Bonjour")) < 140
    assert orders == [greeted(config, f"c{number}") for number in range(200)], "the same call hears the same"


@pytest.mark.feature("M-8", "R-17")
def test_a_caller_who_chooses_a_language_hears_only_that_one() -> None:
    call = SimulatedCall.from_outside(bilingual(), "+41215550100", "2026-01-06 10:00").pressed("1")
    assert [phrase.text for phrase in call.says] == ["Hallo"]


@pytest.mark.feature("M-8", "R-17")
def test_the_queue_s_own_sentences_are_spoken_in_every_language_of_the_call() -> None:
    assert [phrase.language for phrase in called_back("en,fr", "de")] == ["en", "fr"]
    assert [phrase.language for phrase in called_back("", "de")] == ["de"]
    assert [phrase.language for phrase in called_back("sv,fr-CH", "de")] == ["fr-CH"]
    assert [phrase.language for phrase in called_back("sv", "de")] == ["en"]
    offer = offered_back(Queue(id="q", callback_key="#"), "en,fr", "de")
    assert [("hash" in phrase.text, "dièse" in phrase.text) for phrase in offer] == [(True, False), (False, True)]


@pytest.mark.feature("R-17", "R-2")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Vous appelez du {caller_number}.", "Vous appelez du + 4 1 7 9 1 1 1 2 2 3 3."),
        ("Dossier {file}, {name}, {nobody}!", "Dossier 4 7 1 1, Zoé {dialled}, !"),
        ("{7} {Caller} { dialled }", "{7} {Caller} { dialled }"),
    ],
)
def test_variables_in_an_announcement_are_spoken_once_and_numbers_digit_by_digit(text: str, said: str) -> None:
    call = to_plan(
        {"id": "a", "set_variable": {"name": "file", "value": "4711", "next": "b"}},
        {"id": "b", "set_variable": {"name": "name", "value": "Zoé {dialled}", "next": "c"}},
        {"id": "c", "announcement": {"announcements": [{"text": text}]}},
    )
    assert [phrase.text for phrase in call.says] == [said]
