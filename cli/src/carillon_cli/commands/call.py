"""`carillon call FROM TO`: a test call with the built-in phone; says what it hears, prints the ladder.

Always: exits 0 when the call was answered, 1 when it was not (busy, no answer, refused), with the ladder in both cases.
"""

import argparse
import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass

from carillon_cli.commands.clock import DEFAULT_ZONE, instant, set_clock
from carillon_cli.commands.explain import call_events
from carillon_cli.errors import CliError
from carillon_cli.phone.call import Behaviour, Identity, PhoneCall, PhoneError
from carillon_cli.phone.phone import Phone
from carillon_cli.render.explain import explain
from carillon_cli.render.ladder import ladder
from carillon_cli.render.tables import records_table
from carillon_cli.system import Phone as KnownPhone
from carillon_cli.system import System, load, system_arguments
from carillon_cli.watch import Tap, record

CARRIER = "carrier:"
CALLER_HZ = 440
#: Each phone that is called has a tone of its own, so that it can be told who was heard; none is that of the beep (1000 Hz).
FIRST_CALLED_HZ, STEP_HZ = 610, 90
KEY_SECONDS = 0.3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon call`."""
    parser.add_argument("caller", metavar="FROM", help="extension, user or SIP user; or carrier:+41791234567 for a call from outside")
    parser.add_argument("number", metavar="TO", help="extension or number, as it is dialled")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to talk once answered (default: 3)")
    parser.add_argument("--ring", type=float, default=30.0, help="how long to wait for an answer (default: 30)")
    parser.add_argument("--digits", default="", metavar="KEYS", help="keys to press once answered; a comma waits one second")
    parser.add_argument("--at", metavar="TIME", help="set the test clock first, in Europe/Zurich (system with --test-clock)")
    parser.add_argument(
        "--answer", action="store_true", help="start the other users' phones and the carrier too; they answer after half a second"
    )
    parser.add_argument("--explain", action="store_true", help="print the routing trace too")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Place the call."""
    if re.sub(r"[0-9*#A-D,]", "", options.digits):
        raise CliError(f"--digits {options.digits!r} has something else than 0-9 * # A-D and commas")
    system = load(options.data)
    if options.at:
        set_clock(system, instant(options.at, DEFAULT_ZONE))
    try:
        return asyncio.run(place(system, system.tenant(options.tenant), options))
    except PhoneError as error:
        raise CliError(str(error)) from error
    except OSError as error:
        raise CliError(f"the phone cannot use its address: {error}", "Is another carrier or phone running there?") from error


@dataclass(frozen=True, slots=True)
class Parties:
    """The phones of a test call."""

    caller: Phone
    number: str
    called: tuple[Phone, ...]


async def parties(stack: AsyncExitStack, system: System, tenant: str, options: argparse.Namespace) -> Parties:
    """Start the caller's phone and, where wanted, the others and the carrier."""
    realm, carrier_needed = str(system.entry(tenant)["realm"]), options.caller.startswith(CARRIER)
    own = None if carrier_needed else system.phone(tenant, options.caller)

    async def started(phone: Phone) -> Phone:
        stack.push_async_callback(phone.stop)
        return phone

    async def user(known: KnownPhone, hz: int) -> Phone:
        identity = Identity(known.sip_user, realm, known.sip_password, known.name)
        return await started(await Phone.start(identity, system.sip_udp, hz, Behaviour()))

    async def carrier(hz: int) -> Phone:
        ip, port = system.carrier(tenant)
        return await started(await Phone.start(Identity("carrier", ""), system.sip_udp, hz, Behaviour(), ip=ip, port=port))

    caller = await carrier(CALLER_HZ) if own is None else await user(own, CALLER_HZ)
    called: list[Phone] = []
    if options.answer:
        others = [known for known in system.phones(tenant) if known != own]
        called = [await user(known, FIRST_CALLED_HZ + STEP_HZ * place) for place, known in enumerate(others)]
        if own is not None and system.entry(tenant)["trunks"]:
            try:
                called.append(await carrier(FIRST_CALLED_HZ + STEP_HZ * len(others)))
            except OSError as error:
                print(f"no carrier answers: {error}")
    return Parties(caller, options.caller.removeprefix(CARRIER) if own is None else "", tuple(called))


async def place(system: System, tenant: str, options: argparse.Namespace) -> int:
    """Place the call, listen, print; the exit code."""
    async with AsyncExitStack() as stack:
        tap = await Tap.open(system, tenant)
        stack.push_async_callback(tap.close)
        phones = await parties(stack, system, tenant, options)
        call = await phones.caller.call(options.number, caller=phones.number)
        call_id = await tap.call_id(call.sip_call_id)
        print(f"call {call_id}: {options.caller} calls {options.number}", flush=True)
        success = await converse(phones.caller, call, options)
        await tap.ended(call_id)
        found = await record(system, tenant, call_id)
        events = await call_events(system, tenant, call_id)
    print("\n".join(["", *(explain(events) if options.explain else ladder(events)), "", *heard(phones, call), "", *records_table([found])]))
    return 0 if success else 1


async def converse(phone: Phone, call: PhoneCall, options: argparse.Namespace) -> bool:
    """Wait for the answer, press the keys, talk, hang up; whether it was answered."""
    try:
        success = await phone.answered(call, options.ring)
    except PhoneError:
        success = False
    if success:
        for part in re.split("(,)", options.digits):
            if part == ",":
                await asyncio.sleep(1)
            elif part:
                phone.press(call, part)
                await asyncio.sleep(KEY_SECONDS * len(part))
        try:
            await asyncio.wait_for(call.over.wait(), options.seconds)
        except TimeoutError:
            phone.hang_up(call)
    else:
        phone.hang_up(call)
    await phone.ended(call)
    return success


def heard(phones: Parties, call: PhoneCall) -> list[str]:
    """What each phone sent and heard."""
    lines = [f"{phones.caller.identity.user} (its own tone: {phones.caller.tone_hz} Hz) hears {call.heard}"]
    for phone in phones.called:
        for taken in phone.calls:
            keys = f", keys {taken.audio.ear.keys}" if taken.audio.ear.keys else ""
            outcome = f"hears {taken.heard}{keys}" if taken.answered.is_set() else f"did not answer: {taken.reason}"
            lines.append(f"{phone.identity.user} (its own tone: {phone.tone_hz} Hz) {outcome}")
    return lines
