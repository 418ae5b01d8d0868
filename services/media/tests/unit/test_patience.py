"""What may wait while calls are heard first."""

import pytest

from carillon_media.domain.patience import Waiting, come_back_after, is_patient

ANNE, BOB = ("192.0.2.1", 5060), ("192.0.2.2", 5060)

pytestmark = pytest.mark.feature("M-1")


@pytest.mark.parametrize(
    ("data", "may_wait"),
    [
        (b"REGISTER sip:x SIP/2.0\r\n", True),
        (b"SUBSCRIBE sip:x SIP/2.0\r\n", True),
        (b"INVITE sip:x SIP/2.0\r\n", False),
        (b"BYE sip:x SIP/2.0\r\n", False),
        (b"OPTIONS sip:x SIP/2.0\r\n", False),
        (b"SIP/2.0 200 OK\r\n", False),
        (b"register sip:x SIP/2.0\r\n", False),
        (b"", False),
    ],
)
def test_who_registers_may_wait_and_who_talks_may_not(data: bytes, may_wait: bool) -> None:
    assert is_patient(data) is may_wait


def test_first_come_first_served_and_what_was_sent_again_waits_once() -> None:
    waiting = Waiting()
    waiting.add(b"1", ANNE, 0.0)
    waiting.add(b"1", BOB, 0.1)
    waiting.add(b"1", ANNE, 0.5)
    waiting.add(b"2", ANNE, 0.6)
    assert list(waiting.take(2, 1.0)) == [(b"1", ANNE), (b"1", BOB)]
    assert list(waiting.take(2, 1.0)) == [(b"2", ANNE)]
    assert not waiting


def test_who_waited_too_long_is_not_heard_but_told_so() -> None:
    waiting = Waiting(longest=2.0)
    waiting.add(b"old", ANNE, 0.0)
    waiting.add(b"older than most", ANNE, 0.5)
    waiting.add(b"new", BOB, 1.5)
    assert list(waiting.take(9, 3.0)) == []
    assert list(waiting.late(1, 3.0)) == [(b"old", ANNE)]
    assert list(waiting.late(9, 3.0)) == [(b"older than most", ANNE)]
    assert list(waiting.take(9, 3.0)) == [(b"new", BOB)]
    assert list(waiting.late(9, 9.0)) == []


def test_those_that_are_sent_away_do_not_all_come_back_at_once() -> None:
    waits = {come_back_after(("192.0.2.1", port)) for port in range(5000, 6000)}
    assert min(waits) >= 20
    assert max(waits) < 60
    assert len(waits) == 40


def test_what_does_not_fit_is_dropped() -> None:
    waiting = Waiting(most=2)
    for number in range(5):
        waiting.add(b"%d" % number, ANNE, 0.0)
    assert [data for data, _ in waiting.take(9, 0.0)] == [b"0", b"1"]
    assert waiting.dropped == 3
