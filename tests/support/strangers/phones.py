"""baresip phones of the example company, registered at the running system."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from carillon_cli.phone.baresip import Account, Baresip, BaresipError
from strangers.sipp import free_port
from strangers.system import System


async def holds(condition: Callable[[], Any], what: str, seconds: float = 20) -> None:
    """Wait until the condition holds, letting the phones' events through."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{what}: not within {seconds} s")


@asynccontextmanager
async def phone(system: System, extension: str, hz: int) -> AsyncIterator[Baresip]:
    """A phone of the extension's user that says this tone."""
    user = system.user(extension)
    folder = Path(tempfile.mkdtemp(prefix="baresip-"))
    ringing = await Baresip.start(folder, hz, free_port())
    try:
        await ringing.register(Account(user["sip_user"], user["sip_password"], system.tenant["realm"], system.sip))
        yield ringing
    except BaresipError as error:
        log = (folder / "baresip.log").read_text(errors="replace")
        raise AssertionError(f"{error}\n{log[-3000:]}\n{system.log()[-3000:]}") from error
    finally:
        await ringing.stop()
        ringing.forget()
