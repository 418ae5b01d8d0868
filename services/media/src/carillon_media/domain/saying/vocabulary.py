"""The phrases of which everything that the grammars say can be put together: what a recorded prompt set must have.

Invariant: `cover` of whatever `saying` gives, by a language's vocabulary, finds it whole.
"""

from collections.abc import Collection, Mapping, Sequence
from unicodedata import normalize

from carillon_media.domain.saying import GRAMMARS, grammar_of
from carillon_media.domain.saying.grammar import Grammar

LANGUAGES = tuple(GRAMMARS)
#: What stands between phrases and is not spoken.
_BETWEEN = " ,.;:!?'’-\u00a0"
#: Longer texts are not put together from phrases.
MAX_COVERED = 400
#: Parts of long numbers and of frames that stand in no short number.
_PARTS: Mapping[str, str] = {
    "fr": "cent|cents|mille|million|millions|milliard|milliards|quatre-vingt|une|et|le|de|d'|heure|heures|minute|minutes|seconde|secondes"
    "|centième|millième|millionième|milliardième|unième",
    "en": "hundred|and|thousand|million|billion|hundredth|thousandth|millionth|billionth|the|of|oh|a.m.|p.m.|hour|hours|minute|minutes"
    "|second|seconds",
    "de": "ein|eine|hundert|tausend|und|Million|Millionen|Milliarde|Milliarden|hundertste|tausendste|millionste|millionenste|milliardste"
    "|milliardenste|te|ste|der|Uhr|Stunde|Stunden|Minute|Minuten|Sekunde|Sekunden",
    "nl": "honderd|duizend|miljoen|miljard|honderdste|duizendste|miljoenste|miljardste|de|ste|en|uur|minuut|minuten|seconde|seconden",
    "it": "cento|cent|mille|mila|tré|un|una|milione|milioni|miliardo|miliardi|centesimo|millesimo|milesimo|milionesimo|miliardesimo|esimo"
    "|e|il|l'|le|di|mezzanotte|un'ora|ore|minuto|minuti|secondo|secondi"
    "|duesimo|treesimo|quattresimo|cinquesimo|seiesimo|settesimo|ottesimo|novesimo|diecesimo",
}


def vocabulary(language: str) -> list[str]:
    """Phrases in the order of being read aloud, each once."""
    grammar = grammar_of(language)
    found = [grammar.MINUS, *grammar.ZERO_TO_NINE]
    found += [grammar.cardinal(number) for number in range(100)]
    found += [grammar.ordinal(number) for number in range(1, 100)]
    found += _months(grammar)
    for unit, hundredth in grammar.CURRENCIES.values():
        found += [*unit, *hundredth]
    found += _PARTS.get(language.split("-")[0], _PARTS["en"]).split("|")
    return list(dict.fromkeys(found))


def _months(grammar: Grammar) -> list[str]:
    return [grammar.date(0, month, 2).rsplit(" ", 1)[-1] for month in range(1, 13)]


def key_of(text: str) -> str:
    """Texts with the same key are the same phrase: case, outer punctuation and runs of spaces do not count."""
    return " ".join(normalize("NFC", text).casefold().split()).strip(_BETWEEN)


def cover(text: str, phrases: Collection[str]) -> list[str] | None:
    """The keys that the text consists of, the fewest there are; None: something of it is missing. `phrases` are keys."""
    whole = key_of(text)
    if whole in phrases:
        return [whole]
    if not phrases or len(whole) > MAX_COVERED:
        return None
    longest = min(max(map(len, phrases)), len(whole))
    #: From each place to the end: how many phrases, and the first of them.
    best: list[tuple[int, str] | None] = [None] * len(whole) + [(0, "")]
    for start in range(len(whole) - 1, -1, -1):
        if whole[start] in _BETWEEN:
            best[start] = best[start + 1]
        for length in range(1, min(longest, len(whole) - start) + 1):
            rest, phrase = best[start + length], whole[start : start + length]
            known = best[start]
            if rest is not None and phrase in phrases and (known is None or rest[0] + 1 <= known[0]):
                best[start] = (rest[0] + 1, phrase)
    return _walked(whole, best)


def _walked(whole: str, best: Sequence[tuple[int, str] | None]) -> list[str] | None:
    place, found = 0, list[str]()
    while place < len(whole):
        step = best[place]
        if step is None:
            return None
        if not whole.startswith(step[1], place) or not step[1]:
            place += 1
            continue
        found.append(step[1])
        place += len(step[1])
    return found
