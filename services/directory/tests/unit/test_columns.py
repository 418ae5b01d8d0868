"""What columns say is what looking at each resource would say, whatever changed in between."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_contracts.config import Resource, User
from carillon_contracts.sorted_map import SortedMap
from carillon_directory.domain.columns import Columns, Condition
from carillon_directory.domain.orders import value_at

IDS = [f"u{number:03}" for number in range(400)]
PATHS = [("last_name",), ("ring_seconds",), ("do_not_disturb",), ("trunk_ids",), ("services", "fax"), ("secretary", "user_id")]
TEXTS = ["", "a", "B", "ab", "É", "20", "2", "true", "True", "x\0y", "user_id", "none"]
CONDITIONS = st.builds(Condition, st.sampled_from(PATHS), st.sampled_from(["=", "!=", "<", "<=", ">", ">=", ":"]), st.sampled_from(TEXTS))


def user(name: str, seconds: int, quiet: bool, trunks: list[str], fax: bool, secretary: str) -> User:
    document: dict[str, Any] = {
        "id": "u",
        "last_name": name,
        "ring_seconds": seconds,
        "do_not_disturb": quiet,
        "trunk_ids": trunks,
        "services": {"fax": fax},
        "secretary": {"user_id": secretary} if secretary else None,
    }
    return User.model_validate(document)


USERS = st.builds(
    user,
    st.sampled_from(["a", "B", "ab", "ÉB", "20"]),
    st.sampled_from([10, 20, 30]),
    st.booleans(),
    st.lists(st.sampled_from(["x", "y", "ab"]), max_size=2),
    st.booleans(),
    st.sampled_from(["", "u001"]),
)
COMPANIES = st.dictionaries(st.sampled_from(IDS), USERS, max_size=40)
MANY = SortedMap({name: User(id=name, last_name="aB"[index % 2]) for index, name in enumerate(IDS)})


def named(users: dict[str, User]) -> dict[str, Resource]:
    return {name: each.model_copy(update={"id": name}) for name, each in users.items()}


def looked_at(resources: SortedMap[str, Resource], conditions: list[Condition], after: str) -> list[str]:
    return [
        name
        for name, each in resources.items()
        if name > after and all(condition.holds(value_at(each, condition.path)) for condition in conditions)
    ]


@settings(max_examples=100, deadline=None)
@given(COMPANIES, st.sets(st.sampled_from(IDS)), st.lists(CONDITIONS, min_size=1, max_size=3), st.sampled_from(["", *IDS]))
def test_a_column_says_what_each_value_says(put: dict[str, User], gone: set[str], asked: list[Condition], after: str) -> None:
    conditions = [each for each in asked if each.columnar]
    columns, before = Columns(), SortedMap[str, Resource](dict(MANY))
    then = before.update(named(put), gone)
    for seq, resources in ((1, before), (2, then), (1, before), (2, then)):
        found = [each.id for each in columns.matching("t", "user", seq, resources, conditions, after)]
        assert found == looked_at(resources, conditions, after)


def test_what_was_not_asked_for_lately_is_forgotten() -> None:
    columns = Columns(capacity=len(MANY))
    for path in (("last_name",), ("ring_seconds",), ("last_name",)):
        assert list(columns.matching("t", "user", 1, MANY, [Condition(path, "=", "no")])) == []
    assert len(columns._known) == 1
