"""Telephone numbers as carriers write them, in E.164."""

import phonenumbers

_MIN_INTERNATIONAL = 9


def e164(number: str, country: str) -> str:
    """E.164 with its plus sign where the digits can be understood, else the number as it is. `country`: ISO 3166, for national digits."""
    if not number or number.startswith("+") or not number.isdigit():
        return number
    if number.startswith("00"):
        return f"+{number[2:]}"
    candidates = [(number, country)] if number.startswith("0") else [(f"+{number}", None)] if len(number) >= _MIN_INTERNATIONAL else []
    for text, region in candidates:
        try:
            parsed = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return number
