"""Italian: one word below a million; a ten loses its vowel before `uno` and `otto`, `tre` at the end takes an accent."""

from collections.abc import Mapping

from carillon_media.domain.saying.grammar import Currency, Names, groups

_TO_19 = [
    "zero",
    "uno",
    "due",
    "tre",
    "quattro",
    "cinque",
    "sei",
    "sette",
    "otto",
    "nove",
    "dieci",
    "undici",
    "dodici",
    "tredici",
    "quattordici",
    "quindici",
    "sedici",
    "diciassette",
    "diciotto",
    "diciannove",
]
_TENS = ["-", "-", "venti", "trenta", "quaranta", "cinquanta", "sessanta", "settanta", "ottanta", "novanta"]
_ORDINALS = ["-", "primo", "secondo", "terzo", "quarto", "quinto", "sesto", "settimo", "ottavo", "nono", "decimo"]
_MONTHS = ["gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre"]


class Italian:
    """`Grammar` of Italian."""

    ZERO_TO_NINE = tuple(_TO_19[:10])
    MINUS = "meno"
    CURRENCIES: Mapping[str, Currency] = {
        "CHF": (("franco", "franchi"), ("centesimo", "centesimi")),
        "EUR": (("euro", "euro"), ("centesimo", "centesimi")),
        "GBP": (("sterlina", "sterline"), ("penny", "pence")),
        "USD": (("dollaro", "dollari"), ("centesimo", "centesimi")),
    }

    def cardinal(self, number: int) -> str:
        """As the protocol."""
        milliards, millions, thousands, rest = groups(number)
        parts = [
            f"un {one}" if count == 1 else f"{self.cardinal(count)} {many}"
            for count, one, many in ((milliards, "miliardo", "miliardi"), (millions, "milione", "milioni"))
            if count
        ]
        small = "" if not thousands else "mille" if thousands == 1 else f"{_below_1000(thousands)}mila"
        if rest or not (parts or small):
            small += _below_1000(rest)
        if number % 10 == 3 and number > 3 and small.endswith("tre"):
            small = f"{small.removesuffix('tre')}tré"
        return " ".join(filter(None, (*parts, small)))

    def ordinal(self, number: int) -> str:
        """`terzo`, `ventitreesimo`, `ventiseiesimo`."""
        if 0 < number <= 10:
            return _ORDINALS[number]
        words = self.cardinal(number).replace(" ", "").replace("tré", "tre")
        keeps = number % 10 in (3, 6) and number % 100 not in (13, 16)
        stem = words if keeps else words[:-1]
        return f"{stem}esimo"

    def date(self, year: int, month: int, day: int) -> str:
        """`il primo marzo duemilaventisei`."""
        article = "l'" if day in (8, 11) else "il "
        said = f"{article}{'primo' if day == 1 else self.cardinal(day)} {_MONTHS[month - 1]}"
        return f"{said} {self.cardinal(year)}" if year else said

    def time(self, hour: int, minute: int) -> str:
        """`le ventuno e cinque`, `l'una`, `mezzanotte`."""
        said = "mezzanotte" if hour == 0 else "l'una" if hour == 1 else f"le {self.cardinal(hour)}"
        return f"{said} e {self.cardinal(minute)}" if minute else said

    def amount(self, units: int, hundredths: int, unit: Names, hundredth: Names) -> str:
        """`tre franchi e cinque centesimi`; `un milione di franchi`."""
        small = self._counted(hundredths, hundredth)
        if hundredths and not units:
            return small
        large = self._counted(units, unit)
        return f"{large} e {small}" if hundredths else large

    def _counted(self, number: int, names: Names) -> str:
        if number == 1:
            return f"{'una' if names[0].endswith('a') else 'un'} {names[0]}"
        of = "di " if number and not number % 10**6 else ""
        return f"{self.cardinal(number)} {of}{names[1]}"

    def duration(self, hours: int, minutes: int, seconds: int) -> str:
        """As the protocol."""
        named = ((hours, "un'ora", "ore"), (minutes, "un minuto", "minuti"), (seconds, "un secondo", "secondi"))
        said = [one if count == 1 else f"{self.cardinal(count)} {many}" for count, one, many in named if count]
        return " e ".join(filter(None, (", ".join(said[:-1]), said[-1]))) if said else "zero secondi"


def _below_1000(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = "" if not hundreds else "cento" if hundreds == 1 else f"{_TO_19[hundreds]}cento"
    if hundreds and rest // 10 == 8:
        words = words.removesuffix("o")
    return words + (_below_100(rest) if rest or not hundreds else "")


def _below_100(number: int) -> str:
    if number < 20:
        return _TO_19[number]
    tens, one = divmod(number, 10)
    stem = _TENS[tens][:-1] if one in (1, 8) else _TENS[tens]
    return stem + (_TO_19[one] if one else "")
