"""What is kept of an order is what sorting anew would give."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_contracts.config import Resource, User
from carillon_contracts.sorted_map import SortedMap
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.orders import Order, Ordered, Orders, smallest

IDS = [f"u{number:03}" for number in range(300)]
USERS = st.builds(
    lambda name, seconds: User(id="u", last_name=name, ring_seconds=seconds), st.sampled_from("aAbBéz"), st.sampled_from([10, 20, 30])
)
COMPANIES = st.dictionaries(st.sampled_from(IDS), USERS, max_size=40)
ORDERS: list[Order] = [
    ((("last_name",), False),),
    ((("last_name",), True), (("ring_seconds",), False)),
    ((("ring_seconds",), True), (("forwarding", "busy"), True)),
]


def named(users: dict[str, User]) -> dict[str, Resource]:
    return {name: user.model_copy(update={"id": name}) for name, user in users.items()}


@settings(max_examples=60, deadline=None)
@given(COMPANIES, COMPANIES, st.sets(st.sampled_from(IDS)), st.sampled_from(ORDERS))
def test_an_order_moved_is_the_order_made_anew(before: dict[str, User], put: dict[str, User], gone: set[str], order: Order) -> None:
    first = SortedMap(named(before))
    then = first.update(named(put), gone)
    assert Ordered.sort(first, order).moved(then).resources == Ordered.sort(then, order).resources


@settings(max_examples=60, deadline=None)
@given(COMPANIES, st.integers(1, 45), st.sampled_from([*ORDERS, ((("id",), True),)]))
def test_the_first_of_an_order_are_found_without_sorting_the_rest(users: dict[str, User], count: int, order: Order) -> None:
    resources = SortedMap(named(users))
    assert smallest(list(resources.values()), order, count) == Ordered.sort(resources, order).resources[:count]


def test_an_order_that_is_not_at_hand_is_made_for_who_asks_next() -> None:
    orders, order = Orders(), ORDERS[0]
    users = SortedMap(named({"u1": User(id="u", last_name="Z"), "u2": User(id="u", last_name="Y")}))
    orders.make_missed()
    assert not orders.knows("t", "user", 1, users, order)
    assert orders.missed
    orders.make_missed()
    assert orders.knows("t", "user", 1, users, order)
    assert not orders.missed


def test_usual_orders_of_many_are_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carillon_directory.domain.orders.MANY", 1)
    users = SortedMap(named({"u1": User(id="u", last_name="Z"), "u2": User(id="u", last_name="Y")}))
    orders, config = Orders(), TenantConfig("t", 3, {"user": users})
    orders.make_usual(config)
    assert orders.knows("t", "user", 3, users, ((("last_name",), False), (("first_name",), False)))
    assert not orders.knows("t", "user", 3, users, ((("title",), False),))


def test_an_earlier_version_is_answered_and_does_not_replace_the_newer_one() -> None:
    orders, order = Orders(), ORDERS[0]
    first = SortedMap({"a": User(id="a", last_name="Z"), "b": User(id="b", last_name="Y")})
    then = first.set("a", User(id="a", last_name="A"))
    assert [each.id for each in orders.of("t", "user", 2, then, order)] == ["a", "b"]
    assert [each.id for each in orders.of("t", "user", 1, first, order)] == ["b", "a"]
    assert [each.id for each in orders.of("t", "user", 2, then, order)] == ["a", "b"]


def test_what_was_not_asked_for_lately_is_forgotten_and_sorted_again() -> None:
    orders, order = Orders(capacity=2), ORDERS[0]
    users = SortedMap({"a": User(id="a", last_name="Z"), "b": User(id="b", last_name="Y")})
    for tenant in ("one", "two", "one"):
        assert [each.id for each in orders.of(tenant, "user", 1, users, order)] == ["b", "a"]
    assert len(orders._known) == 1
