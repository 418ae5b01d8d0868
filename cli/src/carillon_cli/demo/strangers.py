"""The scene of two phones that are not ours: baresip against baresip, compared by what each recorded."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from carillon_cli.demo.scenes import MORNING
from carillon_cli.demo.stage import HEARD_SECONDS, Stage
from carillon_cli.phone.baresip import Account, Baresip
from carillon_cli.system import Phone as KnownPhone
from carillon_contracts.call import CallStarted

CALLER, CALLED = "105", "106"
CALLER_HZ, CALLED_HZ = 650, 950
TALK = 3.0


async def baresip_to_baresip(stage: Stage) -> None:
    """Two baresip processes take the place of two employees' phones."""
    stage.begin("Two phones of strangers: baresip calls baresip", MORNING, {})
    before = {event.id for event in stage.tap.events}
    known = {phone.extension: phone for phone in stage.system.phones(stage.tenant)}
    for extension in (CALLER, CALLED):
        await stage.phones[extension].register(0)
    with tempfile.TemporaryDirectory(prefix="carillon-baresip-") as folder:
        async with AsyncExitStack() as stack:
            caller = await _start(stack, stage, known[CALLER], Path(folder) / "caller", CALLER_HZ)
            called = await _start(stack, stage, known[CALLED], Path(folder) / "called", CALLED_HZ)
            await caller.command("dial", f"sip:{CALLED}@{stage.system.entry(stage.tenant)['realm']}")
            await called.until_event("CALL_INCOMING")
            await called.command("accept")
            await caller.until_event("CALL_ESTABLISHED")
            await asyncio.sleep(TALK)
            await caller.command("hangup")
            await called.until_event("CALL_CLOSED")
            await asyncio.sleep(0.2)
            heard = caller.heard(), called.heard()
    event = await stage.tap.until(
        lambda event: event.id not in before and event.type == f"carillon.{CallStarted.TYPE}",
        5,
        "the start of baresip's call",
    )
    told = await stage.told_of(str(event.callid))
    stage.check(f"{CALLER} recorded {CALLED}'s tone of {CALLED_HZ} Hz: {heard[0]}", heard[0].tone_seconds(CALLED_HZ) >= HEARD_SECONDS)
    stage.check(f"{CALLED} recorded {CALLER}'s tone of {CALLER_HZ} Hz: {heard[1]}", heard[1].tone_seconds(CALLER_HZ) >= HEARD_SECONDS)
    stage.check("the record says answered", told.status == "answered" and told.record.answered_by == known[CALLED].user_id)
    stage.check(f"talk_seconds {told.record.talk_seconds:.3f} is right to a second", abs(told.record.talk_seconds - TALK) <= 1)
    for extension in (CALLER, CALLED):
        await stage.phones[extension].register()


async def _start(stack: AsyncExitStack, stage: Stage, known: KnownPhone, folder: Path, tone_hz: int) -> Baresip:
    phone = await Baresip.start(folder, tone_hz)
    stack.push_async_callback(phone.stop)
    account = Account(known.sip_user, known.sip_password, str(stage.system.entry(stage.tenant)["realm"]), stage.system.sip_udp)
    await phone.register(account)
    return phone
