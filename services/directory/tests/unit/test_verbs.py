"""Values that may stand once, subscriptions, bounds, and the verbs that numbers, extensions, lines and the past have."""

from collections.abc import Sequence
from typing import Any

import pytest

from carillon_contracts.config import ConfigChanged, Number, NumberBlock, Supervision
from carillon_contracts.config.changes import RESET_LINE
from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_directory.domain.blocks import in_use, numbers_of
from carillon_directory.domain.bounds import Reach, shown
from carillon_directory.domain.commands import (
    EVERYTHING,
    ApplyCompany,
    AssignExtensions,
    AssignNumber,
    Batch,
    Bounds,
    CreateResource,
    DeleteResource,
    HotDesk,
    PutBack,
    ResetLine,
    UpdateResource,
)
from carillon_directory.domain.decide import decide
from carillon_directory.domain.documents import dump
from carillon_directory.domain.index import Index
from carillon_directory.domain.outcomes import Accepted, Conflict, Exceeded, Forbidden, Invalid, Missing
from carillon_directory.domain.past import comparing, restoring, undoing
from carillon_directory.testing import after, given


@pytest.fixture
def config(whole: dict[str, Any]) -> TenantConfig:
    return given(whole)


def create(kind: str, bounds: Bounds = EVERYTHING, **document: Any) -> CreateResource:
    return CreateResource(actor="x", kind=kind, document=document, bounds=bounds, spare_password="made-for-this")


@pytest.mark.feature("D-4", "D-5", "D-7")
@pytest.mark.parametrize(
    ("kind", "document", "field"),
    [
        ("extension", {"id": "500", "destination": {"user_id": "ann"}}, "extension.id"),
        ("short_code", {"id": "x", "code": "101", "number": "+41215550111"}, "short_code.code"),
        ("user", {"id": "x", "last_name": "X", "login": "ann.archer"}, "user.login"),
    ],
)
def test_what_may_stand_once_is_taken_by_one(config: TenantConfig, kind: str, document: dict[str, Any], field: str) -> None:
    refused = decide(config, create(kind, **document))
    assert isinstance(refused, Invalid)
    assert [each.field for each in refused.violations] == [field]


@pytest.mark.feature("D-2")
def test_a_login_is_made_of_the_name(config: TenantConfig) -> None:
    for name in ("e1", "e2"):
        config = after(config, create("user", id=name, first_name="Élise", last_name="Martin"))
    assert [config.users[name].login for name in ("e1", "e2")] == ["elise.martin", "elise.martin2"]


@pytest.mark.feature("C-11")
def test_more_than_was_bought_is_refused(whole: dict[str, Any]) -> None:
    whole["tenant"]["subscription"] = {"users": 2}
    refused = decide(given(whole), create("user", id="third", last_name="X"))
    assert isinstance(refused, Exceeded)
    assert refused.excesses == (("users", "2 were bought, this would make 3"),)


@pytest.mark.feature("D-5", "D-6")
def test_an_assigned_number_has_its_short_number_and_a_clash_is_told(config: TenantConfig) -> None:
    config = after(config, create("number", id="+41215550901"))
    assign = AssignNumber(actor="x", number_id="+41215550901", destination={"user_id": "bob"})
    made = after(config, assign)
    assert made.extensions["401"].destination.user_id == "bob"
    freed = after(made, AssignNumber(actor="x", number_id="+41215550901", destination=None))
    assert "401" not in freed.extensions
    assert freed.numbers["+41215550901"].destination is None
    clashing = decide(after(config, create("extension", id="401", destination={"user_id": "ann"})), assign)
    assert isinstance(clashing, Accepted)
    assert [subject for subject, _ in clashing.remarks] == ["extension/401"]
    assert [change.resource for change in clashing.changes] == ["number"]


@pytest.mark.feature("D-5")
def test_short_numbers_follow_whatever_changes_their_number(config: TenantConfig) -> None:
    def led(config: TenantConfig) -> dict[str, str | None]:
        return {each.id: each.destination.user_id for each in config.extensions.values() if each.number_id == "+41215550901"}

    def update(**document: Any) -> UpdateResource:
        return UpdateResource(actor="x", kind="number", resource_id="+41215550901", document=document, paths=tuple(document))

    made = after(config, create("number", id="+41215550901", destination={"user_id": "bob"}))
    assert led(made) == {"401": "bob"}
    assert led(after(made, update(destination={"user_id": "ann"}))) == {"401": "ann"}
    assert led(after(made, update(comment="the old one"))) == {"401": "bob"}
    assert not led(after(made, update(destination=None)))
    gone = after(made, DeleteResource(actor="x", kind="number", resource_id="+41215550901"))
    assert "401" not in gone.extensions
    clashing = decide(
        after(config, create("extension", id="401", destination={"user_id": "ann"})),
        create("number", id="+41215550901", destination={"user_id": "bob"}),
    )
    assert isinstance(clashing, Accepted)
    assert clashing.remarks == (("extension/401", "not made: 401 is taken by extension '401'"),)
    assert [change.resource for change in clashing.changes] == ["number"]


@pytest.mark.feature("D-5")
def test_of_a_batch_what_it_says_of_extensions_counts_and_two_numbers_do_not_share_digits(config: TenantConfig) -> None:
    numbers = [create("number", id=number, destination={"user_id": "bob"}) for number in ("+41215550901", "+41225550901")]
    first = decide(config, Batch(actor="x", items=tuple(numbers)))
    assert isinstance(first, Accepted)
    assert [(each.resource, each.resource_id) for each in first.changes][-1] == ("extension", "401")
    assert [subject for subject, _ in first.remarks] == ["extension/401"]
    own = create("extension", id="401", destination={"user_id": "ann"})
    second = decide(config, Batch(actor="x", items=(numbers[0], own)))
    assert isinstance(second, Accepted)
    assert second.after is not None
    assert (second.after.extensions["401"].destination.user_id, len(second.remarks)) == ("ann", 1)


@pytest.mark.feature("D-4")
def test_extensions_are_given_from_the_ranges(config: TenantConfig) -> None:
    made = after(config, AssignExtensions(actor="x", user_ids=("ann", "bob")))
    assert {digits: made.extensions[digits].destination.user_id for digits in ("300", "301")} == {"300": "ann", "301": "bob"}


@pytest.mark.feature("D-4", "D-16")
def test_nobody_is_given_an_emergency_number_as_extension(config: TenantConfig) -> None:
    made = after(config, AssignExtensions(actor="x", user_ids=("ann", "bob"), first="116"))
    assert made.extensions["116"].destination.user_id == "ann"
    assert made.extensions["119"].destination.user_id == "bob"


@pytest.mark.feature("D-4")
def test_a_range_is_given_by_hand_to_users_or_to_the_lines_of_devices(config: TenantConfig) -> None:
    two = [{"port": 2, "sip_credential_id": "acme-101"}, {"port": 1, "sip_credential_id": "bobs"}]
    config = after(config, create("sip_credential", id="bobs", user_id="bob", password="pass-word-2"))
    config = after(config, create("device", id="base", ports=2, lines=two))
    for asked in (
        AssignExtensions(actor="x", user_ids=("bob", "ann"), first="0180", exact=True),
        AssignExtensions(actor="x", device_ids=("base",), first="0180", exact=True),
        AssignExtensions(actor="x", device_ids=("base",), first="0180"),
    ):
        made = after(config, asked)
        assert {digits: made.extensions[digits].destination.user_id for digits in ("0180", "0181")} == {"0180": "bob", "0181": "ann"}
    taken = after(config, create("extension", id="0181", destination={"user_id": "ann"}))
    for wrong in (
        AssignExtensions(actor="x", user_ids=("bob", "ann"), first="0180", exact=True),
        AssignExtensions(actor="x", user_ids=("bob", "ann"), first="99", exact=True),
        AssignExtensions(actor="x", user_ids=("bob",), first="", exact=True),
        AssignExtensions(actor="x", user_ids=("bob",), first="117", exact=True),
        AssignExtensions(actor="x", user_ids=("bob",), first="1", exact=True),
        AssignExtensions(actor="x", user_ids=("bob",), first="1234567", exact=True),
        AssignExtensions(actor="x", user_ids=("bob",), first="1" * 5000, exact=True),
        AssignExtensions(actor="x", user_ids=("bob",), first="1" * 5000),
        AssignExtensions(actor="x", device_ids=("spare",), first="0190"),
    ):
        assert isinstance(decide(taken, wrong), Invalid)
    assert isinstance(decide(config, AssignExtensions(actor="x", device_ids=("none",))), Missing)


@pytest.mark.feature("D-6")
def test_the_numbers_of_a_block_are_free_or_used(config: TenantConfig) -> None:
    block = NumberBlock(id="b", first="+41215550098", last="+41215550102")
    kept = {
        "+41215550099": Number(id="+41215550099"),
        "+41215550100": Number.model_validate({"id": "+41215550100", "destination": {"user_id": "ann"}}),
        "+41215550102": Number.model_validate({"id": "+41215550102", "number_group_id": "service"}),
    }

    def ends(*asked: Any) -> list[tuple[str, bool]]:
        return [(digits[-3:], number is not None) for digits, number in numbers_of(block, kept, *asked)]

    assert ends(None) == [("098", False), ("099", True), ("100", True), ("101", False), ("102", True)]
    assert ends(False) == [("098", False), ("099", True), ("101", False)]
    assert ends(True) == [("100", True), ("102", True)]
    assert len(ends(True)) == in_use(block, kept)
    assert ends(None, "+41215550100") == [("101", False), ("102", True)]


@pytest.mark.feature("D-23")
def test_a_phone_is_the_guest_s_until_they_log_out(config: TenantConfig) -> None:
    here = after(config, HotDesk(actor="x", sip_credential_id="acme-101", user_id="bob"))
    credential = here.sip_credentials["acme-101"]
    assert (credential.user_id, credential.home_user_id) == ("bob", "ann")
    assert after(here, HotDesk(actor="x", sip_credential_id="acme-101")).sip_credentials["acme-101"].user_id == "ann"


@pytest.mark.feature("D-18")
def test_a_reset_line_has_new_passwords_and_nothing_personal(config: TenantConfig) -> None:
    config = after(config, create("contact", id="mine", last_name="X", owner_user_id="ann"))
    decision = decide(config, ResetLine(actor="x", user_id="ann", spare_passwords={"acme-101": "brand-new-one"}))
    assert isinstance(decision, Accepted)
    assert decision.passwords == {"acme-101": "brand-new-one"}
    for change in decision.changes:
        config = evolve(config, config.seq + 1, change)
    assert config.users["ann"].function_keys == ()
    assert config.users["ann"].restriction_profile_id == "inland"


@pytest.mark.feature("D-18", "D-23")
def test_a_guest_s_reset_leaves_the_phone_to_its_owner_with_its_password(config: TenantConfig) -> None:
    config = after(config, create("sip_credential", id="acme-102", user_id="bob"))
    here = after(config, HotDesk(actor="x", sip_credential_id="acme-101", user_id="bob"))
    reset = decide(here, ResetLine(actor="x", user_id="bob", spare_passwords={"acme-102": "brand-new-one"}))
    assert isinstance(reset, Accepted), reset
    assert reset.passwords == {"acme-102": "brand-new-one"}
    assert reset.after is not None
    was, now = config.sip_credentials["acme-101"], reset.after.sip_credentials["acme-101"]
    assert (now.user_id, now.home_user_id, now.ha1_sha256) == ("ann", "", was.ha1_sha256)
    assert reset.after.sip_credentials["acme-102"].ha1_sha256 != config.sip_credentials["acme-102"].ha1_sha256
    away = decide(here, ResetLine(actor="x", user_id="ann", spare_passwords={"acme-101": "brand-new-one"}))
    assert isinstance(away, Accepted)
    assert away.after is not None
    own = away.after.sip_credentials["acme-101"]
    assert (own.user_id, own.home_user_id, own.ha1_sha256 != was.ha1_sha256) == ("ann", "", True)


@pytest.mark.feature("D-18")
def test_a_reset_is_told_to_others_and_empties_a_mailbox_that_is_nobody_elses(config: TenantConfig) -> None:
    config = after(config, create("mailbox", id="anns", emails=["ann@acme.example"], greeting=[{"text": "Ann here."}]))
    for user in ("ann", "bob"):
        config = after(
            config, UpdateResource(actor="x", kind="user", resource_id=user, document={"mailbox_id": "anns"}, paths=("mailbox_id",))
        )
    reset = ResetLine(actor="x", user_id="ann", spare_passwords={"acme-101": "brand-new-one"}, spare_pins={"outbound_pin_hash": "new"})

    def told(config: TenantConfig) -> list[str]:
        decision = decide(config, reset)
        assert isinstance(decision, Accepted)
        return [change.resource for change in decision.changes if change.verb == RESET_LINE and change.resource != "sip_credential"]

    assert "mailbox" not in told(config)
    config = after(config, UpdateResource(actor="x", kind="user", resource_id="bob", document={}, paths=("mailbox_id",)))
    assert {"user", "mailbox"} <= set(told(config))
    config = after(config, reset)
    assert (config.mailboxes["anns"].greeting, config.mailboxes["anns"].emails) == ((), ())
    assert {"user", "mailbox"} <= set(told(config)), "also where nothing of it differs"


@pytest.mark.feature("D-18")
def test_who_leaves_groups_leaves_members_alone_and_no_group_empty(config: TenantConfig) -> None:
    leave = ResetLine(actor="x", user_id="ann", spare_passwords={"acme-101": "brand-new-one"}, leave_groups=True)
    config = after(config, create("ring_group", id="led-on", members=[{"user_id": "bob"}], no_answer={"user_id": "ann"}))
    left = after(config, leave)
    assert [each.user_id for each in left.ring_groups["team"].members if each.user_id] == []
    assert left.ring_groups["led-on"] == config.ring_groups["led-on"]
    config = after(config, create("agent", id="anns", user_id="ann"))
    config = after(config, create("agent", id="bobs", user_id="bob"))
    config = after(config, create("queue", id="help", members=[{"agent_id": "anns"}, {"agent_id": "bobs"}], no_agents={"user_id": "ann"}))
    supervised: dict[str, Any] = {"supervisor_user_ids": ["ann", "bob"], "user_ids": ["bob", "ann"], "modes": ["listen"]}
    config = after(config, create("supervision", id="heard", **supervised))
    left = after(config, leave)
    assert [each.agent_id for each in left.queues["help"].members] == ["bobs"]
    assert left.queues["help"].no_agents == config.queues["help"].no_agents
    heard = left.get(Supervision, "heard")
    assert heard is not None
    assert (heard.supervisor_user_ids, heard.user_ids) == (("bob",), ("bob",))
    refused = decide(after(config, create("ring_group", id="alone", members=[{"user_id": "ann"}])), leave)
    assert isinstance(refused, Invalid)
    assert [(each.field, each.reason) for each in refused.violations] == [("leave_groups", "ring_group 'alone' would have no members")]


def test_a_batch_is_all_or_nothing_in_any_order(config: TenantConfig) -> None:
    items = (create("extension", id="777", destination={"user_id": "new"}), create("user", id="new", last_name="N"))
    assert "777" in after(config, Batch(actor="x", items=items)).extensions
    assert isinstance(decide(config, Batch(actor="x", items=items[:1])), Invalid)


@pytest.mark.feature("D-22")
def test_undoing_and_restoring_are_changes_and_a_later_change_is_a_conflict(config: TenantConfig) -> None:
    rename = UpdateResource(actor="x", kind="user", resource_id="bob", document={"last_name": "Other"}, paths=("last_name",))
    decision = decide(config, rename)
    assert isinstance(decision, Accepted)
    renamed = after(config, rename)
    then, expected = undoing([(renamed.seq, decision.changes[0])])
    undone = after(renamed, PutBack(actor="x", then=then, expected=expected))
    assert undone.users["bob"].last_name == "Baker"
    assert undone.seq == renamed.seq + 1
    again = UpdateResource(actor="x", kind="user", resource_id="bob", document={"title": "Dr"}, paths=("title",))
    assert isinstance(decide(after(renamed, again), PutBack(actor="x", then=then, expected=expected)), Conflict)
    grown = after(renamed, create("site", id="new"))
    restored = after(grown, PutBack(actor="x", then=restoring(grown, config)))
    assert comparing(config, restored) == []
    assert [each[:2] for each in comparing(config, grown)] == [("site", "new"), ("user", "bob")]


@pytest.mark.feature("P-3")
def test_a_department_s_admin_changes_it_and_what_is_below_alone(config: TenantConfig) -> None:
    admin = Bounds(department="trade")
    inside = create("user", admin, id="new", last_name="N", department_id="trade")
    assert isinstance(decide(config, inside), Accepted)
    assert isinstance(decide(config, create("user", admin, id="new", last_name="N", department_id="company")), Forbidden)
    assert isinstance(decide(config, create("schedule", admin, id="new")), Forbidden)
    assert isinstance(decide(config, create("schedule", Bounds(rights_profile="reader"), id="new")), Forbidden)
    assert isinstance(decide(config, create("contact", Bounds(rights_profile="reader"), id="new", last_name="N")), Accepted)


@pytest.mark.feature("D-22", "P-8")
def test_a_department_s_admin_is_shown_no_change_of_what_is_no_resource(config: TenantConfig) -> None:
    def change(kind: str, action: Any, after: dict[str, Any] | None) -> ConfigChanged:
        return ConfigChanged(resource=kind, resource_id="x", action=action, after=after, actor="x")

    user = {"id": "x", "last_name": "X", "department_id": "trade"}
    reach = Reach.of(config, Bounds(department="trade"))
    assert shown(reach, change("user", "created", user))
    for kind, action, document in (("person", "erased", None), ("hologram", "created", user), ("user", "created", user | {"last_name": 7})):
        assert not shown(reach, change(kind, action, document))


@pytest.fixture
def ranked(config: TenantConfig) -> TenantConfig:
    """With a full admin, two admins of the department `trade` and one of what is below it, and a narrowed admin, each with a line."""
    config = after(config, create("department", id="shop", parent_id="trade"))
    all_rights = [{"resource": "*", "level": "write"}]
    config = after(config, create("rights_profile", id="all", rights=all_rights))
    roles = {"boss": ("admin", "trade"), "head": ("department_admin", "trade"), "second": ("department_admin", "trade")}
    for name, (role, department) in {**roles, "clerk": ("department_admin", "shop"), "plain": ("user", "trade")}.items():
        config = after(config, create("user", id=name, last_name=name, role=role, department_id=department))
        config = after(config, create("sip_credential", id=f"line-{name}", user_id=name))
    return after(config, create("user", id="narrowed", last_name="N", role="admin", rights_profile_id="all"))


HEAD, NARROWED = Bounds(department="trade"), Bounds(rights_profile="all")
RANKS = pytest.mark.parametrize(("actor", "bounds"), [("user/head", HEAD), ("user/narrowed", NARROWED)])


def changed(actor: str, bounds: Bounds, user_id: str, **fields: Any) -> UpdateResource:
    return UpdateResource(actor=actor, bounds=bounds, kind="user", resource_id=user_id, document=fields, paths=tuple(fields))


def refusal(config: TenantConfig, command: Any) -> str:
    """Why; empty if it is accepted."""
    decision = decide(config, command)
    assert isinstance(decision, Accepted | Forbidden)
    return decision.reason if isinstance(decision, Forbidden) else ""


@pytest.mark.feature("P-3", "D-2")
@RANKS
def test_whose_rights_are_narrowed_gives_none_and_takes_off_none(ranked: TenantConfig, actor: str, bounds: Bounds) -> None:
    own = actor.removeprefix("user/")
    for user_id in ("plain", own):
        for role in ("admin", "department_admin", "user"):
            expected = "" if ranked.users[user_id].role == role else f"user '{user_id}': role is not changed"
            assert refusal(ranked, changed(actor, bounds, user_id, role=role)).startswith(expected)
        other = "reader" if user_id == "plain" or own == "head" else ""
        assert "rights_profile_id is not changed" in refusal(ranked, changed(actor, bounds, user_id, rights_profile_id=other))
        assert refusal(ranked, changed(actor, bounds, user_id, title="Dr")) == ""
    new = {"id": "new", "last_name": "N", "department_id": "trade"}
    make = [CreateResource(actor=actor, bounds=bounds, kind="user", document=new | {"role": role}) for role in ("admin", "user")]
    assert "role is not changed" in refusal(ranked, make[0])
    assert refusal(ranked, make[1]) == ""
    assert "role is not changed" in refusal(
        ranked, Batch(actor=actor, bounds=bounds, items=(make[1], changed(actor, bounds, own, role="user")))
    )
    everything: dict[str, Any] = {"id": "all", "rights": [{"resource": "user", "level": "write"}]}
    profile = UpdateResource(actor=actor, bounds=bounds, kind="rights_profile", resource_id="all", document=everything, paths=("rights",))
    another = CreateResource(actor=actor, bounds=bounds, kind="rights_profile", document={"id": "mine", "rights": everything["rights"]})
    for command in (profile, another):
        assert "rights_profile" in refusal(ranked, command)


@pytest.mark.feature("P-3", "D-24")
def test_a_reseller_inside_changes_no_address_that_a_code_for_a_password_goes_to(ranked: TenantConfig) -> None:
    inside = Bounds(inside=True, visiting=True)
    ranked = after(ranked, changed("user/boss", EVERYTHING, "plain", email="plain@acme.example"))
    for user_id, email in (("boss", "me@west.example"), ("plain", "me@west.example"), ("plain", "")):
        command = changed("reseller/west/key", inside, user_id, email=email)
        for each in (command, Batch(actor=command.actor, bounds=inside, items=(command,))):
            assert "email is changed by the tenant's own people" in refusal(ranked, each)
    assert refusal(ranked, changed("reseller/west/key", inside, "plain", title="Dr", email="plain@acme.example")) == ""
    assert refusal(ranked, create("user", inside, id="new", last_name="N", email="new@acme.example")) == ""
    assert refusal(ranked, changed("user/boss", Bounds(inside=True), "plain", email="new@acme.example")) == ""


@pytest.mark.feature("P-3", "D-18")
@RANKS
def test_who_stands_above_is_not_changed_and_their_lines_are_not_had(ranked: TenantConfig, actor: str, bounds: Bounds) -> None:
    below = {"plain", actor.removeprefix("user/")} | ({"clerk"} if bounds is HEAD else set())
    for user_id in ("boss", "head", "second", "clerk", "plain"):
        line = f"line-{user_id}"
        asked: list[Any] = [
            changed(actor, bounds, user_id, email="x@acme.example"),
            ResetLine(actor=actor, bounds=bounds, user_id=user_id, spare_passwords={line: "brand-new-one"}),
            HotDesk(actor=actor, bounds=bounds, sip_credential_id="line-plain", user_id=user_id),
            CreateResource(
                actor=actor, bounds=bounds, kind="sip_credential", document={"id": "x", "user_id": user_id}, spare_password="made-for-this"
            ),
            CreateResource(
                actor=actor,
                bounds=bounds,
                kind="device",
                document={"id": "mine", "mac": "001565000009", "lines": [{"port": 1, "sip_credential_id": line}]},
            ),
        ]
        for command in asked:
            assert ("" if user_id in below else f"of user '{user_id}', whose role") in refusal(ranked, command)
            assert (refusal(ranked, command) == "") == (user_id in below)


@pytest.mark.feature("P-3", "D-2")
@RANKS
def test_calls_and_messages_of_who_stands_above_stay_theirs(ranked: TenantConfig, actor: str, bounds: Bounds) -> None:
    for user_id in ("boss", "plain"):
        box: dict[str, Any] = {"id": f"box-{user_id}", "department_id": "trade"}
        extension: dict[str, Any] = {"id": "180", "department_id": "trade"}
        config = after(ranked, create("mailbox", **box))
        config = after(config, changed("x", EVERYTHING, user_id, mailbox_id=box["id"]))
        config = after(config, create("extension", **extension, destination={"user_id": user_id}))
        copies = UpdateResource(
            actor=actor, bounds=bounds, kind="mailbox", resource_id=box["id"], document={"emails": ["me@acme.example"]}, paths=("emails",)
        )
        elsewhere = UpdateResource(
            actor=actor,
            bounds=bounds,
            kind="extension",
            resource_id="180",
            document={"destination": {"user_id": "plain"}},
            paths=("destination",),
        )
        gone = DeleteResource(actor=actor, bounds=bounds, kind="extension", resource_id="180")
        for command in (copies, elsewhere, gone):
            assert ("" if user_id == "plain" else "of user 'boss', whose role") in refusal(config, command)


@pytest.mark.feature("P-3", "D-2")
def test_a_department_s_admin_leads_nothing_out_of_the_department(ranked: TenantConfig) -> None:
    config = ranked
    others: Sequence[tuple[str, dict[str, Any]]] = (
        ("user", {"id": "stranger", "last_name": "S", "department_id": "company"}),
        ("sip_credential", {"id": "line-stranger", "user_id": "stranger"}),
        ("mailbox", {"id": "common"}),
        ("schedule", {"id": "always"}),
        ("schedule", {"id": "theirs", "department_id": "company"}),
        ("trunk", {"id": "dear", "address": "192.0.2.9:5060"}),
    )
    for kind, fields in others:
        config = after(config, create(kind, **fields))
    phone = {"id": "p", "department_id": "trade", "mac": "001565000009", "ports": 2}
    ports = [{"port": port, "sip_credential_id": f"line-{whose}"} for port, whose in ((1, "plain"), (2, "stranger"))]
    ring = {"id": "g", "department_id": "trade", "timeout_seconds": 20, "no_answer": {"user_id": "plain"}}
    menu = {"id": "m", "department_id": "trade", "prompt": [{"text": "1"}], "keys": [{"key": "1", "destination": {"user_id": "plain"}}]}
    outside: Sequence[tuple[str, dict[str, Any], str]] = (
        ("ring_group", ring | {"members": [{"user_id": "plain"}, {"user_id": "stranger"}]}, "ring_group.members[1].user_id"),
        ("extension", {"id": "180", "department_id": "trade", "destination": {"mailbox_id": "common"}}, "extension.destination.mailbox_id"),
        ("user", {"id": "new", "last_name": "N", "department_id": "trade", "trunk_ids": ["dear"]}, "user.trunk_ids[0]"),
        ("user", {"id": "new", "last_name": "N", "department_id": "trade", "mailbox_id": "common"}, "user.mailbox_id"),
        ("menu", menu | {"schedule_id": "theirs"}, "menu.schedule_id"),
        ("device", phone | {"lines": ports}, "device.lines[1].sip_credential_id"),
    )
    for kind, fields, field in outside:
        decision = decide(config, create(kind, HEAD, **fields))
        assert isinstance(decision, Invalid), (kind, fields)
        assert [each.field for each in decision.violations] == [field]
        assert decision.violations[0].reason.startswith("no ")
        assert isinstance(decide(config, create(kind, **fields)), Accepted)
    for kind, fields in (("ring_group", ring | {"members": [{"user_id": "plain"}]}), ("menu", menu | {"schedule_id": "always"})):
        assert isinstance(decide(config, create(kind, HEAD, **fields)), Accepted)
    # What somebody else led outside stays so while its department's admin changes the rest.
    config = after(config, create("ring_group", **outside[0][1]))
    longer = UpdateResource(
        actor="user/head", bounds=HEAD, kind="ring_group", resource_id="g", document={"timeout_seconds": 30}, paths=("timeout_seconds",)
    )
    assert isinstance(decide(config, longer), Accepted)


@pytest.mark.feature("P-3", "D-2")
def test_what_is_out_of_reach_is_not_shown_by_changing_nothing_of_it(ranked: TenantConfig) -> None:
    same = UpdateResource(actor="user/head", bounds=HEAD, kind="site", resource_id="geneva", document={}, paths=())
    site = after(ranked, create("site", id="geneva"))
    assert isinstance(decide(site, same), Forbidden)
    held = DeleteResource(actor="user/head", bounds=HEAD, kind="department", resource_id="company")
    assert isinstance(decide(ranked, held), Forbidden)


@pytest.mark.feature("P-3", "D-22")
@RANKS
def test_the_past_and_a_whole_company_give_no_rights_back(ranked: TenantConfig, actor: str, bounds: Bounds) -> None:
    lowered = after(ranked, changed("x", EVERYTHING, "second", role="user"))
    back = PutBack(actor=actor, bounds=bounds, then={("user", "second"): dump(ranked.users["second"])})
    assert "role is not changed" in refusal(lowered, back)
    gone = after(lowered, DeleteResource(actor="x", kind="sip_credential", resource_id="line-second"))
    gone = after(gone, DeleteResource(actor="x", kind="user", resource_id="second"))
    assert "role is not changed" in refusal(gone, back)
    raised = {"id": "plain", "last_name": "plain", "department_id": "trade", "role": "admin"}
    whole = ApplyCompany(actor=actor, bounds=bounds, documents={"user": [raised]})
    assert "role is not changed" in refusal(ranked, whole)


def test_an_index_kept_up_to_date_is_the_one_made_anew(config: TenantConfig) -> None:
    changed = after(config, AssignExtensions(actor="x", user_ids=("ann",)))
    kept = Index.of(config).changed([(None, changed.extensions["300"])])
    fresh = Index.of(changed)
    assert (dict(kept.edges), dict(kept.taken)) == (dict(fresh.edges), dict(fresh.taken))
