"""A plain NATS client with a tenant's credentials sees its tenant's events and nothing else, and can change nothing."""

import asyncio
import json

import nats
import pytest
from nats.aio.msg import Msg

from strangers.reflection import Reflected
from strangers.system import System

pytestmark = pytest.mark.feature("P-2", "P-3")


async def test_a_tenant_sees_its_own_events_and_no_other(system: System) -> None:
    credentials = system.tenant["nats"]
    refused: list[str] = []

    async def on_error(error: Exception) -> None:
        refused.append(str(error))

    seen: list[Msg] = []

    async def on_message(message: Msg) -> None:
        seen.append(message)

    tenant = await nats.connect(credentials["url"], inbox_prefix="_INBOX.dupont", error_cb=on_error, allow_reconnect=False)
    operator = await nats.connect(system.run["nats"]["url"])
    try:
        await tenant.subscribe("carillon.dupont.>", cb=on_message)
        await tenant.flush()
        for subject in ("carillon.>", "carillon.other.>", "$JS.API.>", ">"):
            refused.clear()
            await tenant.subscribe(subject, cb=on_message)
            await tenant.flush()
            await asyncio.wait_for(_until(lambda: refused), 30)
            assert "permissions violation" in refused[0].lower(), subject
        await operator.publish("carillon.other.call.x.started", b"{}")
        await operator.flush()
        await asyncio.to_thread(system.carillon, "call", "101", "102", "--answer", "--seconds", "1")
        await asyncio.wait_for(_until(lambda: any(m.subject.endswith(".ended") for m in seen)), 30)
    finally:
        await tenant.close()
        await operator.close()
    assert all(message.subject.startswith("carillon.dupont.") for message in seen)
    events = [json.loads(message.data) for message in seen if ".call." in message.subject]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["tenantid"] for event in events} == {"dupont"}


async def test_hashes_of_sip_passwords_are_not_for_the_tenant(system: System) -> None:
    """Its subscription to everything of its own goes on and leaves them out."""
    tenant = await nats.connect(system.tenant["nats"]["url"], inbox_prefix="_INBOX.dupont", allow_reconnect=False)
    directory = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    credential = {"id": "spare", "user_id": "dumas"}
    try:
        subscription = await tenant.subscribe("carillon.dupont.config.>")
        await tenant.flush()
        directory.call("carillon.directory.v1.SipCredentialService/CreateSipCredential", {"sip_credential": credential})
        directory.call("carillon.directory.v1.SipCredentialService/DeleteSipCredential", {"id": "spare"})
        directory.call("carillon.directory.v1.UserService/UpdateUser", {"user": {"id": "dumas", "language": "fr"}})
        assert (await subscription.next_msg(timeout=20)).subject == "carillon.dupont.config.user.updated"
    finally:
        await tenant.close()


async def test_a_tenant_can_publish_nothing(system: System) -> None:
    refused: list[str] = []

    async def on_error(error: Exception) -> None:
        refused.append(str(error))

    tenant = await nats.connect(system.tenant["nats"]["url"], inbox_prefix="_INBOX.dupont", error_cb=on_error, allow_reconnect=False)
    try:
        await tenant.publish("carillon.dupont.call.x.started", b"{}")
        await tenant.flush()
        await asyncio.wait_for(_until(lambda: refused), 30)
    finally:
        await tenant.close()


async def test_no_service_may_delete_or_purge_a_stream(system: System) -> None:
    secrets = json.loads((system.data / "secrets.json").read_text())
    host = system.run["nats"]["url"].rsplit("@", 1)[-1]
    operator = await nats.connect(system.run["nats"]["url"])
    before = (await operator.jetstream().stream_info("CONFIG")).state.messages
    await operator.close()
    for service in ("directory", "routing", "media", "voicemail", "cdr"):
        refused: list[str] = []

        async def on_error(error: Exception, refused: list[str] = refused) -> None:
            refused.append(str(error))

        password = secrets[f"nats-{service}"]
        client = await nats.connect(f"nats://{service}:{password}@{host}", error_cb=on_error, allow_reconnect=False)
        try:
            requests = ["$JS.API.STREAM.DELETE.CONFIG", "$JS.API.STREAM.PURGE.CONFIG", "$JS.API.STREAM.MSG.DELETE.CONFIG"]
            # The directory destroys single messages: those that name somebody who is erased.
            for request in requests[: 2 if service == "directory" else 3]:
                refused.clear()
                await client.publish(request, b"")
                await client.flush()
                await asyncio.wait_for(_until(lambda refused=refused: refused), 30)
            assert (await client.jetstream().stream_info("CONFIG")).state.messages == before
        finally:
            await client.close()


async def _until(condition: object) -> None:
    assert callable(condition)
    while not condition():
        await asyncio.sleep(0.02)
