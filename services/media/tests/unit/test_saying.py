"""Numbers, dates, times and amounts as each language says them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_media.domain import saying
from carillon_media.domain.saying import GRAMMARS
from carillon_media.domain.saying.grammar import LARGEST

pytestmark = pytest.mark.feature("M-8")
LANGUAGES = sorted(GRAMMARS)
CARDINALS = {
    "fr": {
        0: "zéro", 17: "dix-sept", 21: "vingt et un", 70: "soixante-dix", 71: "soixante et onze", 77: "soixante-dix-sept",
        80: "quatre-vingts", 81: "quatre-vingt-un", 90: "quatre-vingt-dix", 91: "quatre-vingt-onze", 99: "quatre-vingt-dix-neuf",
        100: "cent", 101: "cent un", 200: "deux cents", 201: "deux cent un", 280: "deux cent quatre-vingts", 1000: "mille",
        1981: "mille neuf cent quatre-vingt-un", 80_000: "quatre-vingt mille", 200_000: "deux cent mille",
        1_000_000: "un million", 80_000_000: "quatre-vingts millions", 2_000_000_001: "deux milliards un",
    },
    "fr-BE": {70: "septante", 71: "septante et un", 80: "quatre-vingts", 95: "nonante-cinq", 1991: "mille neuf cent nonante et un"},
    "fr-CH": {77: "septante-sept", 80: "huitante", 81: "huitante et un", 88: "huitante-huit", 99: "nonante-neuf"},
    "en": {
        13: "thirteen", 21: "twenty-one", 100: "one hundred", 101: "one hundred and one", 342: "three hundred and forty-two",
        1001: "one thousand and one", 1100: "one thousand one hundred", 12_345: "twelve thousand three hundred and forty-five",
        1_000_000: "one million", 2_000_017: "two million and seventeen",
    },
    "de": {
        1: "eins", 16: "sechzehn", 17: "siebzehn", 21: "einundzwanzig", 30: "dreißig", 66: "sechsundsechzig", 100: "einhundert",
        101: "einhunderteins", 121: "einhunderteinundzwanzig", 1001: "eintausendeins", 21_000: "einundzwanzigtausend",
        1_000_000: "eine Million", 2_000_001: "zwei Millionen eins",
    },
    "nl": {
        1: "een", 8: "acht", 14: "veertien", 18: "achttien", 22: "tweeëntwintig", 28: "achtentwintig", 33: "drieëndertig",
        41: "eenenveertig", 80: "tachtig", 100: "honderd", 101: "honderdeen", 999: "negenhonderdnegenennegentig", 1000: "duizend",
        2026: "tweeduizend zesentwintig", 1_000_000: "een miljoen",
    },
    "it": {
        3: "tre", 21: "ventuno", 23: "ventitré", 28: "ventotto", 38: "trentotto", 100: "cento", 108: "centootto", 180: "centottanta",
        101: "centouno", 1000: "mille", 2000: "duemila", 2003: "duemilatré", 1_000_000: "un milione", 3_000_000: "tre milioni",
    },
}  # fmt: skip
ORDINALS = {
    "fr": {
        1: "premier", 2: "deuxième", 4: "quatrième", 5: "cinquième", 9: "neuvième", 11: "onzième", 21: "vingt et unième", 80:
        "quatre-vingtième",
    },
    "en": {
        1: "first", 2: "second", 3: "third", 5: "fifth", 8: "eighth", 9: "ninth", 12: "twelfth", 20: "twentieth", 21:
        "twenty-first", 100: "one hundredth",
    },
    "de": {
        1: "erste", 3: "dritte", 4: "vierte", 7: "siebte", 8: "achte", 19: "neunzehnte", 20: "zwanzigste", 21: "einundzwanzigste",
        101: "einhunderterste",
    },
    "nl": {1: "eerste", 2: "tweede", 3: "derde", 8: "achtste", 12: "twaalfde", 20: "twintigste", 101: "honderdeerste"},
    "it": {
        1: "primo", 6: "sesto", 10: "decimo", 11: "undicesimo", 23: "ventitreesimo", 26: "ventiseiesimo", 20: "ventesimo", 100:
        "centesimo",
    },
}  # fmt: skip
SAID = [
    (saying.day, (2026, 3, 1, "fr"), "le premier mars deux mille vingt-six"),
    (saying.day, (2026, 3, 2, "en"), "the second of March twenty twenty-six"),
    (saying.day, (1905, 3, 2, "en"), "the second of March nineteen oh five"),
    (saying.day, (2000, 3, 2, "en"), "the second of March two thousand"),
    (saying.day, (1999, 12, 31, "de"), "der einunddreißigste Dezember neunzehnhundertneunundneunzig"),
    (saying.day, (0, 5, 3, "de"), "der dritte Mai"),
    (saying.day, (1995, 5, 3, "nl"), "drie mei negentienhonderd vijfennegentig"),
    (saying.day, (2026, 4, 8, "it"), "l'otto aprile duemilaventisei"),
    (saying.clock, (21, 1, "fr"), "vingt et une heures une"),
    (saying.clock, (0, 0, "fr"), "zéro heure"),
    (saying.clock, (0, 5, "en"), "twelve oh five a.m."),
    (saying.clock, (15, 30, "en"), "three thirty p.m."),
    (saying.clock, (1, 1, "de"), "ein Uhr eins"),
    (saying.clock, (21, 0, "de"), "einundzwanzig Uhr"),
    (saying.clock, (14, 15, "nl"), "veertien uur vijftien"),
    (saying.clock, (1, 10, "it"), "l'una e dieci"),
    (saying.amount, (305, "CHF", "fr-CH"), "trois francs et cinq centimes"),
    (saying.amount, (100_000_000, "EUR", "fr"), "un million d'euros"),
    (saying.amount, (2100, "GBP", "fr"), "vingt et une livres"),
    (saying.amount, (101, "EUR", "en"), "one euro and one cent"),
    (saying.amount, (-50, "GBP", "en"), "minus fifty pence"),
    (saying.amount, (12_150, "CHF", "de"), "einhunderteinundzwanzig Franken und fünfzig Rappen"),
    (saying.amount, (100, "EUR", "de"), "ein Euro"),
    (saying.amount, (250, "EUR", "nl"), "twee euro en vijftig cent"),
    (saying.amount, (100, "GBP", "it"), "una sterlina"),
    (saying.amount, (300, "XYZ", "en"), "three X Y Z"),
    (saying.duration, (0, "en"), "zero seconds"),
    (saying.duration, (61, "en"), "one minute and one second"),
    (saying.duration, (3725, "en"), "one hour and two minutes"),
    (saying.duration, (60, "fr"), "une minute"),
    (saying.duration, (121, "de"), "zwei Minuten und eine Sekunde"),
    (saying.duration, (3600, "it"), "un'ora"),
    (saying.digits, ("+41 21", "de"), "vier, eins, zwei, eins"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "value", "words"), [(lang, n, w) for lang, each in CARDINALS.items() for n, w in each.items()])
def test_numbers(language: str, value: int, words: str) -> None:
    assert saying.number(value, language) == words


@pytest.mark.parametrize(("language", "value", "words"), [(lang, n, w) for lang, each in ORDINALS.items() for n, w in each.items()])
def test_places_in_a_row(language: str, value: int, words: str) -> None:
    assert saying.position(value, language) == words


@pytest.mark.parametrize(("say", "arguments", "words"), SAID)
def test_dates_times_amounts(say: object, arguments: tuple[object, ...], words: str) -> None:
    assert say(*arguments) == words  # type: ignore[operator]


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_below_ten_thousand_are_told_apart(language: str) -> None:
    assert len({saying.number(value, language) for value in range(10_000)}) == 10_000
    assert len({saying.position(value, language) for value in range(1, 2_000)}) == 1_999


@given(st.integers(-(10**15), 10**15), st.sampled_from([*LANGUAGES, "pt", "", "xx-YY"]))
def test_every_value_has_words_and_no_digits(value: int, language: str) -> None:
    for words in (
        saying.number(value, language),
        saying.position(value, language),
        saying.amount(value, "EUR", language),
        saying.duration(value, language),
        saying.clock(value % 99, value % 77, language),
        saying.day(abs(value) % 10_000, value % 20, value % 40, language),
    ):
        assert words
        assert words == " ".join(words.split())
        assert not any(letter.isdigit() for letter in words)


@given(st.integers(0, LARGEST), st.sampled_from(LANGUAGES))
def test_a_number_is_made_of_its_groups(value: int, language: str) -> None:
    """The rest below a thousand ends the words, whatever stands before it."""
    rest = value % 1000
    if rest and language != "it":
        assert saying.number(value, language).endswith(saying.number(rest, language))


def test_a_region_without_a_grammar_speaks_its_language() -> None:
    assert saying.number(80, "fr-CA") == "quatre-vingts"
    assert saying.number(80, "de-AT") == "achtzig"
    assert saying.number(80, "pt") == "eighty"
