"""An event with many changes makes what each of them alone would have made."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.config import ConfigChanged, Department, Tenant, User
from carillon_contracts.config.changes import MANY_CHANGED
from carillon_contracts.config_events import changes_of, fold, versions
from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import ConfigGap, TenantConfig, evolve

TENANT = Tenant(id="dupont", realm="dupont.example")
ONE = evolve(
    TenantConfig("dupont"),
    1,
    ConfigChanged(resource="tenant", resource_id="dupont", action="created", after=TENANT.model_dump(mode="json"), actor="test"),
)


def event(last: int, kind: str, data: dict[str, object]) -> Event:
    made = Event(
        id=UUID(int=last),
        source="test",
        type=kind,
        subject="user",
        time=datetime(2026, 1, 5, tzinfo=UTC),
        data=data,
        tenantid="dupont",
        configseq=last,
    )
    return Event.from_json(made.to_json())


def user(name: str, last_name: str | None) -> dict[str, object]:
    after = None if last_name is None else User(id=name, last_name=last_name).model_dump(mode="json")
    return ConfigChanged(resource="user", resource_id=name, action="updated", after=after, actor="test").model_dump(mode="json")


def together(first: int, changes: list[dict[str, object]]) -> Event:
    return event(first + len(changes) - 1, MANY_CHANGED, {"first": first, "changes": changes})


STEPS = st.lists(st.tuples(st.sampled_from("abcdefghijklmnop"), st.sampled_from(["X", "Y", None])), min_size=1, max_size=40)


@given(STEPS, st.integers(0, 40), st.none() | st.integers(1, 50))
def test_it_is_each_change_alone(steps: list[tuple[str, str | None]], known: int, up_to: int | None) -> None:
    changes = [user(name, last) for name, last in steps]
    versions_of = [ONE]
    for seq, raw in enumerate(changes, 2):
        folded = fold(versions_of[-1], event(seq, "carillon.config.user_updated.v1", raw))
        assert folded.changes == (ConfigChanged.model_validate(raw),)
        versions_of.append(folded.config)
    start = min(known, len(changes))
    end = len(changes) if up_to is None else max(start, min(up_to - 1, len(changes)))
    folded = fold(versions_of[start], together(2, changes), up_to)
    assert (folded.config.seq, dict(folded.config.users)) == (versions_of[end].seq, dict(versions_of[end].users))
    assert folded.changes == tuple(map(ConfigChanged.model_validate, changes[start:end]))
    assert fold(versions_of[-1], together(2, changes)).config is versions_of[-1]


def test_what_cannot_be_read_is_told_and_counted() -> None:
    changes: list[dict[str, object]] = [
        user("a", "X"),
        {"resource": "user"},
        {**user("b", "X"), "after": {"id": "b", "colour": "red"}},
        user("c", "X"),
    ]
    folded = fold(ONE, together(2, changes))
    assert (folded.config.seq, sorted(folded.config.users)) == (5, ["a", "c"])
    assert [seq for seq, _ in folded.unreadable] == [3, 4]
    assert len(folded.changes) == 2


def test_a_missing_change_is_a_gap() -> None:
    with pytest.raises(ConfigGap):
        fold(ONE, together(3, [user("a", "X")]))


def test_an_event_that_says_nothing_of_its_versions_changes_nothing() -> None:
    hostile: tuple[dict[str, object], ...] = (
        {},
        {"first": 9, "changes": []},
        {"first": -5, "changes": []},
        {"first": "2", "changes": [user("a", "X")]},
    )
    for data in hostile:
        broken = event(2, MANY_CHANGED, data)
        assert versions(broken) == (0, 0)
        assert list(changes_of(broken)) == []
        assert fold(ONE, broken).config is ONE
    short = event(4, MANY_CHANGED, {"first": 2, "changes": [user("a", "X")]})
    assert (versions(short), fold(ONE, short).config.seq) == ((2, 4), 4)
    assert [seq for seq, _ in fold(ONE, short).unreadable] == [3, 4]


def test_kinds_that_nobody_asks_for_are_counted_and_not_read() -> None:
    department: dict[str, object] = {
        "resource": "department",
        "resource_id": "sales",
        "action": "created",
        "after": {"id": "sales"},
        "actor": "test",
    }
    heard = together(2, [user("a", "X"), department, {"resource": "user", "resource_id": "b", "after": "no user"}, {"resource": ["odd"]}])
    folded = fold(ONE, heard, without={"user"})
    assert (folded.config.seq, list(folded.config.users), list(folded.config.all(Department))) == (5, [], ["sales"])
    assert [seq for seq, _ in folded.unreadable] == [5]
    assert fold(ONE, together(2, [user("a", "X")]), without={"user"}).config.seq == 2
