"""What a service learns of keys and ended tokens from the bus."""

import asyncio
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carillon_kit.auth import sign_token
from carillon_kit.bus.api import StreamSpec
from carillon_kit.bus.memory import MemoryBus
from carillon_kit.guarded_server import guarded_server
from carillon_kit.lifecycle import Tasks
from carillon_kit.settings import ServiceSettings

from .conftest import KEY, SERVICE, Echo, Served, add_echo

pytestmark = pytest.mark.feature("P-3")
KEYS, AUDIT = StreamSpec("KEYS", ("keys.>",)), StreamSpec("AUDIT", ("audit.>",))


def describe(*_: object, **__: object) -> tuple[str, bytes]:
    return "audit.refused", b"{}"


async def publish(bus: MemoryBus, subject: str, data: Any) -> None:
    message = data if isinstance(data, bytes) else json.dumps({"data": data}).encode()
    await bus.publish("KEYS", subject, message, f"{subject}-{len(bus.messages('KEYS'))}")


async def test_a_service_refuses_what_was_ended_before_and_after_it_started() -> None:
    key, now = Ed25519PrivateKey.generate(), datetime.now(UTC)
    bus = MemoryBus()
    await bus.ensure_stream(KEYS)

    async def end(subject: str) -> None:
        times = {"before": now + timedelta(seconds=1), "until": now + timedelta(hours=1)}
        whose = {"tenant": "dupont", "subject": subject}
        await publish(bus, "keys.ended", whose | {name: value.isoformat() for name, value in times.items()})

    await publish(bus, "keys.k", {"kid": "k", "x": urlsafe_b64encode(key.public_key().public_bytes_raw()).decode()})
    for broken in (b"no json", {}, {"tenant": "dupont", "subject": "user/bob", "before": "once", "until": "never"}):
        await publish(bus, "keys.broken", broken)
    await end("user/ann")
    settings = ServiceSettings(nats_url="nats://none", token_key=KEY, grpc_listen="127.0.0.1:0")
    async with asyncio.timeout(60), bus, Tasks() as tasks:
        server = await guarded_server(settings, "test", bus, tasks, keys=KEYS, audit=AUDIT, describe=describe)
        server.add(add_echo, Echo(), SERVICE, dict.fromkeys(("Say", "Watch"), frozenset({"admin"})))
        served = Served(await server.start())

        async def good(subject: str) -> bool:
            token = sign_token(key, "k", subject, "dupont", ["admin"], now, now + timedelta(hours=1))
            try:
                await served.say("x", token)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                    raise
                return False
            return True

        assert not await good("user/ann"), "at its very first call"
        assert await good("user/bob")
        await end("user/bob")
        while await good("user/bob"):
            pass
        for opened in served.channels:
            await opened.close()
        await server.stop(grace=0)
