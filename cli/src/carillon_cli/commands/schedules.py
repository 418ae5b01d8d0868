"""`carillon schedules`: open and close by hand; public holidays of a year."""

import argparse
import asyncio

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.schedule_pb2_grpc import ScheduleServiceStub
from carillon_cli.errors import CliError
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments

_PREFIX = "SCHEDULE_MODE_"
_MODES = [name.removeprefix(_PREFIX).lower() for name in pb.ScheduleMode.DESCRIPTOR.values_by_name if not name.endswith("UNSPECIFIED")]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon schedules`."""
    parser.add_argument("verb", choices=("mode", "holidays"), help="mode SCHEDULE MODE; holidays SCHEDULE YEAR")
    parser.add_argument("schedule", metavar="SCHEDULE")
    parser.add_argument("value", metavar="MODE|YEAR", help=f"{', '.join(_MODES)}; or 2027")
    parser.add_argument("--country", default="", help="holidays: CH (default: the tenant's)")
    parser.add_argument("--region", default="", help="holidays: VD (default: those of the whole country)")
    parser.add_argument("--language", default="", help="holidays: of their names (default: the tenant's)")
    parser.add_argument("--reason", default="", help="why, kept in the history")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do it and say what holds now."""
    if options.verb == "mode" and options.value not in _MODES:
        raise CliError(f"there is no mode {options.value!r}", f"Known: {', '.join(_MODES)}.")
    if options.verb == "holidays" and not options.value.isdecimal():
        raise CliError(f"{options.value!r} is no year")
    system = load(options.data)
    print("\n".join(asyncio.run(_run(system, system.tenant(options.tenant), options))))
    return 0


async def _run(system: System, tenant: str, options: argparse.Namespace) -> list[str]:
    async with system.channel("directory", tenant) as directory:
        schedules = ScheduleServiceStub(directory)
        if options.verb == "mode":
            mode = pb.ScheduleMode.Value(f"{_PREFIX}{options.value.upper()}")
            setting = pb.SetScheduleModeRequest(id=options.schedule, mode=mode, reason=options.reason)
            await ask(schedules.SetScheduleMode(setting, timeout=RPC_SECONDS), "directory")
            return [f"{options.schedule} is {options.value}" + (" from the next call on" if options.value != "automatic" else " again")]
        importing = pb.ImportHolidaysRequest(
            id=options.schedule,
            year=int(options.value),
            country=options.country,
            region=options.region,
            language=options.language,
            reason=options.reason,
        )
        found = await ask(schedules.ImportHolidays(importing, timeout=RPC_SECONDS), "directory")
        return [f"{day.date}  {day.label}" for day in found.holidays] or ["no holidays are known"]
