"""A call that is sent in circles between exchanges ends."""

import pytest

from carillon_contracts.hops import HOPS, SENT_ON, left, spent

pytestmark = pytest.mark.feature("R-23")


def rounds(arrives: int | None, *, counted: bool, told: bool) -> int:
    """How often a call is sent on by exchanges whose carrier hands Max-Forwards on, less one, or tells of forwardings, or both."""
    forwards, diversions = arrives, 0
    for sent_on in range(2 * HOPS):
        remaining = left(spent(forwards, diversions if told else 0), sent_on=True)
        if remaining < 1:
            return sent_on
        forwards, diversions = (remaining - 1 if counted else HOPS), diversions + 1
        if counted and forwards < 1:
            return sent_on + 1
    pytest.fail("it goes round in circles")


@pytest.mark.parametrize(("counted", "told"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("arrives", [None, 70, 68, 255, 31, 10])
def test_it_ends_after_some_ten_rounds(arrives: int | None, counted: bool, told: bool) -> None:
    assert 3 <= rounds(arrives, counted=counted, told=told) <= 13


def test_a_call_goes_on_as_long_as_any_hop_is_left() -> None:
    assert left(spent(HOPS, 0), sent_on=False) == HOPS - 1
    assert left(spent(HOPS, 0), sent_on=True) == HOPS - SENT_ON
    for forwards in range(2, HOPS):
        assert 1 <= left(spent(forwards, 0), sent_on=True) < forwards
    assert left(spent(1, 0), sent_on=False) == left(spent(0, 0), sent_on=True) + 1 == 0
