"""A sorted map is a dict that does not change."""

from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.sorted_map import SortedMap

ENTRIES = st.dictionaries(st.integers(0, 2000), st.integers(), max_size=900)
CHANGES = st.lists(st.tuples(st.integers(0, 2000), st.integers() | st.none()), max_size=60)


@given(ENTRIES, CHANGES, st.integers(0, 2000))
def test_it_is_what_a_dict_is_and_those_before_stay(entries: dict[int, int], changes: list[tuple[int, int | None]], start: int) -> None:
    made = SortedMap(entries)
    for key, value in changes:
        before, expected = made, dict(made)
        if value is None:
            expected.pop(key, None)
            made = made.remove(key)
        else:
            expected[key] = value
            made = made.set(key, value)
        assert dict(before) == {**expected, **{k: v for k, v in before.items() if k == key}} or key not in before
        assert dict(made) == expected
    assert list(made) == sorted(made)
    assert len(made) == len(dict(made))
    assert (list(made.items()), list(made.values())) == (list(dict(made).items()), list(dict(made).values()))
    assert list(made.items()) == [(key, made[key]) for key in made]
    assert all(made[key] == value and key in made and made.get(key) == value for key, value in made.items())
    assert [key for key, _ in made.items_from(start)] == [key for key in made if key >= start]
    assert [key for key, _ in made.items_from(start, after=True)] == [key for key in made if key > start]
    assert made.get(-1) is None
    assert -1 not in made


@given(ENTRIES, ENTRIES, st.sets(st.integers(0, 2000)))
def test_many_changes_at_once_are_the_same_one_by_one(entries: dict[int, int], put: dict[int, int], removed: set[int]) -> None:
    expected = {key: value for key, value in entries.items() if key not in removed or key in put} | put
    assert dict(SortedMap(entries).update(put, removed)) == expected


def test_it_grows_and_shrinks_one_by_one() -> None:
    made: SortedMap[int, int] = SortedMap()
    for number in range(3000):
        made = made.set(number * 7919 % 3000, number)
    assert list(made) == list(range(3000))
    for number in range(3000):
        made = made.remove(number)
    assert (len(made), list(made)) == (0, [])


@given(ENTRIES, CHANGES, ENTRIES)
def test_differences_between_any_two(entries: dict[int, int], changes: list[tuple[int, int | None]], others: dict[int, int]) -> None:
    before = made = SortedMap(entries)
    for key, value in changes:
        made = made.remove(key) if value is None else made.set(key, value)
    for after in (made, SortedMap(others)):
        put, gone = after.differences(before)
        kept = {key: value for key, value in before.items() if key not in gone}
        assert {**kept, **put} == dict(after)
        assert all(before[key] == value for key, value in gone.items())
        assert all(after.get(key) is not before.get(key) for key in put.keys() | gone.keys())
