"""`carillon activate`: what is asked, and what is shown of past calls and tests."""

import argparse

import pytest

from carillon.directory.v1 import plan_pb2 as pb
from carillon_cli.commands import activate, compare, plan
from carillon_cli.commands.activate import elsewhere, request, told
from carillon_cli.errors import CliError

pytestmark = pytest.mark.feature("R-25", "P-6")


def asked(*options: str) -> pb.ActivatePlanRequest:
    parser = argparse.ArgumentParser()
    activate.arguments(parser)
    return request(parser.parse_args(["summer", *options]))


def test_past_calls_are_compared_and_none_may_go_elsewhere_unless_somebody_says_so() -> None:
    bound = asked().compare_past_calls
    assert (bound.max_calls, bound.HasField("max_elsewhere"), bound.max_elsewhere) == (10_000, True, 0)
    wider = asked("--calls", "500", "--max-elsewhere", "12", "--reason", "night").compare_past_calls
    assert (wider.max_calls, wider.max_elsewhere) == (500, 12)
    assert not asked("--max-elsewhere", "any").compare_past_calls.HasField("max_elsewhere")
    for alone in (asked("--calls", "0"), asked("--force", "--reason", "now")):
        assert not alone.HasField("compare_past_calls")
    for wrong in ("few", "99999999999"):
        with pytest.raises(CliError, match="max-elsewhere"):
            asked("--max-elsewhere", wrong)


def test_a_number_that_no_request_has_room_for_is_refused_as_the_others_are(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ("99999999999", "-99999999999", "1e3", ""):
        with pytest.raises(SystemExit):
            asked("--calls", wrong)
        assert "--calls" in capsys.readouterr().err
    assert asked("--calls", "-1").compare_past_calls.max_calls == -1, "the directory refuses it"


@pytest.mark.parametrize("verb", ["activate", "compare"])
def test_the_commands_stand_alone_and_under_plan(verb: str) -> None:
    parser = argparse.ArgumentParser()
    plan.arguments(parser)
    assert parser.parse_args([verb, "summer", "--calls", "7"]).calls == 7
    alone = argparse.ArgumentParser()
    {"activate": activate, "compare": compare}[verb].arguments(alone)
    assert alone.parse_args(["summer", "--calls", "7"]).draft == "summer"


def test_who_would_go_elsewhere_is_shown_in_groups() -> None:
    moved = pb.MovedCalls(now=["ring user/anna"], draft=["announcement", "voicemail main"], calls=3, call_ids=["c1", "c2"])
    found = pb.PastCallsCompared(total=9, read=9, by_plan=5, elsewhere=4, not_followed=1, done=True, groups=[moved], ungrouped=1)
    assert elsewhere(found) == [
        "4 of 5 past calls by the plan would go elsewhere (9 calls read)",
        "1 calls cannot be followed: what their decisions were made of was not kept",
        "  3 calls, for example c1, c2",
        "    now:   ring user/anna",
        "    draft: announcement -> voicemail main",
        "  1 calls more, in smaller groups",
    ]


def test_tests_say_what_they_missed() -> None:
    missed = pb.PlanTestOutcome(plan_test_id="t", reached=["plan/p", "user/ben"], missed="user/anna")
    done = pb.ActivatePlanResponse(plan=pb.Plan(id="p"), gate=pb.PlanGate(asked=True, tests=[missed]), config_seq=7)
    assert told(done, "activated", dry_run=True) == [
        "plan p would be activated",
        "  no node differs",
        "  FAILED  t: came by plan/p, user/ben, not by user/anna",
    ]
