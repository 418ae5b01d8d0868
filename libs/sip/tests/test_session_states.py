"""Every command in every state of a session: what does something, what comes too late, what was never possible."""

import pytest

from carillon_sip import WrongState
from carillon_sip.session import ALLOWED, Session, SessionState
from carillon_sip.testing import Pair

pytestmark = pytest.mark.feature("M-3")

#: In the order of SessionState: y does something, - comes too late and is ignored, x was never possible.
COMMANDS = {
    #                   incoming answered leaving calling cancelling offered up ending over
    "ring": "yxxxxxx--",
    "answer": "yxxxxxx--",
    "reject": "yxxxxxx--",
    "ack": "xxxxxyx--",
    "cancel": "xxxyyyy--",
    "prack": "xxxyyxx--",
    "update": "yyyyyyy--",
    "bye": "xyyxxyy--",
    "reinvite": "xyyxxyy--",
    "accept_reinvite": "xyyxxxy--",
    "reject_reinvite": "xyyxxxy--",
    "request": "xyxxxyy--",
}


def test_the_table_names_every_command() -> None:
    assert ALLOWED.keys() == COMMANDS.keys()


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_every_state(full_pair: Pair, command: str, state: SessionState) -> None:
    session = Session("tag", state, full_pair.network.flow(full_pair.alice, full_pair.bob), "<sip:a@x>", outgoing=True)
    expected = COMMANDS[command][list(SessionState).index(state)]
    if expected == "x":
        with pytest.raises(WrongState):
            session.allows(command)
    else:
        assert session.allows(command) is (expected == "y")
    assert session.state is state
