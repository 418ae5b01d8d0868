"""What is due when."""

from hypothesis import given
from hypothesis import strategies as st

from carillon_media.domain.due import Due

TIMES = st.integers(0, 20).map(float)


def test_a_name_is_due_once_at_its_earliest_time() -> None:
    due = Due()
    due.note("anne", 5.0)
    due.note("anne", 3.0)
    due.note("anne", 9.0)
    due.note("bob", 4.0)
    assert due.take(2.9) == []
    assert due.take(4.0) == ["anne", "bob"]
    assert due.take(100.0) == []
    assert len(due) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), TIMES) | TIMES, max_size=40))
def test_it_is_the_least_of_what_was_noted_since_it_was_taken(steps: list[tuple[str, float] | float]) -> None:
    due, expected = Due(), dict[str, float]()
    for step in steps:
        if isinstance(step, tuple):
            due.note(*step)
            expected[step[0]] = min(step[1], expected.get(step[0], step[1]))
        else:
            now = sorted(name for name, at in expected.items() if at <= step)
            assert sorted(due.take(step)) == now
            expected = {name: at for name, at in expected.items() if at > step}
            assert len(due) == len(expected)
