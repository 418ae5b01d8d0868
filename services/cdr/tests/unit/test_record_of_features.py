"""Records of calls that were parked or picked up: who parked, who took, where the caller went on."""

import pytest

from carillon_cdr.domain.record import fold
from carillon_cdr.testing import Script
from carillon_contracts.call import CallBridged, CallParked, CallPickedUp, CallTookOver, LegOffered, ParkEnded

pytestmark = pytest.mark.feature("C-1", "M-5")


def test_a_parked_call_says_where_it_waited_and_who_took_it_back() -> None:
    script = Script().started().decided("ring").rings().after(4).connects().after(10)
    script.add(CallParked(slot="701", parked_by="bob"), "a").leg_ended("b1").after(30)
    script.add(LegOffered(party="carol", number="103"), "b2").answers("b2").add(ParkEnded(slot="701", result="retrieved", by="carol"), "a")
    script.add(CallBridged(legs=("a", "b2"))).after(5).leg_ended("b2").ended(talk=45)
    made = fold(script.tenant, script.call_id, script.events)
    (parking,) = made.parkings
    assert (parking.slot, parking.parked_by, parking.taken_by, parking.result) == ("701", "bob", "carol", "retrieved")
    assert parking.until is not None
    assert (parking.until - parking.at).total_seconds() == 30
    assert (made.answered_by, made.talk_seconds) == ("bob", 45)


def test_a_call_that_was_picked_up_says_by_whom_and_where_it_rang() -> None:
    script = Script().started().decided("ring").rings().after(4).add(LegOffered(party="carol", number="103"), "b2")
    script.add(CallPickedUp(by="carol", rung="b1", rung_party="bob", other_call_id="c9"), "b2").answers("b2")
    script.leg_ended("b1", "answered_elsewhere", "system").add(CallBridged(legs=("a", "b2"))).after(5).leg_ended("b2")
    made = fold(script.tenant, script.call_id, script.ended(talk=5).events)
    assert made.pickup is not None
    assert (made.answered_by, made.pickup.by, made.pickup.rung) == ("carol", "carol", "bob")


def test_the_call_by_which_it_was_dialled_names_the_other_one() -> None:
    script = Script().started().decided("pick_up").add(CallTookOver(other_call_id="c1", how="picked_up"), "a")
    made = fold(script.tenant, script.call_id, script.ended("took_over", "caller").events)
    assert (made.status, made.took_over_call_id, made.cause) == ("answered", "c1", "took_over")
