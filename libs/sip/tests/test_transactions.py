"""Every state and every input of the four transaction tables, against the figures as read by eye; timers by their values."""

import pytest

from carillon_sip import Flow, Response, Send, Timing
from carillon_sip.message import Headers
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.transaction import ClientTransaction, Deliver, Failed, Failure, Input, SetTimer, State, Transaction
from carillon_sip.transaction_invite_client import InviteClientTransaction
from carillon_sip.transaction_invite_server import InviteServerTransaction
from carillon_sip.transaction_non_invite_client import NonInviteClientTransaction
from carillon_sip.transaction_non_invite_server import NonInviteServerTransaction

UDP = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060))
TCP = UDP._replace(transport="tcp")

#: state, input, next state, what it does: s send, r resend, k ACK, d deliver, t tell of timeout, x tell of transport; letters of timers.
FIGURES: dict[type[Transaction], str] = {
    InviteClientTransaction: """
        initial    request          calling    s A B
        calling    timer_a          calling    r A
        calling    timer_b          terminated t
        calling    transport_error  terminated x
        calling    1xx              proceeding d
        calling    2xx              accepted   d M
        calling    300-699          completed  k d D
        proceeding 1xx              proceeding d
        proceeding 2xx              accepted   d M
        proceeding 300-699          completed  k d D
        proceeding transport_error  terminated x
        accepted   2xx              accepted   d
        accepted   timer_m          terminated
        completed  300-699          completed  r
        completed  timer_d          terminated
        completed  transport_error  terminated
    """,
    NonInviteClientTransaction: """
        initial    request          trying     s E F
        trying     timer_e          trying     r E
        trying     timer_f          terminated t
        trying     transport_error  terminated x
        trying     1xx              proceeding d
        trying     2xx              completed  d K
        trying     300-699          completed  d K
        proceeding timer_e          proceeding r E
        proceeding timer_f          terminated t
        proceeding transport_error  terminated x
        proceeding 1xx              proceeding d
        proceeding 2xx              completed  d K
        proceeding 300-699          completed  d K
        completed  timer_k          terminated
    """,
    InviteServerTransaction: """
        initial    request          proceeding
        proceeding request          proceeding r
        proceeding user_1xx         proceeding s
        proceeding user_2xx         accepted   s L
        proceeding user_error       completed  s G H
        proceeding transport_error  terminated x
        accepted   request          accepted
        accepted   ack              accepted
        accepted   user_2xx         accepted   s
        accepted   timer_l          terminated
        completed  request          completed  r
        completed  timer_g          completed  r G
        completed  ack              confirmed  I
        completed  timer_h          terminated
        completed  transport_error  terminated
        confirmed  ack              confirmed
        confirmed  timer_i          terminated
    """,
    NonInviteServerTransaction: """
        initial    request          trying     U
        trying     request          trying
        trying     user_1xx         proceeding s
        trying     user_2xx         completed  s J
        trying     user_error       completed  s J
        trying     timer_user       terminated
        trying     transport_error  terminated
        proceeding request          proceeding r
        proceeding user_1xx         proceeding s
        proceeding user_2xx         completed  s J
        proceeding user_error       completed  s J
        proceeding timer_user       terminated
        proceeding transport_error  terminated
        completed  request          completed  r
        completed  timer_j          terminated
        completed  transport_error  terminated
    """,
}
_NAMES = {"transport_error": Input.TRANSPORT_ERROR, "1xx": Input.STATUS_1XX, "2xx": Input.STATUS_2XX, "300-699": Input.STATUS_ERROR}


def _input(word: str) -> Input:
    return _NAMES.get(word) or Input[word.upper()]


def expected(kind: type[Transaction]) -> dict[tuple[State, Input], tuple[State, list[str]]]:
    rows = [line.split() for line in FIGURES[kind].strip().splitlines()]
    return {(State(row[0]), _input(row[1])): (State(row[2]), row[3:]) for row in rows}


def request() -> OutgoingRequest:
    return OutgoingRequest(
        "INVITE", "sip:bob@192.0.2.2", UDP, "z9hG4bKa", "<sip:a@x>;tag=1", "<sip:b@x>", "call", 7, fields="Subject: x\r\n"
    )


def made(kind: type[Transaction], state: State, flow: Flow = UDP) -> Transaction:
    transaction = kind(flow, Timing())
    if isinstance(transaction, ClientTransaction):
        transaction.request = request()
    transaction.state = state
    transaction.last = b"last"
    return transaction


def response() -> Response:
    return Response(486, "Busy", Headers(["To: <sip:b@x>;tag=theirs"]))


def letters(outputs: list[Send | SetTimer | Deliver | Failed]) -> list[str]:
    found = []
    for output in outputs:
        if isinstance(output, Send):
            found.append("r" if output.data == b"last" else "s" if output.data == b"new" else "k")
        elif isinstance(output, SetTimer):
            found.append("U" if output.timer is Input.TIMER_USER else output.timer[-1].upper())
        elif isinstance(output, Deliver):
            found.append("d")
        else:
            found.append("t" if output.why is Failure.TIMEOUT else "x")
    return found


@pytest.mark.feature("M-1")
@pytest.mark.parametrize("kind", FIGURES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", State)
def test_every_input_does_what_the_figure_says(kind: type[Transaction], state: State) -> None:
    table = expected(kind)
    for event in Input:
        transaction = made(kind, state)
        outputs = transaction.feed(event, 10.0, response(), b"new")
        after, does = table.get((state, event), (state, []))
        assert (event, transaction.state, letters(outputs)) == (event, after, does)


@pytest.mark.parametrize(
    ("kind", "timer", "state", "intervals"),
    [
        (InviteClientTransaction, Input.TIMER_A, State.CALLING, [0.5, 1, 2, 4, 8, 16]),
        (NonInviteClientTransaction, Input.TIMER_E, State.TRYING, [0.5, 1, 2, 4, 4, 4]),
        (NonInviteClientTransaction, Input.TIMER_E, State.PROCEEDING, [4, 4, 4]),
        (InviteServerTransaction, Input.TIMER_G, State.COMPLETED, [0.5, 1, 2, 4, 4]),
    ],
)
def test_retransmissions_back_off(kind: type[Transaction], timer: Input, state: State, intervals: list[float]) -> None:
    transaction = made(kind, state)
    now = 0.0
    for interval in intervals:
        set_timer = next(o for o in transaction.feed(timer, now, None, b"") if isinstance(o, SetTimer))
        assert set_timer == SetTimer(timer, now + interval)
        now = set_timer.at


@pytest.mark.parametrize(
    ("kind", "state", "event", "timer", "seconds"),
    [
        (InviteClientTransaction, State.INITIAL, Input.REQUEST, Input.TIMER_B, 32),
        (InviteClientTransaction, State.CALLING, Input.STATUS_ERROR, Input.TIMER_D, 32),
        (InviteClientTransaction, State.CALLING, Input.STATUS_2XX, Input.TIMER_M, 32),
        (NonInviteClientTransaction, State.INITIAL, Input.REQUEST, Input.TIMER_F, 32),
        (NonInviteClientTransaction, State.TRYING, Input.STATUS_2XX, Input.TIMER_K, 5),
        (InviteServerTransaction, State.PROCEEDING, Input.USER_ERROR, Input.TIMER_H, 32),
        (InviteServerTransaction, State.PROCEEDING, Input.USER_2XX, Input.TIMER_L, 32),
        (InviteServerTransaction, State.COMPLETED, Input.ACK, Input.TIMER_I, 5),
        (NonInviteServerTransaction, State.TRYING, Input.USER_2XX, Input.TIMER_J, 32),
    ],
)
def test_other_timers_have_the_values_of_table_4(kind: type[Transaction], state: State, event: Input, timer: Input, seconds: float) -> None:
    outputs = made(kind, state).feed(event, 100.0, response(), b"new")
    assert SetTimer(timer, 100.0 + seconds) in outputs


@pytest.mark.parametrize(
    ("kind", "state", "event"),
    [
        (InviteClientTransaction, State.CALLING, Input.STATUS_ERROR),
        (NonInviteClientTransaction, State.TRYING, Input.STATUS_2XX),
        (InviteServerTransaction, State.COMPLETED, Input.ACK),
        (NonInviteServerTransaction, State.TRYING, Input.USER_2XX),
    ],
)
def test_over_tcp_nothing_lingers_and_nothing_is_sent_twice(kind: type[Transaction], state: State, event: Input) -> None:
    transaction = made(kind, state, TCP)
    outputs = transaction.feed(event, 0.0, response(), b"new")
    assert transaction.done
    assert not [o for o in outputs if isinstance(o, SetTimer)]


@pytest.mark.parametrize("kind", [InviteClientTransaction, NonInviteClientTransaction])
def test_over_tcp_a_client_only_waits(kind: type[Transaction]) -> None:
    outputs = made(kind, State.INITIAL, TCP).feed(Input.REQUEST, 0.0, None, b"new")
    assert [o.timer for o in outputs if isinstance(o, SetTimer)] == [Input.TIMER_B if kind is InviteClientTransaction else Input.TIMER_F]


def test_the_ack_of_a_refusal_has_the_branch_of_the_invite_and_the_tag_of_the_answer() -> None:
    outputs = made(InviteClientTransaction, State.CALLING).feed(Input.STATUS_ERROR, 0.0, response())
    ack = outputs[0]
    assert isinstance(ack, Send)
    assert ack.data.startswith(b"ACK sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa;rport\r\n")
    assert b"\r\nTo: <sip:b@x>;tag=theirs\r\n" in ack.data
    assert b"\r\nCSeq: 7 ACK\r\n" in ack.data
    assert b"Subject" not in ack.data
