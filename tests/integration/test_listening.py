"""baresip phones leave a message and listen to it: by code, after a crash of voicemail, and with the PIN during the greeting."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from carillon_cli.phone.baresip import Baresip
from strangers.phones import among, holds, phone, type_digits
from strangers.reflection import Reflected
from strangers.sipp import Sipp, credentials
from strangers.system import System, until

pytestmark = pytest.mark.feature("V-4", "V-5", "V-6", "V-7", "R-19")
HZ, PIN, NEW_PIN = 1300, "314159", "271828"
BOX = "claire"


async def dial(system: System, who: Baresip, what: str) -> None:
    who.events.clear()
    await who.command("dial", f"sip:{what}@{system.tenant['realm']}")
    await who.until_event("CALL_ESTABLISHED", 30)


async def becomes(system: System, *states: str) -> None:
    """The box's messages, newest first, are in these states; voicemail may be restarting."""

    def seen() -> list[str] | None:
        said = system.carillon("messages", BOX, "--json", code=None)
        return [json.loads(line)["state"] for line in said.splitlines()] if "carillon:" not in said else None

    await asyncio.to_thread(until, lambda: seen() == list(states), f"messages are {states}", 60)


def closed(who: Baresip) -> bool:
    return any(event.get("type") == "CALL_CLOSED" for event in who.events)


async def hears_the_message(ear: Baresip, seconds: float = 1) -> None:
    await holds(lambda: among(ear, HZ) >= seconds, "the message's tone", 60)


async def leaves_a_message(system: System, caller: Baresip) -> None:
    """Claire has no phone that rings: her box answers, the hash key ends its greeting, and the phone says its tone."""
    folder = system.data / "media" / "spool" / "recordings"
    before = set(folder.glob("*.wav"))
    await dial(system, caller, "104")
    await type_digits(caller, "#")
    await holds(lambda: caller.heard().tone_seconds(1000) > 0, "the tone after which to speak", 60)

    def recorded() -> bool:
        """Two seconds or more of this message."""
        return any(path.stat().st_size > 32_000 for path in folder.glob("*.wav") if path not in before)

    await holds(recorded, "it is recorded", 30)
    await caller.command("hangup")
    await holds(lambda: closed(caller), "the end")
    await becomes(system, "new")


def watches(system: System, told: str) -> None:
    """Claire's phone is told so of her box."""
    who = system.user("104")
    keys = {"user": who["sip_user"], "realm": system.tenant["realm"], "dest": "104", "package": "message-summary"}
    with Sipp("watch.xml", system.sip, *credentials(who), replace={"LAST": told}, seconds=40, **keys) as lamp:
        lamp.succeed()


@pytest.fixture
def empty(system: System) -> Iterator[None]:
    """Claire's box has no message, and a PIN for this test."""
    for line in system.carillon("messages", BOX, "--json").splitlines():
        system.carillon("messages", "--delete", json.loads(line)["message_id"])
    directory = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    update = "carillon.directory.v1.MailboxService/UpdateMailbox"
    directory.call(update, {"mailbox": {"id": BOX, "pin": PIN}, "update_mask": "pin"})
    yield
    directory.call(update, {"mailbox": {"id": BOX}, "update_mask": "pin"})
    directory.channel.close()


@pytest.mark.usefixtures("empty")
async def test_a_message_is_heard_by_code(system: System) -> None:
    async with phone(system, "106", HZ) as elise:
        await leaves_a_message(system, elise)
    async with phone(system, "104", 700) as claire:
        await dial(system, claire, "*97")
        await type_digits(claire, "1")
        await hears_the_message(claire)
        await type_digits(claire, "30*")  # deleted; the menu, the end
        await holds(lambda: closed(claire), "the end", 60)
    await becomes(system)


@pytest.mark.slow
@pytest.mark.usefixtures("empty")
async def test_voicemail_dies_while_its_owner_listens_and_phones_are_told_of_every_mark(system: System) -> None:
    async with phone(system, "106", HZ) as elise:
        await leaves_a_message(system, elise)
    await asyncio.to_thread(watches, system, "Voice-Message: 1/0")
    async with phone(system, "104", 700) as claire:
        await listens_though_voicemail_dies(system, claire)
        await becomes(system, "heard")
        await asyncio.to_thread(watches, system, "Voice-Message: 0/1")
        await dial(system, claire, "104")  # her own extension
        await type_digits(claire, "1")
        await hears_the_message(claire)
        await type_digits(claire, "3330*")  # deleted, taken back, deleted; the menu, the end
        await holds(lambda: closed(claire), "the end", 60)
    await becomes(system)
    (gone, *_) = system.carillon("messages", BOX, "--deleted", "--json").splitlines()
    system.carillon("messages", "--undelete", json.loads(gone)["message_id"])
    await becomes(system, "heard")
    async with phone(system, "106", 700) as elise:
        assert await listens_with_the_pin(system, elise, PIN)


@pytest.mark.slow
@pytest.mark.usefixtures("empty")
async def test_a_pin_is_changed_by_phone(system: System) -> None:
    """Voicemail follows the configuration within a moment."""
    async with phone(system, "106", HZ) as elise:
        await leaves_a_message(system, elise)
        async with phone(system, "104", 700) as claire:
            await dial(system, claire, "*97")
            await type_digits(claire, f"3{NEW_PIN}#{NEW_PIN}#*")
            await holds(lambda: closed(claire), "the end", 60)
        async with asyncio.timeout(240):
            while not await listens_with_the_pin(system, elise, NEW_PIN):
                pass


async def listens_though_voicemail_dies(system: System, claire: Baresip) -> None:
    """She hears it again when voicemail is back; where that takes longer than media waits, the call ends and she dials anew."""
    await dial(system, claire, "*97")
    await type_digits(claire, "1")
    await hears_the_message(claire)
    old, before = await asyncio.to_thread(system.kill, "voicemail"), among(claire, HZ)
    await type_digits(claire, "1")
    await asyncio.to_thread(system.until_restarted, "voicemail", old)
    await holds(lambda: closed(claire) or among(claire, HZ) >= before + 1, "the message again, or the end", 90)
    if not closed(claire):
        await type_digits(claire, "0*")
    await holds(lambda: closed(claire), "the end", 60)


async def listens_with_the_pin(system: System, who: Baresip, pin: str) -> bool:
    """Whether a colleague who calls Claire's box, has that PIN and presses star during the greeting hears the message."""
    await dial(system, who, "104")
    await type_digits(who, f"*{pin}#1")
    try:
        async with asyncio.timeout(45):
            while among(who, HZ) < 1 and not closed(who):
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
    finally:
        if not closed(who):
            await who.command("hangup")
        await holds(lambda: closed(who), "the end")
    return among(who, HZ) >= 1
