"""Dutch: ones before tens, `tweeëntwintig` with its diaeresis."""

from collections.abc import Mapping

from carillon_media.domain.saying.grammar import Currency, Names, groups

_TO_14 = ["nul", "een", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen", "tien", "elf", "twaalf", "dertien", "veertien"]
_TEENS = ["vijftien", "zestien", "zeventien", "achttien", "negentien"]
_TENS = ["-", "-", "twintig", "dertig", "veertig", "vijftig", "zestig", "zeventig", "tachtig", "negentig"]
_MONTHS = ["januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"]


class Dutch:
    """`Grammar` of Dutch."""

    ZERO_TO_NINE = ("nul", "één", *_TO_14[2:10])
    MINUS = "min"
    CURRENCIES: Mapping[str, Currency] = {
        "CHF": (("frank", "frank"), ("centime", "centimes")),
        "EUR": (("euro", "euro"), ("cent", "cent")),
        "GBP": (("pond", "pond"), ("penny", "pence")),
        "USD": (("dollar", "dollar"), ("cent", "cent")),
    }

    def cardinal(self, number: int) -> str:
        """As the protocol."""
        milliards, millions, thousands, rest = groups(number)
        parts = [f"{_below_1000(count)} {name}" for count, name in ((milliards, "miljard"), (millions, "miljoen")) if count]
        if thousands:
            parts.append("duizend" if thousands == 1 else f"{_below_1000(thousands)}duizend")
        if rest or not parts:
            parts.append(_below_1000(rest))
        return " ".join(parts)

    def ordinal(self, number: int) -> str:
        """`eerste`, `derde`, `achtste`, `twintigste`."""
        words = self.cardinal(number)
        last = number % 100
        if number == 0:
            return "nulde"
        if last == 1:
            return words.removesuffix("een") + "eerste"
        if last == 3:
            return words.removesuffix("drie") + "derde"
        return f"{words}{'de' if 0 < last < 20 and last != 8 else 'ste'}"

    def date(self, year: int, month: int, day: int) -> str:
        """`twee maart tweeduizend zesentwintig`."""
        said = f"{self.cardinal(day)} {_MONTHS[month - 1]}"
        return f"{said} {self._year(year)}" if year else said

    def _year(self, year: int) -> str:
        century, rest = divmod(year, 100)
        if 11 <= century <= 19:
            return f"{_below_1000(century)}honderd" + (f" {self.cardinal(rest)}" if rest else "")
        return self.cardinal(year)

    def time(self, hour: int, minute: int) -> str:
        """`vijf uur dertig`."""
        said = f"{self.cardinal(hour)} uur"
        return f"{said} {self.cardinal(minute)}" if minute else said

    def amount(self, units: int, hundredths: int, unit: Names, hundredth: Names) -> str:
        """`drie euro en vijf cent`."""
        small = f"{self.cardinal(hundredths)} {hundredth[hundredths != 1]}"
        if hundredths and not units:
            return small
        large = f"{self.cardinal(units)} {unit[units != 1]}"
        return f"{large} en {small}" if hundredths else large

    def duration(self, hours: int, minutes: int, seconds: int) -> str:
        """As the protocol."""
        named = ((hours, "uur", "uur"), (minutes, "minuut", "minuten"), (seconds, "seconde", "seconden"))
        said = [f"{self.cardinal(count)} {one if count == 1 else many}" for count, one, many in named if count]
        return " en ".join(filter(None, (", ".join(said[:-1]), said[-1]))) if said else "nul seconden"


def _below_1000(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = "" if not hundreds else "honderd" if hundreds == 1 else f"{_TO_14[hundreds]}honderd"
    return words + (_below_100(rest) if rest or not hundreds else "")


def _below_100(number: int) -> str:
    if number < 15:
        return _TO_14[number]
    if number < 20:
        return _TEENS[number - 15]
    tens, one = divmod(number, 10)
    if not one:
        return _TENS[tens]
    return f"{_TO_14[one]}{'ën' if one in (2, 3) else 'en'}{_TENS[tens]}"
