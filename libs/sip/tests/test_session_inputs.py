"""Every situation of a session x everything that the network may say: what is sent, what the user is told, and the state after.

`session_inputs.txt` is the table, each line checked against RFC 3261 sections 9, 12.2, 13 to 15, RFC 3262, 3311 and 4028. `silence`:
nothing comes for 400 s; responses are to our INVITE, re-INVITE, UPDATE or BYE that is, or was, under way.
"""

from pathlib import Path

import pytest

from carillon_sip.testing.situations import AWAITING, REQUESTS, RESPONSES, SITUATIONS, outcome, settle

pytestmark = pytest.mark.feature("M-3")
ACTS = {**REQUESTS, **RESPONSES}
SECOND = ("ACK", "CANCEL", "BYE", "re-INVITE", "UPDATE with offer", "200", "487")


def table() -> dict[tuple[str, str], str]:
    """Outcome by situation and input."""
    rows, situation = {}, ""
    for line in (Path(__file__).parent / "session_inputs.txt").read_text().splitlines():
        if line.startswith(" "):
            given, _, result = line.strip().partition(" | ")
            rows[situation, given.strip()] = result
        elif line:
            situation = line
    return rows


TABLE = table()


def test_the_table_has_every_situation_and_every_input() -> None:
    wanted = {(name, given) for name in SITUATIONS for given in (*REQUESTS, *(RESPONSES if name in AWAITING else ()))}
    assert TABLE.keys() == wanted


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_input_in_every_situation(situation: str) -> None:
    found = {given: outcome(SITUATIONS[situation](), ACTS[given]) for name, given in TABLE if name == situation}
    assert found == {given: result for (name, given), result in TABLE.items() if name == situation}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_two_inputs_after_each_other_raise_nothing_and_in_the_end_nothing_is_left(situation: str) -> None:
    """Whatever came first, and then what begins, answers or ends something."""
    given = [act for name, act in ACTS.items() if name != "silence" and (situation in AWAITING or name in REQUESTS)]
    then = [ACTS[name] for name in SECOND if situation in AWAITING or name in REQUESTS]
    for first in given:
        for second in then:
            here = SITUATIONS[situation]()
            first(here)
            second(here)
            settle(here)
            assert here.stranger.agent.counts()[:2] == (0, 0)
            assert here.stranger.agent.next_timer() is None
