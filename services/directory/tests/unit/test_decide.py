"""Given a tenant, when a command comes, then these changes or this refusal."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest

from carillon_contracts.config import RESOURCES, Resource, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import documents
from carillon_directory.domain.claims import Claim
from carillon_directory.domain.commands import CreateResource, DeleteResource, UpdateResource
from carillon_directory.domain.decide import decide, wanted_claims
from carillon_directory.domain.documents import Secret
from carillon_directory.domain.outcomes import Accepted, Exists, Held, Holder, Invalid, Missing, Stale, Violation
from carillon_directory.testing import after, given


def create(kind: str, document: dict[str, Any], spare: str = "spare-password") -> CreateResource:
    return CreateResource(actor="tester", reason="because", kind=kind, document=document, spare_password=spare)


def update(kind: str, resource_id: str, document: dict[str, Any], *paths: str, etag: str = "") -> UpdateResource:
    return UpdateResource(
        actor="tester",
        kind=kind,
        resource_id=resource_id,
        document=document,
        paths=paths or tuple(document),
        etag=etag,
        spare_password="spare-password",
    )


def delete(kind: str, resource_id: str, etag: str = "") -> DeleteResource:
    return DeleteResource(actor="tester", kind=kind, resource_id=resource_id, etag=etag)


def violations(decision: object) -> list[tuple[str, str]]:
    assert isinstance(decision, Invalid), decision
    return [(each.field, each.reason) for each in decision.violations]


@pytest.mark.feature("D-22")
def test_a_created_resource_is_one_change_with_the_whole_fact(company: dict[str, Any]) -> None:
    config = given(company)
    decision = decide(config, create("user", {"id": "cleo", "last_name": "Carter"}))
    assert isinstance(decision, Accepted)
    (change,) = decision.changes
    assert (change.resource, change.resource_id, change.action, change.actor, change.reason) == (
        "user",
        "cleo",
        "created",
        "tester",
        "because",
    )
    assert change.before is None
    assert change.after is not None
    assert change.after["last_name"] == "Carter"
    assert change.after["ring_seconds"] == 20
    assert change.after["etag"] == str(config.seq + 1)


@pytest.mark.feature("D-22")
def test_an_update_says_before_and_after(company: dict[str, Any]) -> None:
    config = given(company)
    decision = decide(config, update("user", "ann", {"first_name": "Ann"}))
    assert isinstance(decision, Accepted)
    (change,) = decision.changes
    assert change.before is not None
    assert change.after is not None
    assert (change.before["first_name"], change.after["first_name"]) == ("", "Ann")
    assert change.before["last_name"] == change.after["last_name"] == "Archer"


def test_an_update_that_changes_nothing_is_no_change(company: dict[str, Any]) -> None:
    assert decide(given(company), update("user", "ann", {"last_name": "Archer"})) == Accepted()


def test_a_path_without_a_value_goes_back_to_its_default(company: dict[str, Any]) -> None:
    config = after(given(company), update("user", "bob", {}, "forwarding.busy"))
    assert config.users["bob"].forwarding.busy is None
    config = after(config, update("user", "bob", {"ring_seconds": 45}))
    config = after(config, update("user", "bob", {}, "ring_seconds"))
    assert config.users["bob"].ring_seconds == 20


def test_a_nested_path_leaves_its_neighbours(company: dict[str, Any]) -> None:
    document = {"forwarding": {"no_answer": {"mailbox_id": "box"}}}
    config = after(given(company), update("user", "bob", document, "forwarding.no_answer"))
    forwarding = config.users["bob"].forwarding
    assert forwarding.busy is not None
    assert forwarding.busy.ring_group_id == "team"
    assert forwarding.no_answer is not None
    assert forwarding.no_answer.mailbox_id == "box"


@pytest.mark.feature("P-1")
def test_a_stale_etag_is_refused_and_the_current_one_is_not(company: dict[str, Any]) -> None:
    config = given(company)
    etag = config.users["ann"].etag
    config = after(config, update("user", "ann", {"first_name": "Ann"}, etag=etag))
    current = config.users["ann"].etag
    assert current != etag
    assert decide(config, update("user", "ann", {"first_name": "Anna"}, etag=etag)) == Stale("user", "ann", current)
    assert decide(config, delete("extension", "200", etag="0")) == Stale("extension", "200", config.extensions["200"].etag)
    assert isinstance(decide(config, update("user", "ann", {"first_name": "Anna"}, etag=current)), Accepted)


def test_what_is_not_there_is_missing_and_what_is_there_exists(company: dict[str, Any]) -> None:
    config = given(company)
    assert decide(config, update("user", "nobody", {"last_name": "X"})) == Missing("user", "nobody")
    assert decide(config, delete("user", "nobody")) == Missing("user", "nobody")
    assert decide(config, create("user", {"id": "ann", "last_name": "X"})) == Exists("user", "ann")
    assert decide(TenantConfig("ghost"), create("user", {"id": "ann", "last_name": "X"})) == Missing("tenant", "ghost")


@pytest.mark.feature("P-1")
@pytest.mark.parametrize(
    ("kind", "document", "field"),
    [
        ("user", {"id": "cleo"}, "user.last_name"),
        ("user", {"id": "Cleo", "last_name": "C"}, "user.id"),
        ("user", {"id": "cleo", "last_name": "C", "ring_seconds": 5}, "user.ring_seconds"),
        ("user", {"id": "cleo", "last_name": "C", "email": "a@b\r\nBcc: x@y"}, "user.email"),
        ("user", {"id": "cleo", "last_name": "C", "colour": "red"}, "user.colour"),
        ("user", {"id": "cleo", "last_name": "C\r\nTo: x"}, "user.last_name"),
        ("mailbox", {"id": "m", "display_name": "nul\x00"}, "mailbox.display_name"),
        ("mailbox", {"id": "m", "display_name": "x" * 2001}, "mailbox.display_name"),
        ("mailbox", {"id": "m", "greeting": [{"text": "one\ntwo"}, {"text": "bell\a"}]}, "mailbox.greeting[1].text"),
        ("mailbox", {"id": "m", "greeting": [{"text": "x" * 2000}] * 140}, "mailbox"),
        (
            "schedule",
            {"id": "s", "ranges": [], "exceptions": [{"date": f"{year}-12-25", "label": "x" * 2000} for year in range(2026, 2166)]},
            "schedule",
        ),
        ("extension", {"id": "1", "destination": {"hang_up": "normal"}}, "extension.id"),
        ("extension", {"id": "102", "destination": {}}, "extension.destination"),
        ("number", {"id": "0215550900"}, "number.id"),
        ("schedule", {"id": "s", "ranges": [{"weekdays": [1], "start": "18:00", "end": "09:00"}]}, "schedule.ranges[0]"),
        ("schedule", {"id": "s", "exceptions": [{"date": "2026-12-25"}, {"date": "2026-12-25"}]}, "schedule.exceptions[1].date"),
        ("ring_group", {"id": "g", "members": []}, "ring_group.members"),
        ("ring_group", {"id": "g", "members": [{"user_id": "ann", "ring_seconds": 3}]}, "ring_group.members[0]"),
        ("menu", {"id": "m", "prompt": [{"text": "x"}], "keys": []}, "menu"),
        ("trunk", {"id": "t", "address": "host:port"}, "trunk.address"),
        ("mailbox", {"id": "m", "emails": ["a@b", "nobody"]}, "mailbox.emails[1]"),
        ("sip_credential", {"id": "acme-9", "user_id": "ann", "password": "short"}, "sip_credential.password"),
        ("sip_credential", {"id": "acme-9", "user_id": "ann", "password": "with:a:colon"}, "sip_credential.password"),
    ],
)
def test_wrong_input_is_refused_with_field_and_reason(company: dict[str, Any], kind: str, document: dict[str, Any], field: str) -> None:
    found = violations(decide(given(company), create(kind, document)))
    assert [name for name, _ in found] == [field]
    assert all(reason for _, reason in found)


USER = {"id": "cleo", "last_name": "Carter"}
TALK = [{"text": "x"}]


@pytest.mark.feature("P-1")
@pytest.mark.parametrize(
    ("kind", "document", "field", "reason"),
    [
        ("user", USER | {"mailbox_id": "no"}, "user.mailbox_id", "no mailbox 'no'"),
        ("user", USER | {"caller_number": "+41215550999"}, "user.caller_number", "+41215550999 is not a number of this tenant"),
        ("user", USER | {"forwarding": {"busy": {"plan_id": "no"}}}, "user.forwarding.busy.plan_id", "no plan 'no'"),
        ("user", USER | {"forwarding": {"no_answer": {"user_id": "no"}}}, "user.forwarding.no_answer.user_id", "no user 'no'"),
        ("user", USER | {"forwarding": {"unreachable": {"menu_id": "no"}}}, "user.forwarding.unreachable.menu_id", "no menu 'no'"),
        (
            "user",
            USER | {"forwarding": {"busy": {"user_id": "cleo"}}},
            "user.forwarding.busy.user_id",
            "a user's calls cannot be forwarded to the same user",
        ),
        ("sip_credential", {"id": "acme-9", "user_id": "no"}, "sip_credential.user_id", "no user 'no'"),
        ("extension", {"id": "300", "destination": {"ring_group_id": "no"}}, "extension.destination.ring_group_id", "no ring_group 'no'"),
        ("number", {"id": "+41215550901", "destination": {"mailbox_id": "no"}}, "number.destination.mailbox_id", "no mailbox 'no'"),
        (
            "ring_group",
            {"id": "g", "members": [{"user_id": "ann"}, {"external_number": "+41795550909"}, {"user_id": "no"}]},
            "ring_group.members[2].user_id",
            "no user 'no'",
        ),
        (
            "ring_group",
            {"id": "g", "members": [{"user_id": "ann"}], "no_answer": {"user_id": "no"}},
            "ring_group.no_answer.user_id",
            "no user 'no'",
        ),
        (
            "menu",
            {"id": "m", "prompt": TALK, "keys": [{"key": "1", "destination": {"menu_id": "no"}}]},
            "menu.keys[0].destination.menu_id",
            "no menu 'no'",
        ),
        (
            "menu",
            {"id": "m", "prompt": TALK, "extension_dialling": True, "no_choice": {"plan_id": "no"}},
            "menu.no_choice.plan_id",
            "no plan 'no'",
        ),
        (
            "plan",
            {"id": "p", "entry": "a", "nodes": [{"id": "a", "destination": {"destination": {"user_id": "no"}}}]},
            "plan.nodes[0].destination.destination.user_id",
            "no user 'no'",
        ),
        (
            "plan",
            {"id": "p", "entry": "a", "nodes": [{"id": "a", "ring_group": {"ring_group_id": "no"}}]},
            "plan.nodes[0].ring_group.ring_group_id",
            "no ring_group 'no'",
        ),
        (
            "plan",
            {"id": "p", "entry": "a", "nodes": [{"id": "a", "menu": {"menu_id": "no"}}]},
            "plan.nodes[0].menu.menu_id",
            "no menu 'no'",
        ),
        (
            "plan",
            {"id": "p", "entry": "a", "nodes": [{"id": "a", "mailbox": {"mailbox_id": "no"}}]},
            "plan.nodes[0].mailbox.mailbox_id",
            "no mailbox 'no'",
        ),
        (
            "plan",
            {
                "id": "p",
                "entry": "a",
                "nodes": [
                    {"id": "a", "calendar": {"entries": [{"schedule_id": "no", "next": "b"}], "otherwise": "b"}},
                    {"id": "b", "hang_up": {}},
                ],
            },
            "plan.nodes[0].calendar.entries[0].schedule_id",
            "no schedule 'no'",
        ),
    ],
)
def test_a_dangling_reference_is_refused_by_its_path(
    company: dict[str, Any], kind: str, document: dict[str, Any], field: str, reason: str
) -> None:
    assert violations(decide(given(company), create(kind, document))) == [(field, reason)]


@pytest.mark.feature("R-12")
def test_who_was_given_the_extension_that_their_calls_are_forwarded_to_can_change_something_else(company: dict[str, Any]) -> None:
    config = after(given(company), create("extension", {"id": "299", "destination": {"menu_id": "choice"}}))
    config = after(config, update("user", "ann", {"forwarding": {"busy": {"extension_id": "299"}}}, "forwarding.busy"))
    config = after(config, update("extension", "299", {"destination": {"user_id": "ann"}}, "destination"))
    assert isinstance(decide(config, update("user", "ann", {"do_not_disturb": True})), Accepted)
    field = "user.forwarding.no_answer.extension_id"
    again = update("user", "ann", {"forwarding": {"no_answer": {"extension_id": "299"}}}, "forwarding.no_answer")
    assert field in [name for name, _ in violations(decide(config, again))]


@pytest.mark.feature("R-25")
@pytest.mark.parametrize("at", ["0001-01-01T00:00", "9999-12-31T23:59", "2026-13-01T10:00"])
def test_a_test_of_a_plan_is_at_a_moment_of_every_time_zone(company: dict[str, Any], at: str) -> None:
    test = {"id": "t", "plan_id": "main", "dialled": "+41215550900", "at": at, "reaches": {"user_id": "ann"}}
    reason = f"{at} is not a moment of the years 2 to 9998"
    assert violations(decide(given(company), create("plan_test", test))) == [("plan_test.at", reason)]
    assert isinstance(decide(given(company), create("plan_test", test | {"at": "2026-03-02T10:00"})), Accepted)


def test_the_main_number_is_one_of_the_tenants(company: dict[str, Any]) -> None:
    decision = decide(given(company), update("tenant", "acme", {"main_number": "+41215550999"}))
    assert violations(decision) == [("tenant.main_number", "+41215550999 is not a number of this tenant")]


@pytest.mark.feature("R-12")
@pytest.mark.parametrize("rule", ["unconditional", "busy", "no_answer", "unreachable"])
@pytest.mark.parametrize("own", [{"user_id": "ann"}, {"extension_id": "101"}, {"external_number": "+41215550901"}])
def test_nobody_s_calls_are_forwarded_to_themselves_by_any_name(company: dict[str, Any], rule: str, own: dict[str, str]) -> None:
    company["numbers"].append({"id": "+41215550901", "destination": {"user_id": "ann"}})
    document: dict[str, Any] = {"forwarding": {rule: own}}
    decision = decide(given(company), UpdateResource(actor="t", kind="user", resource_id="ann", document=document, paths=("forwarding",)))
    assert isinstance(decision, Invalid)
    assert [each.field for each in decision.violations] == [f"user.forwarding.{rule}.{next(iter(own))}"]


@pytest.mark.feature("P-1")
@pytest.mark.parametrize(
    ("kind", "resource_id", "holders"),
    [
        (
            "user",
            "ann",
            {
                Holder("sip_credential", "acme-101", "user_id"),
                Holder("ring_group", "team", "members[0].user_id"),
                Holder("menu", "choice", "keys[0].destination.user_id"),
                Holder("extension", "101", "destination.user_id"),
            },
        ),
        (
            "mailbox",
            "box",
            {
                Holder("user", "ann", "mailbox_id"),
                Holder("ring_group", "team", "no_answer.mailbox_id"),
                Holder("plan", "main", "nodes[2].mailbox.mailbox_id"),
            },
        ),
        (
            "ring_group",
            "team",
            {Holder("user", "bob", "forwarding.busy.ring_group_id"), Holder("plan", "main", "nodes[1].ring_group.ring_group_id")},
        ),
        ("schedule", "day", {Holder("plan", "main", "nodes[0].calendar.entries[0].schedule_id")}),
        ("menu", "choice", {Holder("extension", "200", "destination.menu_id")}),
        ("plan", "main", {Holder("number", "+41215550900", "destination.plan_id")}),
        ("number", "+41215550900", {Holder("tenant", "acme", "main_number"), Holder("user", "ann", "caller_number")}),
    ],
)
def test_a_deletion_that_would_leave_a_dangling_reference_names_each_holder(
    company: dict[str, Any], kind: str, resource_id: str, holders: set[Holder]
) -> None:
    decision = decide(given(company), delete(kind, resource_id))
    assert isinstance(decision, Held)
    assert set(decision.holders) == holders


@pytest.mark.parametrize(
    ("kind", "resource_id"), [("trunk", "carrier"), ("extension", "101"), ("sip_credential", "acme-101"), ("user", "bob")]
)
def test_what_nothing_refers_to_can_go(company: dict[str, Any], kind: str, resource_id: str) -> None:
    config = given(company)
    gone = after(config, delete(kind, resource_id))
    assert resource_id not in gone.resources[kind]
    assert gone.seq == config.seq + 1


@pytest.mark.feature("D-19")
def test_only_hashes_of_a_password_are_kept(company: dict[str, Any]) -> None:
    credential = given(company).sip_credentials["acme-101"]
    secret = b"acme-101:acme.example:correct-horse"
    assert credential.realm == "acme.example"
    assert credential.ha1_md5 == hashlib.md5(secret, usedforsecurity=False).hexdigest()
    assert credential.ha1_sha256 == hashlib.sha256(secret).hexdigest()
    assert "correct-horse" not in credential.model_dump_json()


def test_a_credential_without_password_gets_the_spare_one_and_says_so(company: dict[str, Any]) -> None:
    decision = decide(given(company), create("sip_credential", {"id": "acme-9", "user_id": "bob"}))
    assert isinstance(decision, Accepted)
    assert decision.passwords == {"acme-9": "spare-password"}
    assert "spare-password" not in str(decision.changes)


def test_an_update_keeps_the_hashes_unless_the_password_is_named(company: dict[str, Any]) -> None:
    config = given(company)
    moved = after(config, update("sip_credential", "acme-101", {"user_id": "bob"}))
    assert moved.sip_credentials["acme-101"].ha1_md5 == config.sip_credentials["acme-101"].ha1_md5
    decision = decide(config, update("sip_credential", "acme-101", {}, "password"))
    assert isinstance(decision, Accepted)
    assert decision.passwords == {"acme-101": "spare-password"}
    renewed = after(config, update("sip_credential", "acme-101", {"password": "another-horse"}))
    assert renewed.sip_credentials["acme-101"].ha1_sha256 == hashlib.sha256(b"acme-101:acme.example:another-horse").hexdigest()


def test_a_realm_stays_while_credentials_are_hashed_for_it(company: dict[str, Any]) -> None:
    config = given(company)
    decision = decide(config, update("tenant", "acme", {"realm": "new.example"}))
    assert decision == Held("tenant", "acme", (Holder("sip_credential", "acme-101", "realm"),))
    free = after(config, delete("sip_credential", "acme-101"))
    assert after(free, update("tenant", "acme", {"realm": "new.example"})).all(Tenant)["acme"].realm == "new.example"


@pytest.mark.feature("D-6")
@pytest.mark.parametrize(
    ("kind", "document", "claim", "field"),
    [
        ("number", {"id": "+41215550901"}, Claim("number", "+41215550901"), "number.id"),
        ("sip_credential", {"id": "taken", "user_id": "ann"}, Claim("sip_credential", "taken"), "sip_credential.id"),
    ],
)
def test_what_another_tenant_holds_is_refused(
    company: dict[str, Any], kind: str, document: dict[str, Any], claim: Claim, field: str
) -> None:
    command = create(kind, document)
    assert wanted_claims(command) == {claim}
    decision = decide(given(company), command, frozenset({claim}))
    assert decision == Invalid((Violation(field, f"{claim.value} is in use already in this installation"),))


def test_a_realm_that_another_tenant_holds_is_refused() -> None:
    command = create("tenant", {"id": "acme", "realm": "acme.example"})
    claim = Claim("tenant", "acme.example")
    assert wanted_claims(command) == {claim}
    assert [field for field, _ in violations(decide(TenantConfig("acme"), command, frozenset({claim})))] == ["tenant.realm"]


def test_a_reason_is_a_line_of_text(company: dict[str, Any]) -> None:
    command = DeleteResource(actor="tester", reason="nul\x00", kind="trunk", resource_id="carrier")
    assert [field for field, _ in violations(decide(given(company), command))] == ["reason"]


def _texts(model: type[Resource]) -> Iterator[tuple[str, bool]]:
    """Fields that hold a text, or (True) several."""
    for name, field in model.model_fields.items():
        several = get_origin(field.annotation) is tuple
        if name != "etag" and _is_text(field.annotation):
            yield name, several


def _is_text(annotation: object) -> bool:
    return annotation is str or any(map(_is_text, get_args(annotation)))


@pytest.mark.feature("P-1")
@pytest.mark.parametrize("kind", RESOURCES)
@pytest.mark.parametrize("text", ["x" * 100_000, "a\0b", "a\r\nVia: SIP/2.0/UDP x\x1b[31m"], ids=["huge", "NUL", "controls"])
def test_no_text_of_any_kind_is_huge_or_holds_controls(kind: str, text: str) -> None:
    for name, several in _texts(RESOURCES[kind]):
        parsed = documents.parse(kind, {"id": "x", name: [text] if several else text}, None, Secret("", ""))
        assert any(re.match(rf"{name}\b", each.field) for each in parsed.violations), name
