"""Credentials, realms, trunks and numbers of all tenants."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.config import ConfigChanged, Contact, Tenant
from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_kit.auth import Principal
from carillon_kit.errors import ApiError, NotFound, PermissionDenied
from carillon_media.domain.accounts import Accounts
from carillon_media.grpc_node import check_reach


def config(tenant: str, *resources: tuple[str, dict[str, Any]], realm: str = "") -> TenantConfig:
    found = TenantConfig(tenant)
    everything = (("tenant", {"id": tenant, "realm": realm or f"{tenant}.example"}), *resources)
    for seq, (kind, after) in enumerate(everything, 1):
        found = evolve(found, seq, ConfigChanged(resource=kind, resource_id=after["id"], action="created", after=after, actor="t"))
    return found


def credential(sip_user: str, user: str) -> tuple[str, dict[str, Any]]:
    return "sip_credential", {"id": sip_user, "user_id": user, "realm": "dupont.example", "ha1_md5": "0" * 32}


DUPONT = config(
    "dupont",
    credential("anne", "anne"),
    credential("anne-soft", "anne"),
    ("user", {"id": "anne", "last_name": "Dumas", "first_name": "Anne"}),
    ("extension", {"id": "201", "destination": {"user_id": "anne"}}),
    ("extension", {"id": "101", "destination": {"user_id": "anne"}}),
    ("number", {"id": "+41215550100"}),
    ("trunk", {"id": "carrier", "address": "127.0.0.2"}),
    ("trunk", {"id": "named", "address": "sip.carrier.example:5070", "transport": "tcp"}),
)
MARTIN = config("martin", ("number", {"id": "+33155550100"}), ("trunk", {"id": "carrier", "address": "127.0.0.2:5062"}))


@pytest.fixture
def accounts() -> Accounts:
    found = Accounts()
    found.update(DUPONT)
    found.update(MARTIN)
    return found


def test_a_user_has_a_name_the_lowest_extension_and_several_devices(accounts: Accounts) -> None:
    assert accounts.name_of("dupont", "anne") == "Anne Dumas"
    assert accounts.extension_of("dupont", "anne") == "101"
    assert sorted(accounts.devices_of("dupont", "anne")) == ["anne", "anne-soft"]
    assert accounts.devices_of("martin", "anne") == ()


@pytest.mark.feature("D-2", "D-15")
def test_who_has_a_name_to_be_shown_is_called_by_it(accounts: Accounts) -> None:
    accounts.update(
        config("dupont", ("user", {"id": "anne", "last_name": "Dumas", "first_name": "Anne", "display_name": "A. Dumas, sales"}))
    )
    assert accounts.name_of("dupont", "anne") == "A. Dumas, sales"


@pytest.mark.feature("D-8")
@pytest.mark.parametrize(
    ("user", "number", "name"),
    [
        ("anne", "+41791234567", "Papa"),
        ("bob", "+41791234567", "Client of sales"),
        ("carl", "+41791234567", "Client SA"),
        ("bob", "0791234567", "Client of sales"),
        ("bob", "+41445550000", "Only of production"),
        ("anne", "+41765550000", ""),
        ("anne", "+41215550100", ""),
        ("anne", "101", ""),
        ("anne", "", ""),
    ],
)
def test_who_calls_has_the_name_that_the_nearest_contact_gives(user: str, number: str, name: str) -> None:
    accounts = Accounts()
    known = config(
        "dupont",
        ("department", {"id": "company", "display_name": "All"}),
        ("department", {"id": "sales", "display_name": "Sales", "parent_id": "company"}),
        ("department", {"id": "production", "display_name": "Production", "parent_id": "company"}),
        ("user", {"id": "anne", "last_name": "A", "department_id": "sales"}),
        ("user", {"id": "bob", "last_name": "B", "department_id": "sales"}),
        ("user", {"id": "carl", "last_name": "C"}),
        ("number", {"id": "+41215550100"}),
        ("contact", {"id": "1", "company": "Client of production", "phone": "+41791234567", "department_id": "production"}),
        ("contact", {"id": "2", "company": "Client SA", "phone": "+41791234567"}),
        ("contact", {"id": "3", "company": "Client of all", "phone": "+41791234567", "department_id": "company"}),
        ("contact", {"id": "4", "company": "Client of sales", "mobile": "+41791234567", "department_id": "sales"}),
        ("contact", {"id": "5", "last_name": "Papa", "mobile": "+41791234567", "owner_user_id": "anne"}),
        ("contact", {"id": "6", "company": "Only of production", "phone": "+41445550000", "department_id": "production"}),
        ("contact", {"id": "7", "company": "Ourselves", "phone": "+41215550100"}),
    )
    accounts.update(known)
    assert accounts.contact_name("dupont", user, number) == name
    assert accounts.contact_name("martin", user, number) == ""
    accounts.update(config("dupont"))
    assert accounts.contact_name("dupont", user, number) == ""


@pytest.mark.timeout(60)
def test_tens_of_thousands_with_one_number_hold_nobody_up() -> None:
    tenant = Tenant(id="dupont", realm="dupont.example", country="CH")
    contacts = {f"c{place}": Contact(id=f"c{place}", company=f"Client {place}", phone="+41791234567") for place in range(25_000)}
    accounts = Accounts()
    accounts.update(TenantConfig("dupont", 1, {"tenant": {"dupont": tenant}, "contact": contacts}))
    assert accounts.contact_name("dupont", "anne", "+41791234567") == "Client 0"
    accounts.update(TenantConfig("dupont", 2, {"tenant": {"dupont": tenant}, "contact": {"c7": contacts["c7"]}}))
    assert accounts.contact_name("dupont", "anne", "+41791234567") == "Client 7"


@pytest.mark.parametrize(
    ("host", "user", "realm"),
    [
        ("Martin.Example", "anne", "martin.example"),
        ("127.0.0.1", "anne", "dupont.example"),
        ("unknown.example", "anne", "dupont.example"),
    ],
)
def test_the_realm_of_a_challenge(accounts: Accounts, host: str, user: str, realm: str) -> None:
    assert accounts.realm_for(host, user) == realm


def test_an_unknown_user_gets_one_of_our_realms_always_the_same(accounts: Accounts) -> None:
    realms = {user: accounts.realm_for("127.0.0.1", user) for user in ("mallory", "eve", "trent", "oscar", "peggy")}
    assert set(realms.values()) == {"dupont.example", "martin.example"}
    assert all(accounts.realm_for("127.0.0.1", user) == realm for user, realm in realms.items())


def test_without_a_tenant_there_still_is_a_realm() -> None:
    assert Accounts().realm_for("127.0.0.1", "x") == "carillon"


@pytest.mark.parametrize("dialled", ["+41215550100", "41215550100", "0041215550100", "0215550100"])
def test_a_number_as_carriers_write_it(accounts: Accounts, dialled: str) -> None:
    assert accounts.owner_of(dialled, ["dupont", "martin"]) == ("dupont", "+41215550100")


@pytest.mark.parametrize("dialled", ["+41215550199", "0215550199", "", "0", "anne", "+33155550100"])
def test_a_number_that_the_trunks_tenant_does_not_own(accounts: Accounts, dialled: str) -> None:
    assert accounts.owner_of(dialled, ["dupont"]) is None


def test_trunks_by_host(accounts: Accounts) -> None:
    assert [(t.tenant, t.port) for t in accounts.trunks_of_host("127.0.0.2")] == [("dupont", 5060), ("martin", 5062)]
    named = accounts.trunk("dupont", "named")
    assert named is not None
    assert (named.host, named.port, named.transport) == ("sip.carrier.example", 5070, "tcp")


def test_what_is_deleted_is_gone_and_others_stay(accounts: Accounts) -> None:
    accounts.update(config("dupont", realm="new.example"))
    assert accounts.credential("anne") is None
    assert accounts.owner_of("+41215550100", ["dupont"]) is None
    assert [t.tenant for t in accounts.trunks_of_host("127.0.0.2")] == ["martin"]
    assert accounts.realm_for("dupont.example", "zoe") in ("new.example", "martin.example")
    assert accounts.owner_of("+33155550100", ["martin"]) is not None


def test_the_first_tenant_with_a_sip_user_keeps_it(accounts: Accounts) -> None:
    accounts.update(config("martin", credential("anne", "thief")))
    found = accounts.credential("anne")
    assert found is not None
    assert found.tenant == "dupont"


def test_a_sip_user_that_its_first_tenant_gives_up_is_the_others(accounts: Accounts) -> None:
    accounts.update(config("martin", credential("anne", "zoe")))
    accounts.update(config("dupont"))
    found = accounts.credential("anne")
    assert found is not None
    assert (found.tenant, found.user_id) == ("martin", "zoe")


KINDS: list[tuple[str, list[dict[str, Any]]]] = [
    ("sip_credential", [{"user_id": user, "ha1_md5": md5 * 32} for user in ("anne", "bob") for md5 in "01"]),
    ("extension", [{"destination": {"user_id": user}} for user in ("anne", "bob")]),
    ("number", [{}]),
    ("trunk", [{"address": address} for address in ("127.0.0.2", "127.0.0.3:5062")]),
    ("tenant", [{"realm": realm} for realm in ("old.example", "new.example")]),
]
IDS = {"sip_credential": ["a", "b"], "extension": ["101", "102"], "number": ["+41215550100"], "trunk": ["t"], "tenant": ["dupont"]}


@st.composite
def changes(draw: st.DrawFn) -> ConfigChanged:
    kind, values = draw(st.sampled_from(KINDS))
    name = draw(st.sampled_from(IDS[kind]))
    after = None if draw(st.booleans()) else {"id": name, **draw(st.sampled_from(values))}
    return ConfigChanged(resource=kind, resource_id=name, action="updated", after=after, actor="t")


def told(accounts: Accounts) -> list[object]:
    """Everything that can be asked of the tenant."""
    users = ("anne", "bob")
    return [
        accounts.tenants(),
        [accounts.credential(name) for name in IDS["sip_credential"]],
        [(accounts.extension_of("dupont", user), accounts.devices_of("dupont", user)) for user in users],
        accounts.owner_of("+41215550100", ["dupont"]),
        accounts.trunk_hosts(),
        accounts.trunk_destinations(),
        [accounts.realm_for(host, "anne") for host in ("old.example", "new.example", "elsewhere")],
    ]


@given(st.lists(changes(), max_size=30))
def test_change_by_change_is_as_all_at_once(history: list[ConfigChanged]) -> None:
    bit_by_bit, found = Accounts(), TenantConfig("dupont")
    for seq, change in enumerate(history, 1):
        found = evolve(found, seq, change)
        bit_by_bit.update(found)
        at_once = Accounts()
        at_once.update(found)
        assert told(bit_by_bit) == told(at_once)


def test_countries_are_those_of_all_tenants_and_sites(accounts: Accounts) -> None:
    assert accounts.countries == {"CH"}
    accounts.update(config("acme", ("site", {"id": "berlin", "country": "DE"}), ("site", {"id": "paris", "country": "FR"})))
    accounts.update(config("other", ("site", {"id": "bonn", "country": "DE"})))
    assert accounts.countries == {"CH", "DE", "FR"}
    accounts.update(config("acme", realm="new.example"))
    assert accounts.countries == {"CH", "DE"}
    accounts.update(config("other"))
    assert accounts.countries == {"CH"}
    for tenant in ("dupont", "martin", "acme", "other"):
        accounts.update(TenantConfig(tenant))
    assert accounts.countries == frozenset()


@pytest.mark.feature("D-18", "P-3")
def test_a_departments_admin_unlocks_lines_of_its_people_alone() -> None:
    company = config(
        "dupont",
        ("department", {"id": "trade"}),
        ("department", {"id": "shop", "parent_id": "trade"}),
        ("user", {"id": "head", "last_name": "H", "department_id": "trade", "role": "department_admin"}),
        ("user", {"id": "second", "last_name": "S", "department_id": "trade", "role": "department_admin"}),
        ("user", {"id": "clerk", "last_name": "C", "department_id": "shop", "role": "department_admin"}),
        ("user", {"id": "boss", "last_name": "B", "department_id": "trade", "role": "admin"}),
        ("user", {"id": "stranger", "last_name": "S"}),
    )

    def refusal(user_id: str, department: str = "trade", role: str = "department_admin") -> type[ApiError] | None:
        try:
            check_reach(company, company.users[user_id], Principal("user/head", "dupont", frozenset({role}), department))
        except ApiError as error:
            return type(error)
        return None

    assert [refusal(name) for name in ("head", "clerk", "second", "boss", "stranger")] == [
        None,
        None,
        PermissionDenied,
        PermissionDenied,
        NotFound,
    ]
    assert refusal("head", "") is NotFound
    assert refusal("boss", "", "admin") is None
