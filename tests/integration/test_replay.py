"""Calls that were placed through the running system are decided again as they were, to the letter."""

import grpc
import pytest

from strangers.reflection import Reflected
from strangers.story import Story
from strangers.system import System, until

MAIN = "+41215550100"
#: Of the newest calls.
MOST = 200


@pytest.mark.feature("R-22")
def test_every_decision_of_every_call_so_far_is_equal_when_it_is_made_again(system: System) -> None:
    story = Story(system)
    try:
        story.clock("2026-11-24T22:00+01:00")
        known = story.call_ids()
        story.outside_call(MAIN).succeed()
        mine = story.record(known)["call_id"]
        story.set_user("elise", restriction_profile_id="")
        calls = [mine, *(call_id for call_id in story.call_ids() if call_id != mine)][:MOST]
    finally:
        story.close()
    routing = Reflected(system.run["grpc"]["routing"], system.run["admin_token"])
    replayed = {each: routing.call("carillon.routing.v1.RoutingService/ReplayCall", {"call_id": each}) for each in calls}
    assert replayed[mine]["equal"]
    decisions = [(call_id, each) for call_id, answer in replayed.items() for each in answer.get("decisions", ())]
    wrong = [(call_id, each) for call_id, each in decisions if each["verdict"] not in _FINE]
    assert not wrong, wrong[:3]
    with pytest.raises(grpc.RpcError) as unknown:
        routing.call("carillon.routing.v1.RoutingService/ReplayCall", {"call_id": "nobody-knows"})
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    routing.channel.close()
    said = until(lambda: system.carillon("replay", mine, "--tenant", "dupont"), "the answer", 30)
    assert f"Call {mine}: equal" in said


_FINE = ("REPLAY_VERDICT_EQUAL", "REPLAY_VERDICT_NOT_REPEATABLE")
