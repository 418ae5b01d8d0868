"""Every state and input of the machine of reliable provisional responses, as RFC 3262 section 3 is read by eye."""

import pytest

from carillon_sip import WrongState
from carillon_sip.reliable_server import MAX_WAITING, Effect, Input, Provisional, ReliableProvisionals, State

pytestmark = pytest.mark.feature("M-3")

TABLE = """
    free      PROVISIONAL      unacked   SEND
    free      DESCRIPTION      described SEND
    free      ACCEPT           over      ACCEPT
    free      REFUSE           over
    unacked   PROVISIONAL      unacked   QUEUE
    unacked   DESCRIPTION      unacked   QUEUE
    unacked   ACCEPT           over      ACKED ACCEPT
    unacked   REFUSE           over      ACKED
    unacked   PRACK            free      ACKED NEXT
    unacked   TIMER_RETRANSMIT unacked   RESEND
    unacked   TIMER_GIVE_UP    over      ACKED GIVE_UP
    described PROVISIONAL      described QUEUE
    described DESCRIPTION      described QUEUE
    described ACCEPT           held      HOLD
    described REFUSE           over      ACKED
    described PRACK            free      ACKED NEXT
    described TIMER_RETRANSMIT described RESEND
    described TIMER_GIVE_UP    over      ACKED GIVE_UP
    held      REFUSE           over      ACKED
    held      PRACK            over      ACKED ACCEPT
    held      TIMER_RETRANSMIT held      RESEND
    held      TIMER_GIVE_UP    over      ACKED GIVE_UP
    over      PRACK            over
"""
EXPECTED = {(State(row[0]), Input[row[1]]): (State(row[2]), row[3:]) for row in (line.split() for line in TABLE.strip().splitlines())}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Input)
def test_every_input_does_what_the_rfc_says(state: State, event: Input) -> None:
    machine = ReliableProvisionals(1)
    machine.state = state
    effects = machine.feed(event)
    after, does = EXPECTED.get((state, event), (state, []))
    assert (machine.state, effects) == (after, tuple(Effect[name] for name in does))


def test_the_queue_is_bounded() -> None:
    machine = ReliableProvisionals(1)
    machine.feed(Input.DESCRIPTION)
    machine.queue.extend([Provisional(180, "", b"")] * MAX_WAITING)
    with pytest.raises(WrongState):
        machine.feed(Input.PROVISIONAL)
    assert machine.state is State.DESCRIBED
