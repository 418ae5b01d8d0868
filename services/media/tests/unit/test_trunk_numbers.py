"""Numbers as carriers write them, out and in."""

from typing import Any

import pytest

from carillon_contracts.config import TrunkIncoming, TrunkNumberFormat
from carillon_media.domain.trunk_numbers import called, written

pytestmark = pytest.mark.feature("M-2")


@pytest.mark.parametrize(
    ("number", "country", "form", "text"),
    [
        ("+41215550100", "CH", {}, "+41215550100"),
        ("+41215550100", "CH", {"style": "plain"}, "41215550100"),
        ("+41215550100", "CH", {"style": "international"}, "0041215550100"),
        ("+41215550100", "CH", {"style": "national"}, "0215550100"),
        ("+33145550100", "CH", {"style": "national"}, "0033145550100"),
        # Spain and Luxembourg have no trunk prefix.
        ("+34915550100", "ES", {"style": "national"}, "915550100"),
        ("+41215550100", "CH", {"style": "plain", "strip_digits": 2, "prepend": "9"}, "9215550100"),
        ("+41215550100", "CH", {"style": "e164", "strip_digits": 1, "prepend": "999#"}, "999#41215550100"),
        # Emergency and short numbers, extensions, nothing at all: as they are.
        ("112", "CH", {"style": "plain", "strip_digits": 2, "prepend": "9"}, "112"),
        ("1414", "CH", {"style": "national"}, "1414"),
        ("", "CH", {"prepend": "9"}, ""),
    ],
)
def test_a_number_is_written_as_the_carrier_wants_it(number: str, country: str, form: dict[str, Any], text: str) -> None:
    assert written(number, TrunkNumberFormat.model_validate(form), country) == text


@pytest.mark.parametrize(
    ("number", "rule", "text"),
    [
        ("+41215550100", {}, "+41215550100"),
        ("00", {"prepend": "+412155501"}, "+41215550100"),
        ("9990215550100", {"strip_digits": 4, "prepend": "+41"}, "+41215550100"),
    ],
)
def test_what_the_carrier_calls_becomes_a_number_of_ours(number: str, rule: dict[str, Any], text: str) -> None:
    assert called(number, TrunkIncoming.model_validate(rule)) == text
