"""A conference room's PIN goes in, is hashed for its tenant and room, and comes out nowhere."""

import json
from typing import Any

import pytest
from argon2 import PasswordHasher

from carillon_contracts.config import TRUNK_PASSWORDS, ConferenceRoom
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.secrets_in import SecretsIn
from carillon_directory.domain.commands import CreateResource, UpdateResource
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Accepted
from carillon_directory.testing import after, given
from carillon_kit.errors import InvalidArgument
from carillon_kit.ids import SequenceIds
from carillon_kit.sealing import Sealer

pytestmark = pytest.mark.feature("M-9")
PASSWORDS = SecretsIn(Sealer(b"k" * 40, TRUNK_PASSWORDS), SequenceIds())


def create(tenant: TenantConfig, document: dict[str, Any]) -> CreateResource:
    return CreateResource(actor="test", kind="conference_room", document=PASSWORDS.sealed(tenant.tenant_id, "conference_room", document))


def update(tenant: TenantConfig, paths: tuple[str, ...], document: dict[str, Any]) -> UpdateResource:
    command = UpdateResource(actor="test", kind="conference_room", resource_id="board", document=document, paths=paths)
    return PASSWORDS.sealed_update(tenant.tenant_id, command)


@pytest.fixture
def tenant(company: dict[str, Any]) -> TenantConfig:
    config = given(company)
    return after(config, create(config, {"id": "board", "creator_pin": "314159", "participant_password": "2718"}))


def room(config: TenantConfig) -> ConferenceRoom:
    return config.conference_rooms["board"]


def test_a_pin_is_kept_as_a_hash_that_proves_it(tenant: TenantConfig) -> None:
    PasswordHasher().verify(room(tenant).creator_pin_hash, "314159")
    PasswordHasher().verify(room(tenant).participant_password_hash, "2718")
    assert "314159" not in json.dumps(room(tenant).model_dump(mode="json"))


def test_the_same_pin_again_changes_nothing_and_another_room_has_another_hash(tenant: TenantConfig) -> None:
    again = decide(tenant, update(tenant, ("creator_pin",), {"creator_pin": "314159"}), frozenset())
    assert isinstance(again, Accepted)
    assert again.changes == ()
    other = PASSWORDS.sealed(tenant.tenant_id, "conference_room", {"id": "other", "creator_pin": "314159"})
    assert other["creator_pin_hash"] != room(tenant).creator_pin_hash


def test_a_change_of_something_else_keeps_the_pin_and_an_empty_one_takes_it_away(tenant: TenantConfig) -> None:
    renamed = after(tenant, update(tenant, ("display_name",), {"display_name": "Board"}))
    assert room(renamed).creator_pin_hash == room(tenant).creator_pin_hash
    emptied = after(tenant, update(tenant, ("creator_pin",), {}))
    assert (room(emptied).creator_pin_hash, room(emptied).participant_password_hash) == ("", room(tenant).participant_password_hash)


@pytest.mark.parametrize("pin", ["123", "1234567890123", "12a4", "١٢٣٤"])
def test_what_is_no_pin_is_refused(tenant: TenantConfig, pin: str) -> None:
    with pytest.raises(InvalidArgument, match="creator_pin"):
        create(tenant, {"id": "other", "creator_pin": pin})


def test_nobody_sets_a_hash(tenant: TenantConfig) -> None:
    made = PASSWORDS.sealed(tenant.tenant_id, "conference_room", {"id": "other", "creator_pin_hash": room(tenant).creator_pin_hash})
    assert "creator_pin_hash" not in made
