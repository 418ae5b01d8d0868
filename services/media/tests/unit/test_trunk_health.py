"""A server that does not answer gets no calls until it answers."""

import pytest

from carillon_media.domain.trunk_health import DOWN_PING, HOLD, Health, answered, asked, silent

pytestmark = pytest.mark.feature("M-2")


def test_a_server_is_asked_at_its_interval_and_more_often_while_it_is_down() -> None:
    health = asked(Health(60), 0.0)
    assert (health.due(59.9), health.due(60.0)) == (False, True)
    down = asked(silent(health, 4.0), 14.0)
    assert down.next_at == 14.0 + DOWN_PING
    assert not down.usable(1000.0)


@pytest.mark.parametrize(
    ("status", "state"), [(200, "up"), (404, "up"), (405, "up"), (501, "up"), (503, "down"), (500, "down"), (408, "down")]
)
def test_any_answer_is_a_sign_of_life_but_one_that_says_it_cannot(status: int, state: str) -> None:
    assert answered(Health(60), status, 0.0).state == state


def test_it_comes_back_with_its_first_answer() -> None:
    back = answered(silent(Health(60), 0.0), 200, 5.0)
    assert (back.state, back.usable(5.0), back.due(64.9), back.due(65.0)) == ("up", True, False, True)


def test_a_server_that_is_never_asked_is_left_alone_for_a_while_after_silence() -> None:
    quiet = silent(Health(0), 100.0)
    assert (quiet.usable(100.0 + HOLD - 1), quiet.usable(100.0 + HOLD)) == (False, True)
    assert not quiet.due(1e9)
    assert Health(0).usable(0.0)
