"""Numbers, places in a row, dates, times, amounts and durations as a language says them, ready to be spoken.

Invariant: every value has words in every language; a language that has no grammar here is said in English.
"""

from datetime import date

from carillon_media.domain.saying.dutch import Dutch
from carillon_media.domain.saying.english import English
from carillon_media.domain.saying.french import SEPTANTE_HUITANTE_NONANTE, SEPTANTE_NONANTE, French
from carillon_media.domain.saying.german import German
from carillon_media.domain.saying.grammar import LARGEST, Grammar
from carillon_media.domain.saying.italian import Italian

_ENGLISH = English()
#: By BCP 47 tag; a tag that is not here is looked up by its language alone.
GRAMMARS: dict[str, Grammar] = {
    "fr": French({}),
    "fr-BE": French(SEPTANTE_NONANTE),
    "fr-CH": French(SEPTANTE_HUITANTE_NONANTE),
    "en": _ENGLISH,
    "de": German(),
    "nl": Dutch(),
    "it": Italian(),
}


def grammar_of(language: str) -> Grammar:
    """The grammar of a language tag."""
    return GRAMMARS.get(language) or GRAMMARS.get(language.split("-")[0]) or _ENGLISH


def has_grammar(language: str) -> bool:
    """Whether the language has a grammar of its own; otherwise English is said."""
    return language.split("-")[0] in GRAMMARS


def number(value: int, language: str) -> str:
    """A count; beyond `LARGEST` digit by digit."""
    grammar = grammar_of(language)
    if abs(value) > LARGEST:
        return digits(str(value), language)
    words = grammar.cardinal(abs(value))
    return f"{grammar.MINUS} {words}" if value < 0 else words


def position(value: int, language: str) -> str:
    """A place in a row; what is no place is said as a number."""
    return grammar_of(language).ordinal(value) if 1 <= value <= LARGEST else number(value, language)


def digits(value: str, language: str) -> str:
    """Digit by digit; whatever else is in it is left out."""
    words = grammar_of(language).ZERO_TO_NINE
    return ", ".join(words[int(digit)] for digit in value if digit in "0123456789")


def day(year: int, month: int, day_of_month: int, language: str) -> str:
    """A date; year 0 is not said. What the calendar does not have is said digit by digit."""
    try:
        date(year or 2024, month, day_of_month)
    except ValueError:
        return digits(f"{day_of_month}{month}{year or ''}", language)
    return grammar_of(language).date(year, month, day_of_month)


def clock(hour: int, minute: int, language: str) -> str:
    """A time of day; what no clock shows is said digit by digit."""
    if not (0 <= hour <= 23 and 0 <= minute <= 59):
        return digits(f"{hour}{minute}", language)
    return grammar_of(language).time(hour, minute)


def amount(hundredths: int, currency: str, language: str) -> str:
    """Money; a currency without names here is spelled."""
    grammar = grammar_of(language)
    units, rest = divmod(abs(hundredths), 100)
    if units > LARGEST:
        return digits(str(hundredths), language)
    names = grammar.CURRENCIES.get(currency)
    if names is None:
        spelled = " ".join(letter for letter in currency if letter.isalnum())
        names = ((spelled, spelled), ("", ""))
    words = grammar.amount(units, rest, *names).strip()
    return f"{grammar.MINUS} {words}" if hundredths < 0 else words


def duration(seconds: int, language: str) -> str:
    """Hours, minutes and seconds; from ten minutes on seconds are not said."""
    seconds = min(max(0, seconds), LARGEST)
    if seconds >= 600:
        seconds = (seconds + 30) // 60 * 60
    return grammar_of(language).duration(seconds // 3600, seconds // 60 % 60, seconds % 60)
