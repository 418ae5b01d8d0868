"""baresip phones of the example company, registered at the running system."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from carillon_cli.phone import wav
from carillon_cli.phone.baresip import Account, Baresip, BaresipError
from carillon_cli.phone.g711 import RATE
from carillon_cli.phone.tones import WINDOW, goertzel
from strangers.system import System

#: Power at one frequency from which it is there: a sine a sixth as loud as a phone's tone.
THERE = 900_000


async def holds(condition: Callable[[], Any], what: str, seconds: float = 30) -> None:
    """Wait until the condition holds, letting the phones' events through."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{what}: not within {seconds} s")


async def happened(who: Baresip, kind: str, times: int = 1, seconds: float = 30) -> None:
    """The phone has told of it so often."""
    await holds(lambda: sum(event.get("type") == kind for event in who.events) >= times, f"{kind} {times}", seconds)


async def listens(ear: Baresip) -> None:
    """Whoever is called has answered and can be heard: digits go through from here on."""
    await ear.until_event("CALL_ESTABLISHED", 30)
    await holds(lambda: (heard := ear.heard()).total - heard.silence > 0.2, "somebody speaks", 30)


@asynccontextmanager
async def phone(system: System, extension: str, hz: int, transport: Literal["udp", "tcp"] = "udp") -> AsyncIterator[Baresip]:
    """A phone of the extension's user that says this tone."""
    user = system.user(extension)
    folder = Path(tempfile.mkdtemp(prefix="baresip-"))
    ringing = await Baresip.start(folder, hz)
    try:
        server = system.address(transport)
        await ringing.register(Account(user["sip_user"], user["sip_password"], system.tenant["realm"], server, transport))
        yield ringing
    except BaresipError as error:
        log = (folder / "baresip.log").read_text(errors="replace")
        raise AssertionError(f"{error}\n{log[-3000:]}\n{system.log()[-3000:]}") from error
    finally:
        await ringing.stop()
        ringing.forget()


async def type_digits(who: Baresip, digits: str) -> None:
    """One digit after another, until the call is over: baresip sends one at a time and drops one that comes too early, so the next waits
    until the phone has said a quarter of a second more."""
    calls = _ended(who)
    for digit in digits:
        await who.command("sndcode", digit)
        before = _said(who)
        await holds(lambda before=before: _said(who) >= before + 0.25 or _ended(who) > calls, f"{digit} is sent")  # type: ignore[misc]


def _ended(who: Baresip) -> int:
    return sum(event.get("type") == "CALL_CLOSED" for event in who.events)


def _said(who: Baresip) -> float:
    """Seconds of what the phone has said in its newest call."""
    newest = max(who.folder.glob("dump-*-enc.wav"), key=lambda path: path.stat().st_mtime, default=None)
    return newest.stat().st_size / 2 / RATE if newest is not None else 0.0


def among(ear: Baresip, hz: int) -> float:
    """Seconds of what the phone has heard in its newest call in which this tone is there, whatever else is."""
    found = sorted(ear.folder.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)
    samples = wav.read_wide(found[-1].read_bytes()) if found else []
    windows = (samples[at : at + WINDOW] for at in range(0, len(samples) - WINDOW + 1, WINDOW))
    return sum(goertzel(window, hz) >= THERE for window in windows) * WINDOW / RATE
