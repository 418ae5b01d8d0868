from itertools import product

import pytest

from carillon_cli.supervisor.policy import TRANSITIONS, Action, Child, Input, RestartPolicy, State, hopeless, step, stop_groups

pytestmark = pytest.mark.feature("P-4")
POLICY = RestartPolicy(delays=(0.0, 0.2, 1.0), settled_seconds=20)


def lived(*seconds: float) -> list[float]:
    """Delays before the restarts of a child that lived so long each time."""
    child, now, delays = Child(), 0.0, []
    child, _ = step(child, Input.START, now, POLICY)
    for life in seconds:
        now += life
        child, action = step(child, Input.EXITED, now, POLICY)
        assert action is Action.ARM_DELAY
        delays.append(child.delay)
        now += child.delay
        child, action = step(child, Input.DELAY_OVER, now, POLICY)
        assert action is Action.SPAWN
    return delays


def test_the_first_restart_is_at_once_and_the_delay_grows_to_its_bound() -> None:
    assert lived(0.1, 0.1, 0.1, 0.1) == [0.0, 0.2, 1.0, 1.0]


def test_a_child_that_was_up_for_long_is_restarted_at_once_again() -> None:
    assert lived(0.1, 0.1, 25, 0.1) == [0.0, 0.2, 0.0, 0.2]


def test_a_child_that_is_asked_to_stop_is_not_started_again() -> None:
    child, _ = step(Child(), Input.START, 0, POLICY)
    child, action = step(child, Input.STOP, 1, POLICY)
    assert action is Action.TERMINATE
    child, action = step(child, Input.EXITED, 2, POLICY)
    assert (child.state, action) == (State.STOPPED, Action.NOTHING)


def test_a_stop_during_the_delay_wins_over_the_restart() -> None:
    child, _ = step(Child(), Input.START, 0, POLICY)
    child, _ = step(child, Input.EXITED, 1, POLICY)
    child, action = step(child, Input.STOP, 1, POLICY)
    assert (child.state, action) == (State.STOPPED, Action.NOTHING)
    assert step(child, Input.DELAY_OVER, 2, POLICY) == (child, Action.NOTHING)


@pytest.mark.parametrize(("state", "happened"), [pair for pair in product(State, Input) if pair not in TRANSITIONS])
def test_what_is_not_in_the_table_changes_nothing(state: State, happened: Input) -> None:
    child = Child(state, 3.0, 2, 0.2)
    assert step(child, happened, 9, POLICY) == (child, Action.NOTHING)


def test_a_stopped_child_never_runs_again() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] is State.STOPPED]


def test_groups_stop_lowest_first_and_names_stand_in_order() -> None:
    assert stop_groups({"postgres": 9, "media": 0, "cdr": 2, "directory": 2}) == [("media",), ("cdr", "directory"), ("postgres",)]


def test_who_dies_again_and_again_is_hopeless() -> None:
    assert hopeless({"cdr": Child(deaths_in_a_row=3), "media": Child(deaths_in_a_row=1)}, 3) == ["cdr"]
