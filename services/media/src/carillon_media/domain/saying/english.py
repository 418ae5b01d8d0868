"""English as the British say it: `one hundred and one`."""

from collections.abc import Mapping

from carillon_media.domain.saying.grammar import Currency, Names, counted, groups

_TO_19 = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth"}
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


class English:
    """`Grammar` of English."""

    ZERO_TO_NINE = tuple(_TO_19[:10])
    MINUS = "minus"
    CURRENCIES: Mapping[str, Currency] = {
        "CHF": (("franc", "francs"), ("centime", "centimes")),
        "EUR": (("euro", "euros"), ("cent", "cents")),
        "GBP": (("pound", "pounds"), ("penny", "pence")),
        "USD": (("dollar", "dollars"), ("cent", "cents")),
    }

    def cardinal(self, number: int) -> str:
        """As the protocol."""
        if number < 1000:
            return _below_1000(number)
        milliards, millions, thousands, rest = groups(number)
        named = ((milliards, "billion"), (millions, "million"), (thousands, "thousand"))
        words = " ".join(f"{_below_1000(count)} {name}" for count, name in named if count)
        if not rest:
            return words
        return f"{words}{' and' if rest < 100 else ''} {_below_1000(rest)}"

    def ordinal(self, number: int) -> str:
        """As the protocol."""
        words = self.cardinal(number)
        cut = max(words.rfind(" "), words.rfind("-")) + 1
        last = words[cut:]
        ending = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
        return words[:cut] + ending

    def date(self, year: int, month: int, day: int) -> str:
        """`the second of March twenty twenty-six`."""
        said = f"the {self.ordinal(day)} of {_MONTHS[month - 1]}"
        return f"{said} {self._year(year)}" if year else said

    def _year(self, year: int) -> str:
        century, rest = divmod(year, 100)
        if not 1100 <= year <= 9999 or (century % 10 == 0 and rest < 10):
            return self.cardinal(year)
        if not rest:
            return f"{_below_1000(century)} hundred"
        return f"{_below_1000(century)} {'oh ' if rest < 10 else ''}{_below_1000(rest)}"

    def time(self, hour: int, minute: int) -> str:
        """`five past noon` is not said on the telephone: `twelve oh five p.m.`"""
        half = "a.m." if hour < 12 else "p.m."
        said = _below_1000(hour % 12 or 12)
        if minute:
            said += f" {'oh ' if minute < 10 else ''}{_below_1000(minute)}"
        return f"{said} {half}"

    def amount(self, units: int, hundredths: int, unit: Names, hundredth: Names) -> str:
        """As the protocol."""
        small = counted(hundredths, self.cardinal(hundredths), hundredth)
        if hundredths and not units:
            return small
        large = counted(units, self.cardinal(units), unit)
        return f"{large} and {small}" if hundredths else large

    def duration(self, hours: int, minutes: int, seconds: int) -> str:
        """As the protocol."""
        named = ((hours, ("hour", "hours")), (minutes, ("minute", "minutes")), (seconds, ("second", "seconds")))
        said = [counted(count, self.cardinal(count), names) for count, names in named if count]
        return " and ".join(filter(None, (", ".join(said[:-1]), said[-1]))) if said else "zero seconds"


def _below_1000(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_100(rest)
    return f"{_TO_19[hundreds]} hundred" + (f" and {_below_100(rest)}" if rest else "")


def _below_100(number: int) -> str:
    if number < 20:
        return _TO_19[number]
    tens, one = divmod(number, 10)
    return _TENS[tens] + (f"-{_TO_19[one]}" if one else "")
