"""The languages in which people are told things: traces, findings, what is wrong with a file."""

from typing import Literal

Language = Literal["en", "fr", "de", "nl"]
LANGUAGES: tuple[Language, ...] = ("en", "fr", "de", "nl")


def told_in(wanted: str, own: str) -> Language | None:
    """The language that is wanted; if none is, the tenant's `own` (`fr-CH`), or English where there are no texts in it.

    None: there are no texts in the one that is wanted.
    """
    found = next((each for each in LANGUAGES if each == (wanted or own.split("-")[0])), None)
    return found or (None if wanted else "en")
