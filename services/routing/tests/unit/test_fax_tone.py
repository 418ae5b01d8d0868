"""A fax machine that calls a voice number is sent where its faxes go."""

from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_routing.domain.advance import decided
from carillon_routing.domain.facts import Advance, CallFacts, Entered, HangUp, Ring, UserTarget
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("M-7")
NUMBER = "+41215550101"


def decision(heard: str, **number: Any) -> Advance:
    company = small_company(
        users=[{"id": name, "last_name": name} for name in ("anna", "fax")],
        extensions=[],
        fax_boxes=[{"id": "orders"}],
        numbers=[{"id": NUMBER, "destination": {"user_id": "anna"}, **number}],
    )
    arguments = {"heard": heard} if heard else {}
    call = CallFacts(company.tenant_id, "c1", "inbound", NUMBER, "+41791110000", trunk_id="carrier")
    return decided(company, call, None, Entered(arguments), datetime(2026, 1, 6, 10, tzinfo=UTC), lambda ask: [])


@pytest.mark.parametrize(
    ("heard", "number", "rung"),
    [
        ("cng", {"fax_destination": {"user_id": "fax"}}, "fax"),
        ("", {"fax_destination": {"user_id": "fax"}}, "anna"),
        ("cng", {}, "anna"),
    ],
)
def test_the_tone_leads_to_the_fax_destination_where_there_is_one(heard: str, number: dict[str, Any], rung: str) -> None:
    found = decision(heard, **number)
    assert isinstance(found.step, Ring)
    assert [isinstance(target, UserTarget) and target.user_id for target in found.step.targets] == [rung]
    assert any("fax machine" in line.reason for line in found.trace) == (rung == "fax")


@pytest.mark.feature("D-6")
def test_a_fax_box_that_the_tone_leads_to_ends_the_call_and_the_trace_says_why() -> None:
    found = decision("cng", fax_destination={"fax_box_id": "orders"})
    assert isinstance(found.step, HangUp)
    assert found.step.cause == 63
    assert [line.reason for line in found.trace][-2:] == ["no fax service answers", "unreachable: no node waits for the call"]
