"""A whole company in one step: every change, every error, twice the same."""

from typing import Any

import pytest

from carillon_contracts.config import RESOURCES
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.claims import Claim
from carillon_directory.domain.commands import Bounds
from carillon_directory.domain.decide import decide, wanted_claims
from carillon_directory.domain.outcomes import Accepted, Forbidden, Invalid, Missing
from carillon_directory.testing import SPARE_PASSWORD, after, company_command, given


def errors(decision: object) -> dict[str, str]:
    assert isinstance(decision, Invalid), decision
    return {each.field: each.reason for each in decision.violations}


@pytest.mark.feature("D-1")
def test_a_new_company_is_one_change_a_resource_the_tenant_first(company: dict[str, Any]) -> None:
    decision = decide(TenantConfig("acme"), company_command(company))
    assert isinstance(decision, Accepted)
    kinds = [change.resource for change in decision.changes]
    assert kinds == sorted(kinds, key=list(RESOURCES).index)
    assert kinds[0] == "tenant"
    assert len(kinds) == 13
    assert {change.action for change in decision.changes} == {"created"}
    assert [change.after["etag"] for change in decision.changes if change.after] == [str(seq) for seq in range(1, 14)]


@pytest.mark.feature("D-22")
def test_applied_twice_the_second_time_changes_nothing(company: dict[str, Any]) -> None:
    config = given(company)
    assert decide(config, company_command(company)) == Accepted()


def test_a_made_password_is_kept_by_the_second_time(company: dict[str, Any]) -> None:
    del company["sip_credentials"][0]["password"]
    first = decide(TenantConfig("acme"), company_command(company))
    assert isinstance(first, Accepted)
    assert first.passwords == {"acme-101": SPARE_PASSWORD}
    assert decide(given(company), company_command(company)) == Accepted()


def test_only_what_differs_changes(company: dict[str, Any]) -> None:
    config = given(company)
    company["users"][1]["first_name"] = "Bob"
    del company["users"][1]["forwarding"]
    decision = decide(config, company_command(company))
    assert isinstance(decision, Accepted)
    (change,) = decision.changes
    assert (change.resource_id, change.action) == ("bob", "updated")
    assert after(config, company_command(company)).users["bob"].forwarding.busy is None


def test_what_is_not_named_stays_unless_pruned(company: dict[str, Any]) -> None:
    config = given(company)
    company["extensions"] = company["extensions"][:1]
    company["menus"] = []
    assert decide(config, company_command(company)) == Accepted()
    decision = decide(config, company_command(company, prune=True))
    assert isinstance(decision, Accepted)
    assert [(change.resource, change.resource_id, change.action) for change in decision.changes] == [
        ("extension", "200", "deleted"),
        ("menu", "choice", "deleted"),
    ]


def test_a_pruned_resource_that_something_named_refers_to_is_an_error(company: dict[str, Any]) -> None:
    config = given(company)
    company["mailboxes"] = []
    found = errors(decide(config, company_command(company, prune=True)))
    assert found == {
        "users[0].mailbox_id": "no mailbox 'box'",
        "ring_groups[0].no_answer.mailbox_id": "no mailbox 'box'",
        "plans[0].nodes[2].mailbox.mailbox_id": "no mailbox 'box'",
    }


@pytest.mark.feature("P-1")
def test_every_error_is_listed_by_its_place(company: dict[str, Any]) -> None:
    company["tenant"]["main_number"] = "+41215550999"
    company["users"][0]["ring_seconds"] = 500
    company["users"].append({"id": "bob", "last_name": "Twin"})
    company["ring_groups"][0]["members"][0]["user_id"] = "nobody"
    company["extensions"][0]["id"] = "abc"
    company["plans"][0]["entry"] = "nowhere"
    command = company_command(company)
    found = errors(decide(TenantConfig("acme"), command, frozenset({Claim("number", "+41215550900")})))
    assert set(found) == {
        "tenant.main_number",
        "users[0].ring_seconds",
        "users[2].id",
        "ring_groups[0].members[0].user_id",
        "extensions[0].id",
        "plans[0].entry",
        "numbers[0].id",
    }


def test_who_refers_to_a_refused_resource_is_not_blamed(company: dict[str, Any]) -> None:
    company["users"][0]["last_name"] = ""
    assert set(errors(decide(TenantConfig("acme"), company_command(company)))) == {"users[0].last_name"}


def test_resources_may_refer_to_each_other_in_a_circle(company: dict[str, Any]) -> None:
    company["users"][0]["forwarding"] = {"no_answer": {"ring_group_id": "team"}}
    assert given(company).users["ann"].forwarding.no_answer is not None


@pytest.mark.feature("P-3")
def test_an_admin_changes_the_company_but_not_what_was_sold_to_it(company: dict[str, Any]) -> None:
    config = given(company)
    company["users"][0]["first_name"] = "Ann"
    allowed = decide(config, company_command(company, bounds=Bounds(inside=True)))
    assert isinstance(allowed, Accepted)
    company["tenant"]["display_name"] = "Mine"
    assert isinstance(decide(config, company_command(company, bounds=Bounds(inside=True))), Accepted)
    for sold in ({"realm": "other.example"}, {"reseller_id": "west"}, {"limits": {"max_calls": 9}}, {"subscription": {"users": 900}}):
        bought = {**company, "tenant": {**company["tenant"], **sold}}
        refused = decide(config, company_command(bought, bounds=Bounds(inside=True)))
        assert isinstance(refused, Forbidden | Invalid), sold
        assert "realm" in sold or isinstance(refused, Forbidden)
    assert isinstance(decide(TenantConfig("acme"), company_command(company, bounds=Bounds(inside=True))), Forbidden)


def test_without_tenant_there_is_none_to_apply_to(company: dict[str, Any]) -> None:
    command = company_command(company)
    without = type(command)(actor="tester", documents={**command.documents, "tenant": []})
    assert decide(TenantConfig("acme"), without) == Missing("tenant", "acme")
    assert isinstance(decide(given(company), without), Accepted)


def test_a_realm_with_credentials_stays(company: dict[str, Any]) -> None:
    config = given(company)
    company["tenant"]["realm"] = "new.example"
    assert set(errors(decide(config, company_command(company)))) == {"tenant.realm"}


def test_the_claims_of_a_company_are_its_realm_numbers_and_sip_names(company: dict[str, Any]) -> None:
    assert wanted_claims(company_command(company)) == {
        Claim("tenant", "acme.example"),
        Claim("number", "+41215550900"),
        Claim("sip_credential", "acme-101"),
    }
