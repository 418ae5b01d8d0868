"""baresip with SRTP over TLS and plain phones: each hears the other, each leg under its own keys or none; G.722 is relayed or converted."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from carillon_cli.phone.baresip import Account, Baresip, BaresipError
from strangers.system import System

pytestmark = pytest.mark.feature("M-7")

ALAIN_HZ, ELISE_HZ = 700, 1300
G711, WIDE = "PCMA/8000/1,PCMU/8000/1", "G722/16000/1,PCMA/8000/1"


@dataclass(frozen=True)
class Kind:
    """How a phone is set up."""

    transport: Literal["udp", "tcp", "tls"] = "udp"
    encryption: Literal["", "srtp", "srtp-mand"] = ""
    codecs: str = G711
    #: Samples a second of what it will speak.
    rate: int = 8000


PLAIN, OPTIONAL, MANDATORY = Kind(), Kind("tls", "srtp"), Kind("tls", "srtp-mand")


async def holds(condition: Callable[[], Any], what: str, seconds: float = 20) -> None:
    """Wait until the condition holds, letting the phones' events through."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{what}: not within {seconds} s")


@asynccontextmanager
async def phone(system: System, extension: str, hz: int, kind: Kind) -> AsyncIterator[Baresip]:
    user, folder = system.user(extension), Path(tempfile.mkdtemp(prefix="baresip-"))
    one = await Baresip.start(folder, hz, authority=Path(system.run["sip"]["tls_certificate"]), rate=kind.rate)
    try:
        account = Account(
            user["sip_user"],
            user["sip_password"],
            system.tenant["realm"],
            system.address(kind.transport),
            kind.transport,
            codecs=kind.codecs,
            encryption=kind.encryption,
        )
        await one.register(account)
        yield one
    except BaresipError as error:
        log = (folder / "baresip.log").read_text(errors="replace")
        raise AssertionError(f"{error}\n{log[-3000:]}\n{system.log()[-3000:]}") from error
    finally:
        await one.stop()
        one.forget()


async def qualities(system: System, caller: Kind, callee: Kind) -> list[dict[str, Any]]:
    """A call in which both hear the other's tone; what the ends of its two legs say, the caller's first."""
    known = system.call_ids()
    async with phone(system, "102", ALAIN_HZ, caller) as alain, phone(system, "106", ELISE_HZ, callee) as elise:
        await alain.command("dial", f"sip:106@{system.tenant['realm']}")
        await elise.until_event("CALL_INCOMING")
        await elise.command("accept")
        await alain.until_event("CALL_ESTABLISHED")
        await holds(lambda: alain.heard().tone_seconds(ELISE_HZ) >= 2, "Alain hears Élise")
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= 2, "Élise hears Alain")
        for ear, tone in ((alain, ELISE_HZ), (elise, ALAIN_HZ)):
            heard = ear.heard()
            assert heard.tone_seconds(tone) > 0.8 * heard.total, str(heard)
        await alain.command("hangup")
        await elise.until_event("CALL_CLOSED")
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    events = [json.loads(line) for line in system.carillon("events", "--since", "1h", "--json", "--call", record["call_id"]).splitlines()]
    ended = {event["legid"]: event["data"]["quality"] for event in events if event["type"] == "carillon.call.leg_ended.v1"}
    assert "inline:" not in json.dumps(events)
    assert "inline:" not in system.log()
    return [ended["a"], ended["b1"]]


@pytest.mark.parametrize(
    ("caller", "callee"),
    [(OPTIONAL, PLAIN), (MANDATORY, PLAIN), (PLAIN, OPTIONAL), (PLAIN, MANDATORY), (MANDATORY, OPTIONAL), (Kind("tls"), Kind("tls"))],
    ids=["srtp-rtp", "mandatory-rtp", "rtp-srtp", "rtp-mandatory", "srtp-srtp", "tls-without-srtp"],
)
async def test_srtp_on_the_leg_that_has_it(system: System, caller: Kind, callee: Kind) -> None:
    seen = await qualities(system, caller, callee)
    assert [bool(quality["srtp"]) for quality in seen] == [bool(caller.encryption), bool(callee.encryption)]
    assert all(quality["packets_received"] > 100 and quality["mos"] > 3.5 for quality in seen), seen


async def test_opus_of_a_stranger_is_converted_and_each_hears_the_other(system: System) -> None:
    seen = await qualities(system, Kind(codecs="opus/48000/2", rate=48_000), PLAIN)
    assert [quality["codec"] for quality in seen] == ["OPUS", "PCMA"]
    assert all(quality["packets_received"] > 100 for quality in seen), seen


BOTH_WIDE = Kind(codecs=WIDE, rate=16000)


@pytest.mark.parametrize(
    ("caller", "callee", "codecs"),
    [
        (BOTH_WIDE, BOTH_WIDE, ["G722", "G722"]),
        (Kind(codecs=WIDE), Kind(codecs=G711), ["PCMA", "PCMA"]),
        (Kind(codecs="G722/16000/1", rate=16000), Kind(codecs="PCMU/8000/1"), ["G722", "PCMU"]),
    ],
    ids=["both", "one", "nothing-in-common"],
)
async def test_g722_where_both_have_it_and_converted_only_where_nothing_is_shared(
    system: System, caller: Kind, callee: Kind, codecs: list[str]
) -> None:
    assert [quality["codec"] for quality in await qualities(system, caller, callee)] == codecs
