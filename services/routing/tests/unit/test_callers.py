"""Where a caller is from: the short way is the long way's answer."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_routing.domain.callers import country_of

pytestmark = pytest.mark.feature("R-4")


@settings(max_examples=50)
@given(st.integers(0, 17).flatmap(lambda digits: st.text("0123456789", min_size=digits, max_size=digits)).map("+".__add__))
def test_the_country_of_a_number_is_the_one_of_phonenumbers(number: str) -> None:
    try:
        expected = phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except phonenumbers.NumberParseException:
        expected = ""
    assert country_of(number) == expected


@pytest.mark.parametrize(
    ("number", "country"), [("+41215550100", "CH"), ("+12125550100", "US"), ("+16045550100", "CA"), ("+41", ""), ("", "")]
)
def test_countries(number: str, country: str) -> None:
    assert country_of(number) == country
