"""`carillon clock`: the time of day that routing goes by, on a system that was started with `--test-clock`.

Always: only decisions by the hour follow it; records, events and durations keep the real time.
"""

import argparse
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from carillon_cli.errors import CliError
from carillon_cli.system import System, load, system_arguments
from carillon_kit.clock import FileClock, write_clock_file

DEFAULT_ZONE = "Europe/Zurich"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon clock`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    setting = actions.add_parser("set", help="from now on it is TIME, and goes on from there")
    setting.add_argument("time", metavar="TIME", help="2026-11-24T10:15 (in --zone) or with an offset")
    setting.add_argument("--zone", default=DEFAULT_ZONE, help=f"default: {DEFAULT_ZONE}")
    for action in (
        setting,
        actions.add_parser("clear", help="back to the real time"),
        actions.add_parser("show", help="what time it is there"),
    ):
        system_arguments(action, tenant=False)


def run(options: argparse.Namespace) -> int:
    """Set, clear or show the clock."""
    system = load(options.data)
    if system.clock is None:
        raise CliError("this system goes by the real time", "Start it with `carillon up --test-clock`.")
    match options.action:
        case "set":
            set_clock(system, instant(options.time, options.zone))
        case "clear":
            write_clock_file(system.clock, None)
        case _:
            pass
    print(f"{FileClock(system.clock).now().astimezone(ZoneInfo(DEFAULT_ZONE)):%a %Y-%m-%d %H:%M:%S %Z}")
    return 0


def instant(text: str, zone: str) -> datetime:
    """An aware instant. Raises `CliError`."""
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(zone))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise CliError(f"{text!r} in {zone} is no instant", "Write it like 2026-11-24T10:15.") from error


def set_clock(system: System, wanted: datetime) -> None:
    """Let routing's time go on from `wanted`. Raises `CliError` when the system has no test clock."""
    if system.clock is None:
        raise CliError("this system goes by the real time", "Start it with `carillon up --test-clock`.")
    write_clock_file(system.clock, wanted)
