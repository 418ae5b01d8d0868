"""A carrier's password goes in, is sealed for its tenant and credential, and comes out nowhere."""

import json
from typing import Any

import pytest

from carillon_contracts.config import TRUNK_PASSWORDS, TrunkCredential
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.secrets_in import SecretsIn
from carillon_directory.domain.commands import CreateResource, DeleteResource, UpdateResource
from carillon_directory.domain.decide import decide
from carillon_directory.domain.documents import differing
from carillon_directory.domain.outcomes import Accepted, Held, Invalid, Violation
from carillon_directory.testing import after, given
from carillon_kit.errors import InvalidArgument
from carillon_kit.ids import SequenceIds
from carillon_kit.sealing import Sealer

pytestmark = pytest.mark.feature("M-2")
SEALER = Sealer(b"k" * 40, TRUNK_PASSWORDS)
PASSWORDS = SecretsIn(SEALER, SequenceIds())
ACCOUNT = {"id": "account", "username": "acme", "realm": "carrier.example"}


def create(tenant: TenantConfig, document: dict[str, Any]) -> CreateResource:
    return CreateResource(actor="test", kind="trunk_credential", document=PASSWORDS.sealed(tenant.tenant_id, "trunk_credential", document))


def update(tenant: TenantConfig, paths: tuple[str, ...], document: dict[str, Any]) -> UpdateResource:
    command = UpdateResource(actor="test", kind="trunk_credential", resource_id="account", document=document, paths=paths)
    return PASSWORDS.sealed_update(tenant.tenant_id, command)


@pytest.fixture
def tenant(company: dict[str, Any]) -> TenantConfig:
    config = given(company)
    return after(config, create(config, ACCOUNT | {"password": "hush: é"}))


def test_a_password_is_kept_sealed_and_opens_for_whoever_has_the_key(tenant: TenantConfig) -> None:
    kept = tenant.trunk_credentials["account"]
    assert "hush" not in kept.model_dump_json()
    assert "hush" not in repr(kept)
    assert kept.sealed_password not in repr(kept)
    assert SEALER.open(kept.sealed_password, tenant.tenant_id, "account") == "hush: é"


def test_the_command_itself_does_not_show_it(tenant: TenantConfig) -> None:
    command = create(tenant, {"id": "other", "username": "x", "password": "hush"})
    assert "hush" not in repr(command)
    assert "hush" not in json.dumps(dict(command.document))


def test_an_update_without_a_password_keeps_it_and_one_with_changes_it(tenant: TenantConfig) -> None:
    before = tenant.trunk_credentials["account"].sealed_password
    renamed = after(tenant, update(tenant, ("username",), {"username": "acme-2"})).trunk_credentials["account"]
    assert (renamed.username, renamed.sealed_password) == ("acme-2", before)
    changed = after(tenant, update(tenant, ("password",), {"password": "new"})).trunk_credentials["account"]
    assert (changed.username, SEALER.open(changed.sealed_password, tenant.tenant_id, "account")) == ("acme", "new")


def test_the_same_password_again_changes_nothing(tenant: TenantConfig) -> None:
    decision = decide(tenant, update(tenant, ("password",), {"password": "hush: é"}))
    assert isinstance(decision, Accepted)
    assert not decision.changes


def test_a_new_credential_needs_a_password_and_cannot_bring_its_own_seal(tenant: TenantConfig) -> None:
    decision = decide(tenant, create(tenant, {"id": "other", "username": "x", "sealed_password": "AAAA"}))
    assert decision == Invalid((Violation("trunk_credential.password", "is needed"),))


@pytest.mark.parametrize("password", ["a\r\nb", "x" * 129, "\x00"])
def test_a_password_that_no_carrier_gives_is_refused(tenant: TenantConfig, password: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        PASSWORDS.sealed_all(tenant.tenant_id, {"trunk_credential": [ACCOUNT, ACCOUNT | {"password": password}]})
    assert "trunk_credentials[1].password" in str(caught.value.violations)
    assert password not in str(caught.value)


def test_a_credential_that_a_trunk_uses_is_held(tenant: TenantConfig) -> None:
    trunk: dict[str, Any] = {"id": "registering", "address": "carrier.example", "registration": {}, "trunk_credential_id": "account"}
    used = after(tenant, CreateResource(actor="test", kind="trunk", document=trunk))
    assert isinstance(decide(used, DeleteResource(actor="test", kind="trunk_credential", resource_id="account")), Held)
    missing = decide(tenant, CreateResource(actor="test", kind="trunk", document=trunk | {"trunk_credential_id": "no"}))
    assert missing == Invalid((Violation("trunk.trunk_credential_id", "no trunk_credential 'no'"),))


def test_whoever_looks_at_what_changed_sees_that_the_password_did() -> None:
    one = TrunkCredential(id="a", username="x", sealed_password="AAAA").model_dump()
    assert differing(one, one | {"sealed_password": "BBBB"}) == ("password",)
