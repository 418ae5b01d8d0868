"""French of France, of Belgium (septante, nonante) and of Switzerland (septante, huitante, nonante).

`et un` without hyphens, the others with them; `quatre-vingts` and `cents` lose their s before another number.
"""

from collections.abc import Mapping

from carillon_media.domain.saying.grammar import Currency, Names, groups

_TO_16 = [
    "zéro",
    "un",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "six",
    "sept",
    "huit",
    "neuf",
    "dix",
    "onze",
    "douze",
    "treize",
    "quatorze",
    "quinze",
    "seize",
]
_TENS = ["-", "dix", "vingt", "trente", "quarante", "cinquante", "soixante"]
_MONTHS = ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"]
#: Tens that France counts by sixties and eighties.
SEPTANTE_NONANTE: Mapping[int, str] = {7: "septante", 9: "nonante"}
SEPTANTE_HUITANTE_NONANTE: Mapping[int, str] = {7: "septante", 8: "huitante", 9: "nonante"}


class French:
    """`Grammar` of French; `tens` are those with a word of their own above sixty."""

    ZERO_TO_NINE = tuple(_TO_16[:10])
    MINUS = "moins"
    CURRENCIES: Mapping[str, Currency] = {
        "CHF": (("franc", "francs"), ("centime", "centimes")),
        "EUR": (("euro", "euros"), ("centime", "centimes")),
        "GBP": (("livre", "livres"), ("penny", "pence")),
        "USD": (("dollar", "dollars"), ("cent", "cents")),
    }

    def __init__(self, tens: Mapping[int, str]) -> None:
        self._tens = tens

    def cardinal(self, number: int) -> str:
        """As the protocol."""
        milliards, millions, thousands, rest = groups(number)
        parts = [f"{self._below_1000(count)} {name}{'s' if count > 1 else ''}" for count, name in _large(milliards, millions)]
        if thousands:
            parts.append("mille" if thousands == 1 else f"{self._below_1000(thousands, final=False)} mille")
        if rest or not parts:
            parts.append(self._below_1000(rest))
        return " ".join(parts)

    def _below_1000(self, number: int, *, final: bool = True) -> str:
        """`final`: nothing but a name that is a noun follows, so that `cents` and `quatre-vingts` keep their s."""
        hundreds, rest = divmod(number, 100)
        if not hundreds:
            return self._below_100(rest, final=final)
        words = "cent" if hundreds == 1 else f"{_TO_16[hundreds]} cent{'s' if final and not rest else ''}"
        return f"{words} {self._below_100(rest, final=final)}" if rest else words

    def _below_100(self, number: int, *, final: bool) -> str:
        if number < 17:
            return _TO_16[number]
        tens, one = divmod(number, 10)
        word = self._tens.get(tens) or (_TENS[tens] if tens < 7 else "")
        if not word:
            tens, one = tens - tens % 2, one + tens % 2 * 10
            word = _TENS[6] if tens == 6 else "quatre-vingt"
        if not one:
            return f"{word}s" if word == "quatre-vingt" and final else word
        joined = " et " if one in (1, 11) and word != "quatre-vingt" else "-"
        return f"{word}{joined}{self._below_20(one)}"

    def _below_20(self, number: int) -> str:
        return _TO_16[number] if number < 17 else f"dix-{_TO_16[number - 10]}"

    def _feminine(self, number: int) -> str:
        words = self.cardinal(number)
        return f"{words}e" if words == "un" or words.endswith((" un", "-un")) else words

    def ordinal(self, number: int) -> str:
        """`premier`, `deuxième`."""
        if number == 1:
            return "premier"
        words = self.cardinal(number)
        if words.endswith(("quatre-vingts", "cents", "millions", "milliards")):
            words = words[:-1]
        if words.endswith("cinq"):
            return f"{words}uième"
        if words.endswith("neuf"):
            return f"{words[:-1]}vième"
        return f"{words.removesuffix('e')}ième"

    def date(self, year: int, month: int, day: int) -> str:
        """`le premier mars deux mille vingt-six`."""
        said = f"le {'premier' if day == 1 else self.cardinal(day)} {_MONTHS[month - 1]}"
        return f"{said} {self.cardinal(year)}" if year else said

    def time(self, hour: int, minute: int) -> str:
        """`vingt et une heures une`."""
        said = f"{self._feminine(hour)} heure{'s' if hour > 1 else ''}"
        return f"{said} {self._feminine(minute)}" if minute else said

    def amount(self, units: int, hundredths: int, unit: Names, hundredth: Names) -> str:
        """`trois francs et cinq centimes`; `un million de francs`."""
        small = f"{self.cardinal(hundredths)} {hundredth[hundredths > 1]}"
        if hundredths and not units:
            return small
        of = "" if not units or units % 10**6 else "d'" if unit[0][0] in "aeiou" else "de "
        feminine = unit[0] == "livre"
        large = f"{self._feminine(units) if feminine else self.cardinal(units)} {of}{unit[units > 1]}"
        return f"{large} et {small}" if hundredths else large

    def duration(self, hours: int, minutes: int, seconds: int) -> str:
        """As the protocol."""
        named = ((hours, "heure"), (minutes, "minute"), (seconds, "seconde"))
        said = [f"{self._feminine(count)} {name}{'s' if count > 1 else ''}" for count, name in named if count]
        return " et ".join(filter(None, (", ".join(said[:-1]), said[-1]))) if said else "zéro seconde"


def _large(milliards: int, millions: int) -> list[tuple[int, str]]:
    return [(count, name) for count, name in ((milliards, "milliard"), (millions, "million")) if count]
