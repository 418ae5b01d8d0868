"""`carillon demo`: a system of its own in a temporary folder, the calls of Dupont SA's story, and whether all of it was true.

Always: exits 0 when every check held, else 1 with the list of what failed; nothing that it started is left behind.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

from carillon_cli import company
from carillon_cli.commands.apply import apply
from carillon_cli.demo import company as dupont
from carillon_cli.demo.scenes import SCENES, Play
from carillon_cli.demo.stage import Stage
from carillon_cli.demo.strangers import baresip_to_baresip
from carillon_cli.errors import CliError
from carillon_cli.phone import baresip
from carillon_cli.phone.baresip import BaresipError
from carillon_cli.phone.call import PhoneError
from carillon_cli.supervisor.layout import Folders
from carillon_cli.system import System, load
from carillon_kit.embedded import free_port

CARRIER_IP = "127.0.0.2"
START_SECONDS = 70.0
STOP_SECONDS = 60.0
#: A scene that hangs is a failed scene.
SCENE_SECONDS = 90.0
APPLIED_SECONDS = 10.0
TENANT = "dupont"
STRANGERS = "baresip"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon demo`."""
    parser.add_argument(
        "--only", action="append", metavar="SCENE", help=f"play only this one; may be repeated: {', '.join((*SCENES, STRANGERS))}"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep everything there (default: a temporary folder that is removed)")
    parser.add_argument("--verbose", action="store_true", help="show the system's log too")


def run(options: argparse.Namespace) -> int:
    """Play the story."""
    plays = chosen(options.only)
    with contextlib.ExitStack() as stack:
        folder = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="carillon-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(perform(folder.resolve(), plays, verbose=options.verbose))


def chosen(names: list[str] | None) -> dict[str, Play]:
    """The scenes to play. Raises `CliError` for a name that is none."""
    known = dict(SCENES)
    if baresip.available():
        known[STRANGERS] = baresip_to_baresip
    for name in names or ():
        if name not in known:
            raise CliError(f"there is no scene {name!r}", f"There are: {', '.join(known)}.")
    return {name: play for name, play in known.items() if not names or name in names}


async def perform(folder: Path, plays: dict[str, Play], *, verbose: bool) -> int:
    """Start, play, end; the exit code."""
    begun = monotonic()
    async with AsyncExitStack() as stack:
        system = await started(stack, folder, verbose=verbose)
        print(f"The system is ready after {monotonic() - begun:.1f} s: {system.folder / 'run.json'}")
        system = await rehearsed(system)
        stage = await Stage.open(stack, system, TENANT, print)
        for play in plays.values():
            await scene(stage, play)
    print(f"\n{stage.checked} checks in {len(plays)} scenes, {monotonic() - begun:.0f} s")
    if not baresip.available():
        print("baresip is not installed: the scene with phones of strangers was left out")
    if not stage.failures:
        print("All of it was true.")
        return 0
    print(f"{len(stage.failures)} failed:", *(f"  {failure}" for failure in stage.failures), sep="\n")
    return 1


async def scene(stage: Stage, play: Play) -> None:
    """Play one scene; what goes wrong in it is a failed check."""
    print(f"\n{'=' * 100}", flush=True)
    try:
        async with asyncio.timeout(SCENE_SECONDS):
            await play(stage)
    except TimeoutError:
        stage.check(f"the scene ends within {SCENE_SECONDS:g} s", False)
    except (PhoneError, BaresipError, CliError) as error:
        stage.check(str(error), False)
    for phone in stage.everyone:
        for call in phone.calls:
            phone.hang_up(call)


async def started(stack: AsyncExitStack, folder: Path, *, verbose: bool) -> System:
    """`carillon up --demo --test-clock --ports auto` as a process of its own. Raises `CliError` with its last words."""
    command = [sys.executable, "-m", "carillon_cli", "up", "--demo", "--test-clock", "--ports", "auto", "--data", str(folder)]
    log = (folder / "up.log").open("w+b")
    stack.enter_context(log)
    process = await asyncio.create_subprocess_exec(
        *command,
        *([] if verbose else ["--quiet"]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=None if verbose else log,
        stderr=None if verbose else log,
    )
    stack.push_async_callback(ended, process)
    run_file = Folders(folder).run_file
    try:
        async with asyncio.timeout(START_SECONDS):
            while not run_file.exists():
                if process.returncode is not None:
                    raise CliError(f"the system did not start:\n{(folder / 'up.log').read_text()[-3000:]}")
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise CliError(f"the system was not ready within {START_SECONDS:g} s", f"Its logs are in {folder / 'log'}.") from error
    return load(folder)


async def ended(process: asyncio.subprocess.Process) -> None:
    """End the system in order."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def rehearsed(system: System) -> System:
    """Dupont SA with short ringing times and the carrier on a free port; the system as it is described afterwards."""
    address = f"{CARRIER_IP}:{free_port(CARRIER_IP)}"
    _, data = company.load(dupont.text(), dupont.NAME)
    request = company.request(dupont.shortened(data, address))
    request.reason = "carillon demo: short ringing times"
    answer = await apply(system, request)
    print(f"For the demo, ringing times are the shortest allowed and the carrier is {address}:")
    for change in answer.changes:
        print(f"  {change.resource} {change.resource_id}: {', '.join(change.fields)}")
    async with asyncio.timeout(APPLIED_SECONDS):
        while not any(trunk["address"] == address for trunk in system.entry(TENANT)["trunks"]):
            await asyncio.sleep(0.05)
            system = load(system.folder)
    return system
