"""Calls that were placed through the running system are decided again as they were, to the letter; drafts are held up by them."""

import json
from typing import Any

import grpc
import pytest

from strangers.reflection import Reflected
from strangers.story import Story
from strangers.system import System, until

MAIN = "+41215550100"


@pytest.mark.feature("R-20", "R-22")
def test_every_decision_of_every_call_so_far_is_equal_when_it_is_made_again(system: System) -> None:
    story = Story(system)
    try:
        story.clock("2026-11-24T22:00+01:00")
        known = story.call_ids()
        story.outside_call(MAIN).succeed()
        # A call of the test before may have its record only now.
        mine = until(
            lambda: next((each["call_id"] for each in story.records() if each["call_id"] not in known and each["dialled"] == MAIN), ""),
            "the record",
        )
        story.set_user("elise", restriction_profile_id="")
        calls = [mine, *(call_id for call_id in story.past_calls() if call_id != mine)]
    finally:
        story.close()
    routing = Reflected(system.run["grpc"]["routing"], system.run["admin_token"])
    replayed = {each: routing.call("carillon.routing.v1.RoutingService/ReplayCall", {"call_id": each}) for each in calls}
    assert replayed[mine]["equal"]
    decisions = [(call_id, each) for call_id, answer in replayed.items() for each in answer.get("decisions", ())]
    wrong = [(call_id, each) for call_id, each in decisions if not _fine(each)]
    assert not wrong, json.dumps(wrong[:3])
    with pytest.raises(grpc.RpcError) as unknown:
        routing.call("carillon.routing.v1.RoutingService/ReplayCall", {"call_id": "nobody-knows"})
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    explained = [routing.call("carillon.routing.v1.ExplainService/ExplainCall", {"call_id": each, "language": "de"}) for each in calls[:20]]
    unknown_words = [
        condition["trace"]
        for answer in explained
        for part in answer["parts"]
        if part.get("application") == "routing"
        for condition in part["decision"].get("conditions", ())
        if "as_written" in (condition["kind"], condition["subject_kind"])
    ]
    assert not unknown_words, unknown_words[:3]
    routing.channel.close()
    said = until(lambda: system.carillon("replay", mine, "--tenant", "dupont"), "the answer", 30)
    assert f"Call {mine}: equal" in said
    words = system.carillon("explain", mine, "--language", "fr")
    assert words.startswith(f"Appel {mine}\n")
    assert "Le routage décide selon la version" in words
    told = json.loads(system.carillon("explain", mine, "--json"))
    assert told["parts"][0]["kind"] == "started_inbound"
    assert any(
        not each["matched"] and each["values"] for part in told["parts"] if part.get("decision") for each in part["decision"]["conditions"]
    )


def _fine(decision: dict[str, Any]) -> bool:
    """Equal, or none of routing's, or nothing was decided yet, or it is of somebody who was erased since."""
    if decision["verdict"] != "REPLAY_VERDICT_NOT_REPEATABLE":
        return bool(decision["verdict"] == "REPLAY_VERDICT_EQUAL")
    remark = decision["remark"]
    return decision["application"] != "routing" or "was erased since" in remark or "nothing was decided" in remark


@pytest.mark.feature("R-21", "R-22", "R-25")
def test_a_past_call_is_followed_with_a_draft_and_with_another_version(system: System) -> None:
    story = Story(system)
    directory, routing = (Reflected(system.run["grpc"][name], system.run["admin_token"]) for name in ("directory", "routing"))
    try:
        story.clock("2026-11-24T22:00+01:00")
        known = story.call_ids()
        story.outside_call(MAIN).succeed()
        mine = story.record(known)["call_id"]
        nodes = [{"id": "closed", "hang_up": {"reason": "HANG_UP_REASON_BUSY"}}]
        draft = {"id": "closed", "plan_id": "main", "entry": "closed", "nodes": nodes}
        directory.call("carillon.directory.v1.PlanDraftService/CreatePlanDraft", {"plan_draft": draft})
        compared = until(lambda: _compared(system, mine), "the comparison that knows draft and call", 30)
        assert "calls by the plan would go elsewhere" in compared
        assert "  draft: hang_up 17" in compared
        elsewhere = system.carillon("replay", mine, "--draft", "closed", code=1)
        assert elsewhere.startswith("ELSEWHERE\n")
        assert ": voicemail" in elsewhere
        assert ": hang_up 17" in elsewhere
        held_up_by_past_calls(system, directory)
        explained = routing.call("carillon.routing.v1.ExplainService/ExplainCall", {"call_id": mine})
        seq = next(part["config_seq"] for part in explained["parts"] if part["kind"] == "decision")
        assert system.carillon("replay", mine, "--config-seq", str(seq)).startswith("the same way\n")
        gives_up = ("--result", "dumas=no_answer", "--gives-up", "5")
        simulated = system.carillon("simulate", "+41791112233", MAIN, "--mode", "office=day", "--language", "nl", *gives_up)
        assert "de modus is dag, met de hand" in simulated
        assert simulated.endswith("De beller geeft op\n")
    finally:
        directory.call("carillon.directory.v1.PlanDraftService/DeletePlanDraft", {"id": "closed"})
        directory.channel.close()
        routing.channel.close()
        story.close()


def held_up_by_past_calls(system: System, directory: Reflected) -> None:
    """A draft that passes every test, and changes what callers hear at night: nothing changes unless so many are said to be right."""
    plans = "carillon.directory.v1.Plan"
    plan = directory.call(f"{plans}Service/GetPlan", {"id": "main"})["plan"]
    notice = {"announcements": [{"language": "fr", "text": "Nous sommes absents."}], "next": "box"}
    (message,) = (each for each in plan["nodes"] if each["id"] == "message")
    others = [each for each in plan["nodes"] if each["id"] != "message"]
    nodes = [*others, {"id": "message", "announcement": notice}, {**message, "id": "box"}]
    draft = {"id": "notice", "plan_id": "main", "entry": plan["entry"], "nodes": nodes}
    directory.call(f"{plans}DraftService/CreatePlanDraft", {"plan_draft": draft})
    try:
        held = until(lambda: _elsewhere(system.carillon("activate", "notice", code=1)), "the comparison of a draft that routing knows", 30)
        assert "    draft: announcement -> voicemail main" in held
        assert directory.call(f"{plans}Service/GetPlan", {"id": "main"})["plan"]["etag"] == plan["etag"]
    finally:
        directory.call(f"{plans}DraftService/DeletePlanDraft", {"id": "notice"})


def _elsewhere(said: str) -> str:
    return said if "past calls by the plan would go elsewhere" in said else ""


def _compared(system: System, call_id: str) -> str:
    said = system.carillon("plan", "compare", "closed", "--samples", "20", code=None)
    return said if call_id in said else ""
