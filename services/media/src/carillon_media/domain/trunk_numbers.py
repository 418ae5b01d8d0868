"""Numbers as each carrier writes them: ours in E.164 for it, its own for us.

Invariant: what is not in E.164 (emergency and short numbers, extensions) leaves as it is.
"""

import re

import phonenumbers

from carillon_contracts.config import TrunkIncoming, TrunkNumberFormat

_E164 = re.compile(r"\+[1-9][0-9]{4,14}")
_INTERNATIONAL_PREFIX = "00"


def written(number: str, form: TrunkNumberFormat, country: str) -> str:
    """The number for the carrier. `country`: ISO 3166, whose numbers are national."""
    if not _E164.fullmatch(number):
        return number
    text = _styled(number, form.style, country)
    return form.prepend + text[form.strip_digits :]


def called(number: str, rule: TrunkIncoming) -> str:
    """What the carrier called, by the trunk's rule; looked up among our numbers afterwards."""
    return rule.prepend + number[rule.strip_digits :]


def _styled(number: str, style: str, country: str) -> str:
    if style == "plain":
        return number[1:]
    if style == "national" and (national := _national(number, country)):
        return national
    return number if style == "e164" else _INTERNATIONAL_PREFIX + number[1:]


def _national(number: str, country: str) -> str:
    """With the country's trunk prefix, where it has one; empty if the number is of another country."""
    code = phonenumbers.country_code_for_region(country)
    if not code or not number.startswith(f"+{code}"):
        return ""
    return (phonenumbers.ndd_prefix_for_region(country, True) or "") + number[1 + len(str(code)) :]
