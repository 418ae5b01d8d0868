"""Announcements in the call's language."""

import pytest

from carillon_contracts.config import Announcement
from carillon_routing.domain.phrases import spoken

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


def test_the_exact_language_is_preferred_to_a_near_one() -> None:
    both = (Announcement(text="Septante", language="fr-CH"), Announcement(text="Soixante-dix", language="fr"))
    assert [phrase.text for phrase in spoken(both, "fr-CH", "en")] == ["Septante"]
    assert [phrase.text for phrase in spoken(both, "fr-BE", "en")] == ["Septante", "Soixante-dix"]
