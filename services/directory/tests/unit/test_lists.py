"""Lists: filter, order, scope, pages."""

from typing import Any

import pytest

from carillon_contracts.config import Resource, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.bounds import Reach
from carillon_directory.domain.columns import Columns
from carillon_directory.domain.commands import EVERYTHING, Bounds
from carillon_directory.domain.internal_contacts import InternalContact, Made, with_internal_contacts
from carillon_directory.domain.lists import BadQuery, Kept, Query, page
from carillon_directory.domain.orders import Orders
from carillon_directory.grpc_api import InternalContacts
from carillon_directory.testing import given

pytestmark = pytest.mark.feature("D-1", "P-1")


@pytest.fixture
def config() -> TenantConfig:
    people = [
        {"id": "a", "last_name": "Dumas", "ring_seconds": 30, "department_id": "top"},
        {"id": "b", "last_name": "dupont", "department_id": "under"},
        {"id": "c", "last_name": "Favre", "ring_seconds": 60},
    ]
    company: dict[str, Any] = {
        "tenant": {"id": "acme", "realm": "acme.example"},
        "sites": [{"id": "here"}],
        "departments": [{"id": "top", "site_id": "here"}, {"id": "under", "parent_id": "top"}],
        "users": people,
    }
    return given(company)


def ids(config: TenantConfig, query: Query, bounds: Bounds = EVERYTHING, size: int = 10) -> list[str]:
    found: list[Resource]
    found, _ = page(config, User, query, Reach.of(config, bounds), size)
    return [each.id for each in found]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("", "abc"),
        ('last_name = "Dumas"', "a"),
        ("last_name:DU", "ab"),
        ("ring_seconds >= 30 AND last_name != Favre", "a"),
        ("ring_seconds < 30", "b"),
        ("services.fax = true", "abc"),
        ("department_id = under", "b"),
    ],
)
def test_a_filter_keeps_what_it_says(config: TenantConfig, filter_: str, expected: str) -> None:
    assert "".join(ids(config, Query(filter=filter_))) == expected


@pytest.mark.parametrize(
    "filter_", ["nonsense", "shoe = 1", "last_name =", "last_name = a OR last_name = b", "outbound_pin_hash : a", "id = a AND"]
)
def test_a_filter_that_is_none_is_refused(config: TenantConfig, filter_: str) -> None:
    with pytest.raises(BadQuery) as refused:
        ids(config, Query(filter=filter_))
    assert refused.value.field == "filter"


@pytest.mark.parametrize(("query", "field"), [(Query(filter="account_code = 1"), "filter"), (Query(order_by="account_code"), "order_by")])
def test_what_a_person_is_not_shown_is_refused_by_the_field_that_asks_for_it(config: TenantConfig, query: Query, field: str) -> None:
    with pytest.raises(BadQuery) as refused:
        ids(config, query, Bounds(user="a"))
    assert refused.value.field == field


@pytest.mark.parametrize(("order", "expected"), [("last_name", "abc"), ("ring_seconds desc, last_name", "cab"), ("last_name desc", "cba")])
def test_an_order_is_kept_through_its_pages(config: TenantConfig, order: str, expected: str) -> None:
    assert "".join(ids(config, Query(order_by=order))) == expected
    pages = [page(config, User, Query(order_by=order), Reach.of(config, Bounds()), 1, skip=skip) for skip in range(3)]
    assert "".join(found[0].id for found, _ in pages) == expected
    assert [more for _, more in pages] == [True, True, False]


def test_a_page_begins_after_the_one_before(config: TenantConfig) -> None:
    first, more = page(config, User, Query(), Reach.of(config, Bounds()), 2)
    rest, last = page(config, User, Query(), Reach.of(config, Bounds()), 2, after="b")
    assert ([each.id for each in first], more, [each.id for each in rest], last) == (["a", "b"], True, ["c"], False)


def test_a_scope_is_a_part_with_or_without_what_is_below(config: TenantConfig) -> None:
    assert ids(config, Query(department_id="top")) == ["a"]
    assert ids(config, Query(department_id="top", with_below=True)) == ["a", "b"]
    assert ids(config, Query(site_id="here", with_below=True)) == ["a", "b"]
    with pytest.raises(BadQuery):
        ids(config, Query(department_id="nowhere"))


@pytest.mark.feature("P-3")
def test_a_department_s_admin_sees_it_and_what_is_below(config: TenantConfig) -> None:
    assert ids(config, Query(), Bounds(department="top")) == ["a", "b"]
    assert ids(config, Query(), Bounds(department="under")) == ["b"]
    assert ids(config, Query(), Bounds(department=None)) == []
    assert ids(config, Query(), Bounds(rights_profile="unknown")) == []


def test_a_filter_and_an_order_together_go_through_all_pages() -> None:
    people = [{"id": f"u{number:02}", "last_name": "abc"[number % 3], "ring_seconds": 10 + number % 7} for number in range(60)]
    config = given({"tenant": {"id": "acme", "realm": "acme.example"}, "users": people})
    for filter_, order in (("last_name = a", "ring_seconds desc"), ("ring_seconds = 13", "last_name"), ("last_name != a", "")):
        query, kept, found, after = Query(filter=filter_, order_by=order), Kept(Orders(), Columns()), [], ""
        for skip in range(0, 60, 7):
            some, more = page(config, User, query, Reach.of(config, EVERYTHING), 7, after, skip, kept)
            found += [each.id for each in some]
            after = found[-1]
            if not more:
                break
        field, _, text = filter_.split()
        kept_ones = [each for each in people if (str(each[field]) == text) == ("!" not in filter_)]
        expected = sorted(kept_ones, key=lambda each: str(each["id"]))
        if order:
            expected.sort(key=lambda each: each[order.split()[0]], reverse="desc" in order)  # type: ignore[arg-type, return-value]
        assert found == [each["id"] for each in expected]


def test_a_department_admin_and_a_scope_find_users_as_looking_at_each_would(config: TenantConfig) -> None:
    for department in ("top", "under", "unknown", None):
        bounds = Bounds(department=department)
        reach = Reach.of(config, bounds)
        for order in ("", "last_name"):
            assert ids(config, Query(order_by=order), bounds) == [each.id for each in config.users.values() if reach.covers(each)]
    assert ids(config, Query(department_id="top", with_below=True), Bounds(department="under")) == ["b"]
    assert ids(config, Query(), Bounds(department="top", rights_profile="none")) == []


@pytest.mark.feature("D-8")
def test_users_and_groups_are_contacts_by_whatever_leads_to_them() -> None:
    company: dict[str, Any] = {
        "tenant": {"id": "acme", "realm": "acme.example", "display_name": "Acme SA"},
        "departments": [{"id": "top"}, {"id": "under", "parent_id": "top"}],
        "users": [
            {"id": "a", "last_name": "Dumas", "first_name": "Anne", "function": "CEO", "email": "a@acme.example", "department_id": "under"},
            {"id": "b", "last_name": "Favre", "mobile": "+41795550100"},
        ],
        "ring_groups": [{"id": "sales", "display_name": "Sales", "members": [{"user_id": "a"}], "department_id": "top"}],
        "numbers": [
            {"id": "+41215550102", "destination": {"user_id": "a"}},
            {"id": "+41215550101", "destination": {"user_id": "a"}},
            {"id": "+41215550110", "destination": {"ring_group_id": "sales"}},
        ],
        "extensions": [{"id": name, "destination": {"user_id": "a"}} for name in ("4101", "101")],
        "rights_profiles": [{"id": "none", "rights": [{"resource": "user", "level": "write"}]}],
    }
    config = with_internal_contacts(given(company))

    def found(query: Query, bounds: Bounds = EVERYTHING) -> list[str]:
        return [each.id for each in page(config, InternalContact, query, Reach.of(config, bounds), 10)[0]]

    anne, sales = (config.all(InternalContact)[name] for name in ("user/a", "ring_group/sales"))
    assert (anne.display_name, anne.company, anne.function, anne.phone) == ("Anne Dumas", "Acme SA", "CEO", "+41215550101")
    assert (anne.extensions, anne.email, sales.phone, sales.display_name) == (
        ("101", "4101"),
        "a@acme.example",
        "+41215550110",
        "Sales",
    )
    assert found(Query()) == ["ring_group/sales", "user/a", "user/b"]
    assert found(Query(department_id="top")) == ["ring_group/sales"]
    assert found(Query(department_id="top", with_below=True)) == ["ring_group/sales", "user/a"]
    assert found(Query(filter='display_name : "anne"')) == ["user/a"]
    assert found(Query(order_by="display_name desc")) == ["ring_group/sales", "user/b", "user/a"]
    assert found(Query(), Bounds(user="b")) == ["ring_group/sales", "user/a", "user/b"]
    assert found(Query(), Bounds(rights_profile="none")) == []


@pytest.mark.feature("D-8", "P-8")
async def test_contacts_of_a_version_that_an_erasure_rewrote_are_made_anew() -> None:
    def called(name: str) -> TenantConfig:
        return given({"tenant": {"id": "acme", "realm": "acme.example"}, "users": [{"id": "a", "last_name": name}]})

    known = [called("Quill")]

    class Directory:
        async def read(self, tenant: str, moment: object) -> TenantConfig:
            return known[-1]

    others: Any = None
    directory: Any = Directory()
    contacts = InternalContacts(directory, others, others, others, others)
    first = await contacts._listed("acme", None)
    assert await contacts._listed("acme", None) is first
    known.append(called("erased"))
    now = await contacts._listed("acme", None)
    assert [config.all(InternalContact)["user/a"].display_name for config in (first, now)] == ["Quill", "erased"]


@pytest.mark.feature("D-8")
def test_contacts_of_one_version_of_a_tenant_are_kept_and_of_so_many_tenants() -> None:
    def of(name: str) -> TenantConfig:
        return given({"tenant": {"id": name, "realm": f"{name}.example"}, "users": [{"id": "a", "last_name": "A"}]})

    made, acme, beta = Made(capacity=2), of("acme"), of("beta")
    kept = made.of(acme)
    made.of(beta)
    assert made.of(acme) is kept
    made.of(of("acme"))
    assert made.of(acme) is not kept, "another version has its place"
    kept = made.of(acme)
    for name in ("beta", "gamma"):
        made.of(of(name))
    assert made.of(acme) is not kept
