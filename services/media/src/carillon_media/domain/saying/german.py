"""German: ones before tens, below a million one word (`einundzwanzig`)."""

from collections.abc import Mapping

from carillon_media.domain.saying.grammar import Currency, Names, groups

_TO_12 = ["null", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"]
_TEENS = ["dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn"]
_TENS = ["-", "-", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]
_MONTHS = ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"]
_ORDINALS = {"eins": "erste", "drei": "dritte", "sieben": "siebte", "acht": "achte"}


class German:
    """`Grammar` of German."""

    ZERO_TO_NINE = ("null", "eins", *_TO_12[2:10])
    MINUS = "minus"
    CURRENCIES: Mapping[str, Currency] = {
        "CHF": (("Franken", "Franken"), ("Rappen", "Rappen")),
        "EUR": (("Euro", "Euro"), ("Cent", "Cent")),
        "GBP": (("Pfund", "Pfund"), ("Penny", "Pence")),
        "USD": (("Dollar", "Dollar"), ("Cent", "Cent")),
    }

    def cardinal(self, number: int) -> str:
        """As the protocol."""
        words = self._stem(number)
        return f"{words}s" if number % 100 == 1 else words

    def _stem(self, number: int) -> str:
        """As it stands before a noun: `ein`, `hundertein`."""
        milliards, millions, thousands, rest = groups(number)
        parts = [
            f"{'eine' if count == 1 else _below_1000(count) + ('s' if count % 100 == 1 else '')} {one if count == 1 else many}"
            for count, one, many in ((milliards, "Milliarde", "Milliarden"), (millions, "Million", "Millionen"))
            if count
        ]
        small = f"{_below_1000(thousands)}tausend" if thousands else ""
        if rest or not (parts or small):
            small += _below_1000(rest)
        return " ".join([*parts, small]) if small else " ".join(parts)

    def ordinal(self, number: int) -> str:
        """`der Dritte` without its article: `dritte`."""
        words = self.cardinal(number).replace(" ", "").lower()
        for last, ending in _ORDINALS.items():
            if words.endswith(last) and number % 100 < 20:
                return words.removesuffix(last) + ending
        return f"{words}{'te' if 0 < number % 100 < 20 else 'ste'}"

    def date(self, year: int, month: int, day: int) -> str:
        """`der zweite März zweitausendsechsundzwanzig`."""
        said = f"der {self.ordinal(day)} {_MONTHS[month - 1]}"
        return f"{said} {self._year(year)}" if year else said

    def _year(self, year: int) -> str:
        century, rest = divmod(year, 100)
        if 11 <= century <= 19:
            return f"{_below_1000(century)}hundert" + ("" if not rest else self.cardinal(rest))
        return self.cardinal(year)

    def time(self, hour: int, minute: int) -> str:
        """`ein Uhr fünf`."""
        said = f"{self._stem(hour)} Uhr"
        return f"{said} {self.cardinal(minute)}" if minute else said

    def amount(self, units: int, hundredths: int, unit: Names, hundredth: Names) -> str:
        """`drei Franken und fünf Rappen`."""
        small = f"{self._stem(hundredths)} {hundredth[hundredths != 1]}"
        if hundredths and not units:
            return small
        large = f"{self._stem(units)} {unit[units != 1]}"
        return f"{large} und {small}" if hundredths else large

    def duration(self, hours: int, minutes: int, seconds: int) -> str:
        """As the protocol."""
        named = ((hours, "Stunde"), (minutes, "Minute"), (seconds, "Sekunde"))
        said = [f"eine {name}" if count == 1 else f"{self.cardinal(count)} {name}n" for count, name in named if count]
        return " und ".join(filter(None, (", ".join(said[:-1]), said[-1]))) if said else "null Sekunden"


def _below_1000(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = f"{_TO_12[hundreds]}hundert" if hundreds else ""
    return words + (_below_100(rest) if rest or not hundreds else "")


def _below_100(number: int) -> str:
    if number < 13:
        return _TO_12[number]
    if number < 20:
        return _TEENS[number - 13]
    tens, one = divmod(number, 10)
    return (f"{_TO_12[one]}und" if one else "") + _TENS[tens]
