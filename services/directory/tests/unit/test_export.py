"""Everything that a tenant holds, in parts: applied again it changes nothing, applied to nothing it makes the same tenant."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from carillon.directory.v1 import directory_pb2 as pb
from carillon_cli import company as file
from carillon_contracts.config import RESOURCES, SECRET_FIELDS, SipCredential, TrunkCredential
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory import grpc_import
from carillon_directory.adapters.proto_mapping import to_document
from carillon_directory.domain.commands import ApplyCompany, Command, UpdateResource
from carillon_directory.domain.decide import decide
from carillon_directory.domain.documents import dump
from carillon_directory.domain.outcomes import Accepted
from carillon_directory.testing import SPARE_PASSWORD, after, documents_of, given

from .test_every_kind import KINDS, POOL, asked, companies, otherwise, several, started

pytestmark = pytest.mark.feature("D-20", "D-22")
_SECRET = {name for kinds in SECRET_FIELDS.values() for plain, kept in kinds.items() for name in (plain, *kept) if name != "realm"}


def exported(config: TenantConfig) -> dict[str, Any]:
    whole = pb.ApplyTenantRequest()
    for part in grpc_import._exported(config):
        whole.MergeFrom(part)
    return to_document(whole)


def command(company: Mapping[str, Any], *, prune: bool) -> ApplyCompany:
    spare = {each["id"]: SPARE_PASSWORD for each in company.get("sip_credentials", ())}
    return ApplyCompany(actor="tester", documents=documents_of(company), prune=prune, spare_passwords=spare)


def plain(config: TenantConfig) -> dict[str, dict[str, Any]]:
    """What is there, without what the directory makes and without secrets."""
    kinds = {kind: of_kind for kind, of_kind in config.resources.items() if of_kind}
    return {
        kind: {
            name: {field: value for field, value in dump(each).items() if field not in _SECRET | {"etag"}} for name, each in found.items()
        }
        for kind, found in kinds.items()
    }


@pytest.fixture
def dupont() -> dict[str, Any]:
    """The company that ships with the command line."""
    found: dict[str, Any] = yaml.safe_load(files("carillon_cli").joinpath("demo/dupont.yaml").read_text(encoding="utf-8"))
    for room in found["conference_rooms"]:
        del room["creator_pin"]  # Hashed at the door, which is not here.
    return found


@pytest.mark.parametrize("name", ["whole", "dupont"])
def test_what_was_exported_changes_nothing_and_makes_the_same_tenant(name: str, request: pytest.FixtureRequest) -> None:
    config = given(request.getfixturevalue(name))
    company = exported(config)
    assert decide(config, command(company, prune=True)) == Accepted()
    assert plain(after(TenantConfig(config.tenant_id), command(company, prune=False))) == plain(config)


@st.composite
def changed(draw: st.DrawFn) -> Command:
    """A field of one of any kind, to something that nobody's example says."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    document = draw(st.sampled_from(POOL[kind]))
    name = draw(st.sampled_from(sorted(RESOURCES[kind].model_fields.keys() - {"id", "etag"})))
    default = RESOURCES[kind].model_fields[name].get_default()
    value = otherwise(draw(st.sampled_from([document.get(name), default if isinstance(default, bool | int | str) else None])))
    return UpdateResource(actor="x", kind=kind, resource_id=document["id"], document={name: value}, paths=(name,))


@cache
def whole_company() -> TenantConfig:
    """With all kinds."""
    return started().now


def typed_in(text: str, before: TenantConfig) -> Mapping[str, Any]:
    """What a person's file asks of the directory; with the carriers' passwords, which nobody exports."""
    company: dict[str, Any] = to_document(file.request(file.load(text, "exported.yaml")[1]))
    sealed = {each.id: each.sealed_password for each in before.all(TrunkCredential).values()}
    accounts = [{**each, "sealed_password": sealed[each["id"]]} for each in company.get("trunk_credentials", ())]
    return company | ({"trunk_credentials": accounts} if accounts else {})


def written(config: TenantConfig) -> str:
    """The file that `carillon export` writes."""
    whole = pb.ApplyTenantRequest()
    for part in grpc_import._exported(config):
        whole.MergeFrom(part)
    return file.written(file.normal(file.document(whole)))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@for_all(st.lists(changed() | asked() | several() | companies(), max_size=12))
def test_whatever_a_tenant_became_its_file_changes_nothing_and_makes_it_anew(commands: list[Command]) -> None:
    """With resources of all kinds, some of them never open, never recorded, off: through the text that people see."""
    config = whole_company()
    for each in commands:
        decision = decide(config, each)
        config = decision.after or config if isinstance(decision, Accepted) else config
    text = written(config)
    company = typed_in(text, config)
    assert decide(config, command(company, prune=True)) == Accepted()
    anew = after(TenantConfig(config.tenant_id), command(company, prune=False))
    assert plain(anew) == plain(config)
    assert written(anew) == text


def test_a_large_company_comes_in_parts_that_fit(whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_import, "_PART", 5)
    config = given(whole)
    parts = list(grpc_import._exported(config))
    counts = [sum(len(value) for field, value in part.ListFields() if field.is_repeated) for part in parts]
    assert max(counts) == 5
    assert len(parts) > 3
    assert parts[0].tenant.id == config.tenant_id


def test_no_secret_is_exported(whole: dict[str, Any]) -> None:
    config = given(whole)
    text = str(exported(config))
    for credential in config.all(SipCredential).values():
        assert credential.ha1_md5 not in text
        assert credential.ha1_sha256 not in text
    assert SPARE_PASSWORD not in text
