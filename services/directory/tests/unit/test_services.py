"""Services of users, and numbers of blocks."""

from typing import Any

import pytest

from carillon_contracts.config import NumberBlock
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.blocks import in_use
from carillon_directory.domain.commands import CreateResource, DeleteResource, UpdateResource
from carillon_directory.domain.decide import decide
from carillon_directory.domain.documents import put
from carillon_directory.domain.outcomes import Accepted, Held, Invalid
from carillon_directory.testing import after, given


@pytest.fixture
def config(whole: dict[str, Any]) -> TenantConfig:
    return given(whole)


def fields(decision: Any) -> list[str]:
    assert isinstance(decision, Invalid), decision
    return [each.field for each in decision.violations]


def make(kind: str, **document: Any) -> CreateResource:
    return CreateResource(actor="x", kind=kind, document=document, spare_password="made-for-this")


def switch(user: str, **services: bool) -> UpdateResource:
    return UpdateResource(actor="x", kind="user", resource_id=user, document={"services": {**services}}, paths=("services",))


@pytest.mark.feature("D-3")
def test_what_is_off_is_not_given(config: TenantConfig) -> None:
    config = after(config, switch("bob", fixed_line=False, messaging=False, fax=False, conference=False))
    assert fields(decide(config, make("sip_credential", id="acme-bob", user_id="bob"))) == ["sip_credential.user_id"]
    assert fields(decide(config, make("fax_box", id="bobs", user_id="bob"))) == ["fax_box.user_id"]
    room = make("conference_room", id="700", owner_user_id="bob")
    assert fields(decide(config, room)) == ["conference_room.owner_user_id"]
    boxed = UpdateResource(actor="x", kind="user", resource_id="bob", document={"mailbox_id": "box"}, paths=("mailbox_id",))
    assert fields(decide(config, boxed)) == ["user.mailbox_id"]
    back = after(config, switch("bob", fax=True))
    assert isinstance(decide(back, make("fax_box", id="bobs", user_id="bob")), Accepted)


@pytest.mark.feature("D-3")
def test_what_is_used_is_not_switched_off(config: TenantConfig) -> None:
    assert fields(decide(config, switch("ann", fixed_line=False, messaging=False))) == ["user.mailbox_id", "user.services.fixed_line"]


@pytest.mark.feature("D-6")
def test_a_block_knows_how_many_of_its_numbers_are_in_use(config: TenantConfig) -> None:
    block = config.get(NumberBlock, "block")
    assert block is not None
    assert (block.size, in_use(block, config.numbers)) == (10, 1)
    config = after(config, make("number", id="+41215550905"))
    config = after(config, make("number", id="+41215550909", destination={"user_id": "ann"}))
    config = after(config, make("number", id="+412155509055", destination={"user_id": "ann"}))
    assert in_use(block, config.numbers) == in_use(block, dict(config.numbers)) == 2


@pytest.mark.feature("D-3")
def test_who_has_no_mobile_has_no_mobile_number(config: TenantConfig) -> None:
    config = after(config, switch("bob", mobile=False))
    given_one = UpdateResource(actor="x", kind="user", resource_id="bob", document={"mobile": "+41795550901"}, paths=("mobile",))
    assert fields(decide(config, given_one)) == ["user.mobile"]


@pytest.mark.feature("D-3")
def test_a_user_changes_though_a_policy_outgrew_their_code(config: TenantConfig) -> None:
    def update(kind: str, name: str, **document: Any) -> UpdateResource:
        return UpdateResource(actor="x", kind=kind, resource_id=name, document=document, paths=tuple(document))

    config = after(config, update("user", "ann", account_code="77"))
    config = after(config, update("account_code_policy", "codes", codes=[{"code": "7777"}], min_length=4, max_length=4))
    assert after(config, update("user", "ann", first_name="Anne")).users["ann"].account_code == "77"
    assert fields(decide(config, update("user", "ann", account_code="78"))) == ["user.account_code"]
    assert after(config, update("user", "ann", account_code="7878")).users["ann"].account_code == "7878"


@pytest.mark.feature("D-3")
def test_a_user_changes_though_a_mobile_number_is_there_without_the_service(config: TenantConfig) -> None:
    bob = config.users["bob"]
    old = bob.model_copy(update={"mobile": "+41795550901", "services": bob.services.model_copy(update={"mobile": False})})
    config = put(config, [old], [])
    renamed = UpdateResource(actor="x", kind="user", resource_id="bob", document={"first_name": "Robert"}, paths=("first_name",))
    assert after(config, renamed).users["bob"].first_name == "Robert"
    other = UpdateResource(actor="x", kind="user", resource_id="bob", document={"mobile": "+41795550902"}, paths=("mobile",))
    assert fields(decide(config, other)) == ["user.mobile"]


@pytest.mark.feature("D-6")
def test_numbers_menus_and_extensions_lead_to_fax_boxes_that_there_are(config: TenantConfig) -> None:
    to_fax = {"fax_box_id": "orders"}
    menu = {"id": "faxes", "prompt": ({"text": "Hello"},), "keys": ({"key": "1", "destination": to_fax},)}
    made = (
        make("number", id="+41225550777", destination=to_fax),
        make("number", id="+41225550778", fax_destination=to_fax),
        make("menu", **menu),
        make("extension", id="7770", destination=to_fax),
    )
    assert [fields(decide(config, each)) for each in made] == [
        ["number.destination.fax_box_id"],
        ["number.fax_destination.fax_box_id"],
        ["menu.keys[0].destination.fax_box_id"],
        ["extension.destination.fax_box_id"],
    ]
    config = after(config, make("fax_box", id="orders"))
    for each in made:
        config = after(config, each)
    held = decide(config, DeleteResource(actor="x", kind="fax_box", resource_id="orders"))
    assert isinstance(held, Held)
    assert {holder.kind for holder in held.holders} == {"number", "menu", "extension"}
