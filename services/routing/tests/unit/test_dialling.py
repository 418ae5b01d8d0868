"""Numbers as people dial them."""

import pytest

from carillon_routing.domain.dialling import to_e164


@pytest.mark.feature("R-18")
@pytest.mark.parametrize(
    ("dialled", "country", "expected"),
    [
        ("+41791234567", "CH", "+41791234567"),
        ("0041791234567", "CH", "+41791234567"),
        ("0791234567", "CH", "+41791234567"),
        ("0612345678", "FR", "+33612345678"),
        ("0699123456", "IT", "+390699123456"),
        ("011442079460000", "US", "+442079460000"),
        ("12", "CH", ""),
        ("+999123456789", "CH", ""),
        ("+41791234567;ext=5", "CH", ""),
        ("anna", "CH", ""),
        ("+" + "4" * 30, "CH", ""),
    ],
)
def test_numbers_are_understood_as_people_of_the_country_dial_them(dialled: str, country: str, expected: str) -> None:
    assert to_e164(dialled, country) == expected
