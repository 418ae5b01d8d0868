"""A registering trunk in the whole system: from the YAML file to the carrier's registrar, calls by it, and no secret on the way."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from carillon_kit.embedded import free_port
from strangers.reflection import Reflected
from strangers.sipp import Sipp, credentials
from strangers.system import System, until

pytestmark = pytest.mark.feature("M-2")
HOST = "127.0.0.2"
PASSWORD = "hush-hush-hush"


@pytest.fixture
def account(system: System) -> Iterator[Reflected]:
    """A credential with the carrier, gone afterwards."""
    directory = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    body = {"trunk_credential": {"id": "account", "username": "acme", "password": PASSWORD}}
    directory.call("carillon.directory.v1.TrunkCredentialService/CreateTrunkCredential", body)
    try:
        yield directory
    finally:
        directory.call("carillon.directory.v1.TrunkCredentialService/DeleteTrunkCredential", {"id": "account"})


def trunk(port: int, **fields: Any) -> dict[str, Any]:
    # Its prefix takes calls to Iceland alone, so that the example company's own trunk keeps the others.
    common = {
        "id": "registering",
        "address": f"{HOST}:{port}",
        "prefixes": ["+354"],
        "trunk_credential_id": "account",
        "silence_seconds": 1,
    }
    return {"trunk": common | fields}


def states(system: System) -> dict[str, dict[str, Any]]:
    return {state["trunk_id"]: state for state in map(json.loads, system.carillon("trunks", "--json").splitlines())}


def test_a_trunk_registers_takes_a_call_and_leaves(system: System, account: Reflected) -> None:
    port = free_port(HOST)
    with Sipp("registrar.xml", system.sip, ip=HOST, port=port, calls=1, seconds=20, replace={"PASSWORD": PASSWORD}) as registrar:
        account.call("carillon.directory.v1.TrunkService/CreateTrunk", trunk(port, registration={"domain": "carrier.example"}))
        registrar.succeed()
    try:
        until(lambda: states(system)["registering"]["registration"] == "registered", "the registration")
        assert "registering" in system.carillon("trunks")
        known = system.call_ids()
        replace = {"PASSWORD": PASSWORD}
        with Sipp("answer_with_password.xml", system.sip, "-d", "50", ip=HOST, port=port, calls=1, replace=replace) as carrier:
            user = system.user("101")
            keys = {"user": user["sip_user"], "realm": system.tenant["realm"], "dest": "003545551234"}
            Sipp("call_with_authentication.xml", system.sip, "-d", "300", *credentials(user), **keys).succeed()
            carrier.succeed()
        (record,) = system.new_records(known, 1)
        assert (record["answered_by"], record["status"]) == ("+3545551234", "answered")
    finally:
        account.call("carillon.directory.v1.TrunkService/DeleteTrunk", {"id": "registering"})
    until(lambda: "registering" not in states(system), "the trunk's end")


def test_a_silent_trunk_costs_a_second_and_the_next_one_takes_the_call(system: System, account: Reflected) -> None:
    """Routing's failover, started by media's ear for silence."""
    account.call("carillon.directory.v1.TrunkService/CreateTrunk", trunk(free_port(HOST)))
    try:
        until(lambda: "registering" in states(system), "the trunk")
        known = system.call_ids()
        with Sipp("answer.xml", system.sip, "-d", "50", ip=HOST, port=5060, calls=1) as carrier:
            user = system.user("101")
            keys = {"user": user["sip_user"], "realm": system.tenant["realm"], "dest": "003545551234"}
            Sipp("call_with_authentication.xml", system.sip, "-d", "300", *credentials(user), **keys).succeed()
            carrier.succeed()
        (record,) = system.new_records(known, 1)
        assert record["status"] == "answered"
        assert [leg["party"] for leg in record["legs"]][1:] == ["trunk:registering", "trunk:carrier"]
        assert states(system)["registering"]["servers"][0]["state"] == "down"
    finally:
        account.call("carillon.directory.v1.TrunkService/DeleteTrunk", {"id": "registering"})


async def test_nothing_that_a_tenant_or_the_disk_shows_holds_the_password(system: System, account: Reflected) -> None:
    tenant = await nats.connect(system.tenant["nats"]["url"], inbox_prefix="_INBOX.dupont", allow_reconnect=False)
    try:
        subscription = await tenant.subscribe("carillon.dupont.config.>")
        await tenant.flush()
        body = {"trunk_credential": {"id": "account", "username": "acme-2"}}
        await asyncio.to_thread(account.call, "carillon.directory.v1.TrunkCredentialService/UpdateTrunkCredential", body)
        language = {"user": {"id": "dumas", "language": "de"}}
        await asyncio.to_thread(account.call, "carillon.directory.v1.UserService/UpdateUser", language)
        assert (await subscription.next_msg(timeout=20)).subject == "carillon.dupont.config.user.updated"
    finally:
        await tenant.close()
        account.call("carillon.directory.v1.UserService/UpdateUser", {"user": {"id": "dumas"}, "update_mask": "language"})
    history = account.call("carillon.directory.v1.HistoryService/ListChanges", {"resource": "trunk_credential", "page_size": 10})
    assert history["changes"]
    assert "sealed" not in json.dumps(history)
    assert await asyncio.to_thread(holding, system.folder, PASSWORD.encode()) == []


def holding(folder: Path, text: bytes) -> list[Path]:
    """Files below the folder (logs, journal, databases, streams) that hold the text."""
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]
