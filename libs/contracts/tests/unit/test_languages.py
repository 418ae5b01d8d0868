"""The language to tell in."""

import pytest

from carillon_contracts.languages import LANGUAGES, told_in


@pytest.mark.parametrize("own", ["fr", "fr-CH", "it", ""])
@pytest.mark.parametrize("wanted", LANGUAGES)
def test_the_one_that_is_wanted_comes_first(wanted: str, own: str) -> None:
    assert told_in(wanted, own) == wanted


@pytest.mark.parametrize("wanted", ["it", "fr-CH", "FR", " "])
def test_one_without_texts_is_not_replaced_by_another(wanted: str) -> None:
    assert told_in(wanted, "fr") is None


@pytest.mark.parametrize(("own", "language"), [("fr", "fr"), ("de-CH", "de"), ("it-IT", "en"), ("", "en")])
def test_if_none_is_wanted_it_is_the_tenants_or_english(own: str, language: str) -> None:
    assert told_in("", own) == language
