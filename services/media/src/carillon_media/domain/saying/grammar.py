"""What every language's grammar has: numbers as words, and the frames that dates, times, amounts and durations are put into."""

from collections.abc import Mapping
from typing import Protocol

#: The most that is said as a number; longer ones are said digit by digit.
LARGEST = 999_999_999_999

#: Names of a currency's unit and of its hundredth: one, and many.
Names = tuple[str, str]
Currency = tuple[Names, Names]


class Grammar(Protocol):
    """A language. Numbers are 0 to `LARGEST`; a caller of these functions has checked that."""

    ZERO_TO_NINE: tuple[str, ...]
    MINUS: str
    CURRENCIES: Mapping[str, Currency]

    def cardinal(self, number: int) -> str:
        """`one hundred and one`."""

    def ordinal(self, number: int) -> str:
        """`third`: a place in a row, of a person."""

    def date(self, year: int, month: int, day: int) -> str:
        """Year 0 is not said."""

    def time(self, hour: int, minute: int) -> str:
        """Of a 24-hour clock."""

    def amount(self, units: int, hundredths: int, unit: Names, hundredth: Names) -> str:
        """Of a currency; nothing is said of hundredths that are none."""

    def duration(self, hours: int, minutes: int, seconds: int) -> str:
        """Parts that are none are not said; at least one is."""


def counted(number: int, words: str, names: Names) -> str:
    """The words of a number and what is counted."""
    return f"{words} {names[0] if number == 1 else names[1]}"


def groups(number: int) -> tuple[int, int, int, int]:
    """Milliards, millions, thousands and the rest."""
    return number // 10**9, number // 10**6 % 1000, number // 1000 % 1000, number % 1000
