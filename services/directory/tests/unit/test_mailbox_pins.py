"""A mailbox's PIN goes in, is hashed for its tenant and box, and comes out nowhere; its owner may change it."""

import json
from typing import Any

import pytest
from argon2 import PasswordHasher

from carillon.directory.v1 import mailbox_pb2
from carillon_contracts.config import TRUNK_PASSWORDS, Mailbox
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.proto_mapping import to_message
from carillon_directory.adapters.secrets_in import SecretsIn
from carillon_directory.domain.commands import CreateResource, UpdateResource
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Accepted
from carillon_directory.testing import after, given
from carillon_kit.errors import InvalidArgument
from carillon_kit.ids import SequenceIds
from carillon_kit.sealing import Sealer

pytestmark = pytest.mark.feature("V-5")
SECRETS = SecretsIn(Sealer(b"k" * 40, TRUNK_PASSWORDS), SequenceIds())
PIN = "314159"


def create(tenant: TenantConfig, document: dict[str, Any]) -> CreateResource:
    return CreateResource(actor="test", kind="mailbox", document=SECRETS.sealed(tenant.tenant_id, "mailbox", document))


def update(tenant: TenantConfig, paths: tuple[str, ...], document: dict[str, Any]) -> UpdateResource:
    command = UpdateResource(actor="test", kind="mailbox", resource_id="own", document=document, paths=paths)
    return SECRETS.sealed_update(tenant.tenant_id, command)


@pytest.fixture
def tenant(company: dict[str, Any]) -> TenantConfig:
    config = given(company)
    return after(config, create(config, {"id": "own", "pin": PIN, "always_ask_pin": True}))


def box(config: TenantConfig) -> Mailbox:
    return config.mailboxes["own"]


def test_a_pin_is_kept_as_a_hash_and_leaves_by_no_answer(tenant: TenantConfig) -> None:
    PasswordHasher().verify(box(tenant).pin_hash, PIN)
    assert PIN not in json.dumps(box(tenant).model_dump(mode="json"))
    assert box(tenant).pin_hash not in str(to_message(box(tenant).model_dump(mode="json"), mailbox_pb2.Mailbox))


def test_the_same_pin_again_changes_nothing_another_field_keeps_it_and_nothing_takes_it_away(tenant: TenantConfig) -> None:
    again = decide(tenant, update(tenant, ("pin",), {"pin": PIN}), frozenset())
    assert isinstance(again, Accepted)
    assert again.changes == ()
    named = after(tenant, update(tenant, ("display_name",), {"display_name": "Mine"}))
    assert box(named).pin_hash == box(tenant).pin_hash
    assert box(after(tenant, update(tenant, ("pin",), {}))).pin_hash == ""


@pytest.mark.parametrize("pin", ["123", "1234567890123", "12a4", "٣١٤١", 1234])
def test_a_pin_that_is_too_short_too_long_or_not_of_digits_is_refused_by_name(tenant: TenantConfig, pin: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"mailbox\.pin"):
        create(tenant, {"id": "other", "pin": pin})


def test_a_given_hash_is_not_taken(tenant: TenantConfig) -> None:
    assert "pin_hash" not in SECRETS.sealed(tenant.tenant_id, "mailbox", {"id": "other", "pin_hash": box(tenant).pin_hash})
