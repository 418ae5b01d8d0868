"""A phone fetches its settings by HTTP, baresip registers with what they say, and a changed key reaches the phone."""

import re
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from carillon_cli.phone.baresip import Account, Baresip
from strangers.reflection import Reflected
from strangers.sipp import Sipp, register
from strangers.system import System

DIRECTORY = "carillon.directory.v1"
MAC = "0015651290aa"


@pytest.fixture(scope="module")
def directory(system: System) -> Iterator[Reflected]:
    """The directory, with a user, a line and a phone of its own for this file."""
    client = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    client.call(f"{DIRECTORY}.UserService/CreateUser", {"user": {"id": "nora", "last_name": "Neuf"}})
    client.call(f"{DIRECTORY}.ExtensionService/CreateExtension", {"extension": {"id": "190", "destination": {"user_id": "nora"}}})
    client.call(f"{DIRECTORY}.SipCredentialService/CreateSipCredential", {"sip_credential": {"id": "dupont-190", "user_id": "nora"}})
    device = {
        "id": "nora-phone",
        "vendor": "Yealink",
        "model": "T46U",
        "mac": MAC,
        "lines": [{"port": 1, "sip_credential_id": "dupont-190"}],
    }
    client.call(f"{DIRECTORY}.DeviceService/CreateDevice", {"device": device})
    yield client
    for noun, name in (("Device", "nora-phone"), ("SipCredential", "dupont-190"), ("Extension", "190"), ("User", "nora")):
        client.call(f"{DIRECTORY}.{noun}Service/Delete{noun}", {"id": name})


def fetched(directory: Reflected) -> dict[str, str]:
    """The settings, as a Yealink reads them."""
    prepared = directory.call(f"{DIRECTORY}.ProvisioningService/PrepareDevice", {"device_id": "nora-phone"})
    with urllib.request.urlopen(f"{prepared['url']}{MAC}.cfg", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


@pytest.mark.feature("D-10", "M-1")
async def test_baresip_registers_with_what_the_phones_file_says(system: System, directory: Reflected) -> None:
    settings = fetched(directory)
    proxy = (settings["account.1.outbound_proxy.1.address"], int(settings["account.1.outbound_proxy.1.port"]))
    account = Account(settings["account.1.auth_name"], settings["account.1.password"], settings["account.1.sip_server.1.address"], proxy)
    phone = await Baresip.start(Path(tempfile.mkdtemp(prefix="baresip-")), 440)
    try:
        await phone.register(account)
    finally:
        await phone.stop()
        phone.forget()


@pytest.mark.feature("D-10", "D-11")
def test_a_changed_key_reaches_the_phone_by_check_sync(system: System, directory: Reflected) -> None:
    settings = fetched(directory)
    user = {"sip_user": settings["account.1.auth_name"], "sip_password": settings["account.1.password"]}
    port = register(system.sip, system.tenant["realm"], user)
    with Sipp("take_check_sync.xml", system.sip, port=port, seconds=30) as phone:
        keys = [{"key": 1, "user_id": system.tenant["users"][0]["id"]}]
        changed = {"user": {"id": "nora", "function_keys": keys}, "update_mask": "functionKeys"}
        directory.call(f"{DIRECTORY}.UserService/UpdateUser", changed)
        phone.succeed()
    register(system.sip, system.tenant["realm"], user, port=port, expires=0)
    again = fetched(directory)
    assert re.fullmatch(r"[0-9]{3}", again["linekey.2.value"])
