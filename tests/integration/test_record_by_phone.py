"""An announcement spoken into baresip on the command line's request, then heard by who dials the extension that plays it."""

import asyncio

import pytest

from carillon.directory.v1 import destination_pb2, extension_pb2
from carillon.directory.v1.extension_pb2_grpc import ExtensionServiceStub
from carillon_kit.grpc_client import channel
from strangers.phones import among, holds, phone
from strangers.system import System

pytestmark = pytest.mark.feature("M-8")
HZ, EXTENSION, AUDIO = 1300, "781", "spoken"


async def plays(system: System) -> None:
    """An extension that plays the file and hangs up."""
    where = destination_pb2.Destination(announcement=destination_pb2.Announcement(audio_id=AUDIO))
    async with channel(str(system.run["grpc"]["directory"]), str(system.run["admin_token"]), "dupont") as link:
        request = extension_pb2.CreateExtensionRequest(extension=extension_pb2.Extension(id=EXTENSION, destination=where))
        await ExtensionServiceStub(link).CreateExtension(request)


async def test_what_is_spoken_after_the_tone_and_kept_is_what_callers_hear(system: System) -> None:
    async with phone(system, "106", HZ) as elise, phone(system, "101", 700) as dumas:
        command = ("record", AUDIO, "elise", "--right-to-broadcast", "--language", "en")
        recording = asyncio.create_task(asyncio.to_thread(system.carillon, *command))
        await elise.until_event("CALL_INCOMING", 30)
        await elise.command("accept")
        await elise.until_event("CALL_ESTABLISHED", 30)
        await holds(lambda: elise.heard().tone_seconds(1000) > 0, "the tone after which to speak", 40)
        spoken = 8000 * 1.5  # bytes: it speaks its own tone
        await holds(lambda: any(path.stat().st_size > spoken for path in system.data.rglob("spool/recordings/*.wav")), "it is recorded", 30)
        await elise.command("sndcode", "#")
        await holds(lambda: among(elise, HZ) >= 0.8, "what was spoken is heard", 30)
        await elise.command("sndcode", "1")
        await elise.until_event("CALL_CLOSED", 30)
        told = await recording
        assert told.splitlines()[-1].startswith(f"{AUDIO} is kept: ")
        await plays(system)

        async def heard() -> bool:
            dumas.events.clear()
            await dumas.command("dial", f"sip:{EXTENSION}@{system.tenant['realm']}")
            await dumas.until_event("CALL_CLOSED", 30)
            return among(dumas, HZ) >= 0.8

        # Routing and media follow the configuration within a moment.
        async with asyncio.timeout(60):
            while not await heard():
                pass
