"""What `carillon simulate` assumes, from its options to the request."""

import argparse

import pytest

from carillon.routing.v1 import routing_pb2 as pb
from carillon_cli.assumptions import arguments, request
from carillon_cli.commands import compare
from carillon_cli.commands.simulate import told
from carillon_cli.errors import CliError

pytestmark = pytest.mark.feature("R-21", "P-6")


def made(*options: str) -> pb.SimulateRequest:
    parser = argparse.ArgumentParser()
    arguments(parser)
    return request(parser.parse_args(options))


def test_what_is_not_said_is_not_in_the_request() -> None:
    assert made() == pb.SimulateRequest()


def test_options_say_what_the_request_says() -> None:
    asked = made(
        *(
            "--talk",
            "0",
            "--gives-up",
            "25",
            "--answers-after",
            "4",
            "--cause",
            "anna=27",
            "--limit",
            "main/few=4,9",
            "--limit",
            "tenant/acme=2",
        ),
        *("--queue-state", "sales=3,0,2", "--queue-state", "help=1", "--share", "plan/main node split=3"),
        *("--web", "https://crm.example/who?x=1", "200,vip=yes,name=A=B", "--mails-fail", "--last-agent", "anna"),
    )
    assert asked == pb.SimulateRequest(
        talk_seconds=0,
        gives_up_at_seconds=25,
        answer_seconds=4,
        causes={"anna": 27},
        limits={"main/few": pb.SimulatedCount(calls=4, starts=9), "tenant/acme": pb.SimulatedCount(calls=2)},
        queues={"sales": pb.SimulatedQueue(waiting=3, agents_idle=0, agents_logged_in=2), "help": pb.SimulatedQueue(waiting=1)},
        shares={"plan/main node split": 3},
        web_answers={"https://crm.example/who?x=1": pb.SimulatedAnswer(status=200, fields={"vip": "yes", "name": "A=B"})},
        mails_fail=True,
        last_agent_user_id="anna",
    )


@pytest.mark.parametrize(
    "options",
    [("--cause", "anna"), ("--cause", "anna=x"), ("--queue-state", "sales=1,2,3,4"), ("--limit", "a="), ("--web", "https://x", "ok")],
)
def test_what_cannot_be_read_is_said(options: tuple[str, ...]) -> None:
    with pytest.raises(CliError, match=options[0]):
        made(*options)


def test_a_turn_tells_what_becomes_of_its_step() -> None:
    turn = pb.SimulatedTurn(outcome="ring_ended", outcome_values={"result": "busy"})
    assert told(turn)[-1] == "    ring_ended busy"
    turn.explained.step_sentence = "es klingelt"
    turn.outcome_sentence = "besetzt"
    assert told(turn) == ["    => es klingelt", "    besetzt"]


def test_last_month_s_calls_are_asked_for_by_their_moments() -> None:
    parser = argparse.ArgumentParser()
    compare.arguments(parser)
    options = parser.parse_args(["summer", "--after", "2026-02-01T00:00+00:00", "--before", "2026-03-01T00:00+00:00", "--calls", "9"])
    asked = compare.request(options)
    assert (asked.plan_draft_id, asked.max_calls) == ("summer", 9)
    assert (asked.before.seconds - asked.after.seconds) == 28 * 86_400
    with pytest.raises(CliError, match="no instant"):
        compare.request(parser.parse_args(["summer", "--after", "yesterday"]))
